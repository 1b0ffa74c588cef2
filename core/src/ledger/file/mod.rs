//! A ledger in files: one JSON object per line, one file per month.
//!
//! Processes that share the folder append one at a time, under the lock of `.lock`. Each keeps the
//! open values in memory and reads only what the others appended since. `.checkpoint` keeps the open
//! values up to a position in the files, so that a new process does not read the lines before it.
//! A checkpoint that does not fit the files is ignored, and everything is read again. The end of the ledger is
//! also recorded beside the folder, so that lines that were cut off are missed.

mod append;
#[cfg(test)]
mod bed;
mod blocking;
mod checkpoint;
#[cfg(test)]
mod checkpoint_tests;
mod folder;
mod head;
#[cfg(test)]
mod head_tests;
mod index;
mod ledger;
#[cfg(test)]
mod lock_tests;
mod position;
#[cfg(test)]
mod property_tests;
mod read;
#[cfg(test)]
mod read_tests;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trust_tests;
mod verify;
mod writer;

pub use self::ledger::FileLedger;
pub use self::verify::{Damage, DamageKind, RecordedLine, Verification};
