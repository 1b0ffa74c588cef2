//! What happens with a certificate after it is stored: files are written, and programs run.
//!
//! A certificate has *targets*, in an order: [`FilesTarget`] and [`CommandTarget`]. What became of each is stored with
//! the certificate ([`Deployments`]), so that a run finishes what an earlier one could not do. A target that failed
//! waits for its next attempt; it concerns no other target.

mod command;
mod error;
mod files;
mod formats;
mod groups;
mod in_time;
mod names;
mod place;
mod progress;
mod state;
mod target;

pub use self::command::{CommandTarget, VARIABLE_PREFIX};
pub use self::error::DeployError;
pub use self::files::{File, FilesTarget, PasswordSource};
pub use self::formats::Format;
pub(crate) use self::groups::next_commands;
pub use self::names::{UnknownName, group_id, user_id};
pub(crate) use self::progress::Progress;
pub use self::state::{Deployment, Deployments, IndexedDeployments};
pub use self::target::{Target, digest_of};
