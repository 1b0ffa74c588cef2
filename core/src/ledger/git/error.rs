//! Errors of the export to git.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::error::LedgerError;

/// The ledger could not be exported to a git repository.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitExportError {
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The folder is not empty, and not in the work tree of a git repository.
    #[error("could not export the ledger: {} is not a git repository and not empty", .folder.display())]
    NotAWorkTree {
        /// The folder to export to.
        folder: PathBuf,
    },
    /// A file of the export could not be written.
    #[error("could not export the ledger to {}: {source}", .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The error of the file system.
        source: Arc<io::Error>,
    },
    /// The program `git` could not be started, or the connection to it failed.
    #[error("could not export the ledger: could not run `git {command}` in {}: {source}", .folder.display())]
    NotRun {
        /// The folder to export to.
        folder: PathBuf,
        /// The command.
        command: String,
        /// The error of the operating system.
        source: Arc<io::Error>,
    },
    /// The program `git` failed.
    #[error("could not export the ledger: `git {command}` in {} failed ({status}): {stderr}", .folder.display())]
    Failed {
        /// The folder to export to.
        folder: PathBuf,
        /// The command.
        command: String,
        /// How it ended.
        status: String,
        /// What it printed.
        stderr: String,
    },
    /// The program `git` did not end in time.
    #[error("could not export the ledger: `git {command}` in {} timed out after {limit:?}", .folder.display())]
    TimedOut {
        /// The folder to export to.
        folder: PathBuf,
        /// The command.
        command: String,
        /// How long it may take.
        limit: Duration,
    },
    /// The export as a whole did not end in time. What was committed by then stays.
    #[error("could not export the ledger: the export to {} did not end within {limit:?}", .folder.display())]
    Unfinished {
        /// The folder to export to.
        folder: PathBuf,
        /// How long it may take.
        limit: Duration,
    },
    /// A merge is in progress in the repository. A commit now would become part of it.
    #[error("could not export the ledger: a merge is in progress in {}", .folder.display())]
    MergeInProgress {
        /// The folder to export to.
        folder: PathBuf,
    },
}
