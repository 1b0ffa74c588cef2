//! The contract between the core and the backends that write TXT records.
//!
//! A backend is a crate of its own. It implements [`TxtProvider`], declares its options and registers
//! itself in the [registry](crate::registry). Only the feature that links it into the program names it.

mod answers;
mod backend_zone;
mod contract;
mod error;
mod lists;
mod local;
mod options;
mod requests;
mod shared;

pub use self::answers::{Answer, Answers, NotReceived};
pub use self::backend_zone::{BackendZone, NAME_SERVERS_MAX};
pub use self::contract::{
    Applied, Guarantees, Identity, Limits, Reading, TxtProvider, ValueChanges, Variant,
};
pub use self::error::{Failure, ProviderError, check_within};
pub use self::lists::{Few, Limited, for_each_item};
pub use self::local::LocalCheck;
pub use self::options::{OptionError, OptionKind, OptionSpec, OptionValue, Options};
pub use self::requests::Requests;
pub use self::shared::Shared;
