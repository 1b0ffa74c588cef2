//! A command that failed: what is printed, and the exit code.

mod acme;
mod job;
mod ledger;
mod model;
mod store;
mod zone;

pub(crate) use self::job::{of_left_out, unknown_certificate};
pub(crate) use self::ledger::{forget_command, git_export_remedy};
pub(crate) use self::model::{Failure, Part};
pub(crate) use self::zone::zone_in_words;
