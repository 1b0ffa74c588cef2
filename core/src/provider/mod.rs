//! The contract between the alias challenge flow and the backends that write TXT records.
//!
//! A backend lives in a crate of its own. It implements [`TxtProvider`], declares its options
//! and registers itself in [`crate::registry`]; nothing else in the workspace names it, except the
//! feature that links it into the program.

mod contract;
mod error;
mod options;
mod shared;

pub use self::contract::{Applied, Guarantees, Identity, Limits, TxtProvider, ValueChanges};
pub use self::error::{Failure, ProviderError, check_within};
pub use self::options::{OptionError, OptionKind, OptionSpec, OptionValue, Options};
pub use self::shared::Shared;
