//! The ledger in a git repository: text files per zone and month, one commit per run.
//!
//! The commits themselves record which runs were exported, so a run that cannot be exported now stays
//! in the ledger until the next export. The same lines always make the same text.

#[cfg(test)]
mod bed;
mod command;
#[cfg(test)]
mod configuration_tests;
mod error;
mod export;
mod message;
mod month_file;
mod plan;
mod program;
mod repository;
mod row;
mod runs;
#[cfg(test)]
mod tests;
mod work_tree;

pub use self::error::GitExportError;
pub use self::export::GitExport;
pub use self::message::RUN_TRAILER;
#[cfg(any(test, fuzzing))]
pub(crate) use self::runs::RunExports;
