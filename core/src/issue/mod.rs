//! One certificate, from its names to the store.
//!
//! [`Issuer::issue`] is the flow on one screen. It has two sides that never wait for a person: the
//! delegations and zones ([`Plan`]), and the CA's order.

mod aliases;
mod error;
mod events;
mod issuer;
mod key;
mod left_out;
mod order;
mod preflight;
mod request;
mod silent;

pub use self::aliases::Aliases;
pub use self::error::{IssueError, IssueFailure};
pub use self::events::{NoObserver, Observer, Step};
pub use self::issuer::{Issued, Issuer};
pub(crate) use self::order::as_ordered;
pub use self::preflight::{CheckedDelegations, Plan};
pub use self::request::{CertificateRequest, LeftOut, RequestedName};
pub use self::silent::SilentServer;
