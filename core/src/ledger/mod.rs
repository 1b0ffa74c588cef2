//! The ledger: every DNS change, recorded before it is requested.
//!
//! [`Ledger`] is the contract. [`FileLedger`] keeps it in files: one JSON object per line, one file
//! per month. Each line has a sequence number and the hash of the line before it, so that a line
//! that was cut out or changed afterwards is found. An *intent* is on the disk before its request is
//! sent: after any crash the ledger contains every value that may be in a zone. [`GitExport`] writes
//! the ledger to a git repository, for people.

mod contract;
mod error;
mod file;
pub(crate) mod git;
mod late;
mod line;
mod open_value;
mod other_hosts;
mod run_id;
#[cfg(test)]
mod sample;
mod serials;

pub use self::contract::Ledger;
pub use self::error::{LedgerAction, LedgerError};
pub use self::file::{Damage, DamageKind, FileLedger, RecordedLine, Verification};
pub use self::git::{GitExport, GitExportError, RUN_TRAILER};
pub use self::late::{LateServer, late_servers};
pub use self::line::{Entry, Event, Line, Origin, SerialStep};
pub use self::open_value::{OpenValue, OpenValues};
pub use self::other_hosts::OtherHosts;
pub use self::run_id::{InvalidRunId, RunId};
pub use self::serials::{ForeignMovement, ZoneSerials, serials};
