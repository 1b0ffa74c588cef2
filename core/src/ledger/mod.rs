//! The ledger: every DNS change, written down before it is asked for.
//!
//! One JSON object per line, one file per month below the state folder. Each line has a sequence
//! number and the hash of the line before it, so that what was cut out or changed afterwards shows.
//! An *intent* is on the disk before its request is sent: after any crash the ledger knows every
//! value that may be in a zone.

mod export;
mod file;
mod line;
mod read;
mod run;
mod serials;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};

use tokio::sync::{mpsc, oneshot};

pub use self::export::{RUN_TRAILER, RunExport, exports};
use self::file::Writer;
pub use self::line::{Entry, Event, Line, Origin, SerialStep};
pub use self::read::{Damage, Open, Reading, read};
pub use self::run::{RunId, is_alive, wait_for_end};
pub use self::serials::{ForeignMovement, ZoneSerials, serials};
use crate::name::DnsName;
use crate::txt::TxtValue;

/// The ledger as one run writes it. It is dropped when the run ends, and with it the run's lock.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    run: RunId,
    queue: mpsc::UnboundedSender<Request>,
    _alive: File,
}

#[derive(Debug)]
struct Request {
    entries: Vec<Entry>,
    done: oneshot::Sender<Result<(), LedgerError>>,
}

/// The ledger could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger {} could not be {what}: {cause}", .path.display())]
pub struct LedgerError {
    /// The file or folder.
    pub path: PathBuf,
    /// What was to be done, as a participle.
    pub what: &'static str,
    /// Why not.
    pub cause: String,
}

impl LedgerError {
    fn new(path: &Path, what: &'static str, cause: &impl ToString) -> Self {
        LedgerError {
            path: path.to_owned(),
            what,
            cause: cause.to_string(),
        }
    }

    /// What the reader can do about it.
    pub fn remedy(&self) -> String {
        "no change is sent that cannot be written down; see that the folder belongs to the user who \
         runs this, and has space left; `acme-alias ledger verify` tells about damage"
            .to_owned()
    }
}

impl Ledger {
    /// Opens the ledger in `folder` for a new run, which counts as alive from now on.
    pub fn open(folder: &Path, run: RunId) -> Result<Self, LedgerError> {
        let writer = Writer::open(folder)?;
        let alive = run::declare(folder, &run)?;
        let (queue, requests) = mpsc::unbounded_channel();
        tokio::spawn(write_all(writer, run.clone(), requests));
        Ok(Ledger {
            folder: folder.to_owned(),
            run,
            queue,
            _alive: alive,
        })
    }

    /// The run that writes.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Writes the entries down, on the disk where one of them is an intent.
    pub async fn record(&self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        let ended = || LedgerError::new(&self.folder, "written", &"its writer has ended");
        let (done, outcome) = oneshot::channel();
        let request = Request { entries, done };
        self.queue.send(request).map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())?
    }

    /// Those of the values that no run of ours has put where they are, or that were withdrawn.
    pub fn foreign(
        &self,
        mut values: Vec<(DnsName, TxtValue)>,
    ) -> Result<Vec<(DnsName, TxtValue)>, LedgerError> {
        if !values.is_empty() {
            let ours = read(&self.folder)?.open();
            values.retain(|(name, value)| {
                !ours
                    .iter()
                    .any(|open| open.name == *name && open.value == *value)
            });
        }
        Ok(values)
    }

    /// The values that may still be in a zone although the run that wrote them is dead.
    pub fn abandoned(&self) -> Result<Vec<Open>, LedgerError> {
        let reading = read(&self.folder)?;
        let mut open = Vec::new();
        for value in reading.open() {
            if !is_alive(&self.folder, &value.run)? {
                open.push(value);
            }
        }
        Ok(open)
    }
}

/// Writes what waits together, so that it costs one `fsync`.
async fn write_all(mut writer: Writer, run: RunId, mut requests: mpsc::UnboundedReceiver<Request>) {
    while let Some(first) = requests.recv().await {
        let mut waiting = vec![first];
        while let Ok(next) = requests.try_recv() {
            waiting.push(next);
        }
        let entries: Vec<_> = waiting
            .iter()
            .flat_map(|request| request.entries.iter().cloned())
            .collect();
        let run = run.clone();
        // Waiting for a lock and for the disk must not hold up anything else.
        let written = tokio::task::spawn_blocking(move || {
            let outcome = writer.append(&run, entries);
            (writer, outcome)
        });
        let outcome = match written.await {
            Ok((back, outcome)) => {
                writer = back;
                outcome
            }
            // The receivers learn that their senders are gone.
            Err(_) => return,
        };
        for request in waiting {
            let _ = request.done.send(outcome.clone());
        }
    }
}
