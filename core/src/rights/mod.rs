//! What a key should be allowed to do, and what it can really do.

mod audit;
mod grant;
mod key;
mod probes;

pub use self::audit::{Audit, Grade, MainZone, Right, Subject, Verdict, Weight};
pub use self::grant::{Grant, NewKey, Policy, Scope};
pub use self::key::KeyRights;
pub use self::probes::{Probe, ProbeKind};
