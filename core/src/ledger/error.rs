//! Errors of the ledger.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::trusted::Untrusted;

/// The ledger could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The place where the ledger is kept failed.
    #[error("could not {action} the ledger {location}: {source}")]
    Unavailable {
        /// What was attempted.
        action: LedgerAction,
        /// The file, folder or database.
        location: String,
        /// Why it failed.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// Others own the folder or a file of the ledger, can change it, or put something else in its place.
    #[error(transparent)]
    Untrusted(Untrusted),
    /// An entry is longer than a line of the ledger may be. Nothing of its call was written.
    #[error("an entry for the ledger has {length} octets, more than {max}")]
    TooLong {
        /// The octets of the line.
        length: usize,
        /// The octets that a line may have.
        max: usize,
    },
    /// A line of a file is longer than any that a ledger writes.
    #[error("line {line} of the ledger {location} has more than {max} octets: the file is damaged")]
    LongLine {
        /// The file.
        location: String,
        /// The line, from 1.
        line: u64,
        /// The octets up to which a line is read.
        max: u64,
    },
    /// The ledgers of other hosts have more changes than are kept to explain movements of serials.
    #[error(
        "the ledgers of other hosts have more than {max} changes at the times when serials moved"
    )]
    TooManySteps {
        /// The most that are kept.
        max: usize,
    },
    /// The ledger was closed, or opened only for reading.
    #[error("the ledger {location} is not open for writing")]
    NotWritable {
        /// The file, folder or database.
        location: String,
    },
}

/// What was attempted with a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LedgerAction {
    /// To create its folder or a file in it, or to open it.
    Open,
    /// To read it.
    Read,
    /// To append to it.
    Write,
    /// To acquire or release its lock.
    Lock,
}

impl fmt::Display for LedgerAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            LedgerAction::Open => "open",
            LedgerAction::Read => "read",
            LedgerAction::Write => "write to",
            LedgerAction::Lock => "lock",
        })
    }
}
