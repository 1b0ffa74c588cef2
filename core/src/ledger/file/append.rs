//! Appending lines to the files.

use std::fs::{File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::Arc;

use jiff::Timestamp;
use tracing::{debug, warn};

use super::checkpoint::Checkpoint;
use super::folder::{Folder, LINE_MAX, month, unavailable};
use super::head::Head;
use super::position::Position;
use crate::ledger::error::{LedgerAction, LedgerError};
use crate::ledger::line::{Entry, Event, Line};
use crate::ledger::run_id::RunId;
use crate::trusted;

/// Appends lines, one process at a time.
#[derive(Debug)]
pub(super) struct Appender {
    folder: Folder,
    lock: File,
    /// The end of the ledger after our last line, if nobody else has written since.
    end: Option<Position>,
    /// What is recorded of the end.
    head: Head,
}

/// What was appended.
#[derive(Debug)]
pub(super) struct Appended {
    /// The end of the ledger before.
    pub(super) from: Position,
    /// The end of the ledger now.
    pub(super) to: Position,
    /// The lines between the two.
    pub(super) lines: Vec<Line>,
    /// What became of each call.
    pub(super) outcomes: Vec<Result<(), LedgerError>>,
}

/// Entries of one call.
pub(super) type Call = (RunId, Vec<Entry>);

impl Appender {
    /// Opens the folder, which is created if it does not exist.
    pub(super) fn open(folder: &Folder) -> Result<Self, LedgerError> {
        folder.create()?;
        folder.remove_old_locks();
        Ok(Appender {
            folder: folder.clone(),
            lock: folder.open_lock()?,
            end: None,
            head: Head::default(),
        })
    }

    /// Appends the entries of several calls; they are on the disk afterwards if one of them is an
    /// intent. Returns none at once if another process is appending.
    pub(super) fn append(
        &mut self,
        now: Timestamp,
        calls: &[Call],
    ) -> Result<Option<Appended>, LedgerError> {
        self.locked(|this| {
            let appended = this.append_locked(now, calls);
            // After an error what is in the file must be looked at again.
            this.end = appended.as_ref().ok().map(|appended| appended.to.clone());
            appended
        })
    }

    /// Writes a checkpoint, unless another process is appending.
    pub(super) fn write_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), LedgerError> {
        self.locked(|this| {
            checkpoint.write(&this.folder)?;
            // Lines of others may have been recorded since.
            this.head = read_head(&this.folder)?;
            if checkpoint.position.sequence > this.head.end.sequence {
                this.record_end(checkpoint.position.clone());
            }
            Ok(())
        })
        .map(drop)
    }

    /// Does `work` under the lock of the ledger; not if another process holds it.
    fn locked<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, LedgerError>,
    ) -> Result<Option<T>, LedgerError> {
        let failed =
            |folder: &Folder, error| unavailable(LedgerAction::Lock, &folder.file(".lock"), error);
        match self.lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(failed(&self.folder, error)),
        }
        let done = work(self);
        self.lock
            .unlock()
            .map_err(|error| failed(&self.folder, error))?;
        done.map(Some)
    }

    fn append_locked(&mut self, now: Timestamp, calls: &[Call]) -> Result<Appended, LedgerError> {
        let from = self.current_end()?;
        let mut batch = Batch {
            end: &from,
            now,
            lines: Vec::new(),
            text: Vec::new(),
        };
        let outcomes: Vec<_> = calls.iter().map(|call| batch.add(call)).collect();
        let Batch { lines, text, .. } = batch;
        let to = match lines.last() {
            Some(last) => {
                let is_durable = lines.iter().any(|line| line.entry.event == Event::Intent);
                let (file, offset) = self.write(&from, now, &text, is_durable)?;
                let to = Position {
                    file,
                    offset,
                    sequence: last.sequence,
                    hash: last.hash.clone(),
                };
                if is_durable {
                    self.record_end(to.clone());
                }
                to
            }
            None => from.clone(),
        };
        Ok(Appended {
            from,
            to,
            lines,
            outcomes,
        })
    }

    /// The end of the ledger. Other processes may have appended since our last line.
    fn current_end(&mut self) -> Result<Position, LedgerError> {
        if let Some(end) = &self.end
            && self.folder.months()?.last() == Some(&end.file)
            && self.folder.length(&end.file)? == end.offset
        {
            return Ok(end.clone());
        }
        self.head = read_head(&self.folder)?;
        Position::end(&self.folder)
    }

    /// Records the end of what is on the disk.
    fn record_end(&mut self, end: Position) {
        self.head.end = end;
        if let Err(error) = self.head.write(&self.folder) {
            let path = Head::path(&self.folder);
            debug!(%error, "the end of the ledger was not recorded in {}", path.display());
        }
    }

    /// Writes whole lines at the end of the ledger; returns the file and where they end.
    fn write(
        &self,
        end: &Position,
        now: Timestamp,
        text: &[u8],
        is_durable: bool,
    ) -> Result<(String, u64), LedgerError> {
        // A clock that was set back must not put a line before its predecessor.
        let name = month(now).max(end.file.clone());
        let path = self.folder.file(&name);
        let failed = |error| unavailable(LedgerAction::Write, &path, error);
        let mut offset = end.offset;
        if name != end.file {
            self.finish(end).map_err(failed)?;
            offset = 0;
        }
        write_at(&self.folder, &name, offset, text, is_durable).map_err(failed)?;
        if offset == 0 {
            let folder = trusted::sync_folder(self.folder.path());
            folder.map_err(failed)?;
        }
        Ok((name, offset + text.len() as u64))
    }

    /// Removes the torn last line of a file that gets no further lines. In any file but the newest it
    /// would be damage.
    fn finish(&self, end: &Position) -> io::Result<()> {
        if end.file.is_empty() {
            return Ok(());
        }
        let file = self.folder.open_in_place(&end.file)?;
        if file.metadata()?.len() > end.offset {
            file.set_len(end.offset)?;
            file.sync_data()?;
        }
        Ok(())
    }
}

/// What is recorded of the end, held against the files.
fn read_head(folder: &Folder) -> Result<Head, LedgerError> {
    let mut head = Head::read(folder).unwrap_or_default();
    let sequence = head.end.sequence;
    if !head.check(folder)? {
        let path = folder.path().display();
        warn!("the ledger {path} does not have line {sequence} any more, which was written to it");
    }
    Ok(head)
}

fn write_at(
    folder: &Folder,
    name: &str,
    offset: u64,
    text: &[u8],
    is_durable: bool,
) -> io::Result<()> {
    let mut file = folder.open_in_place(name)?;
    // Regardless of the umask.
    trusted::make_private(&file, 0o600)?;
    // A crash or a full disk may have left a torn line, which nobody relied on.
    file.set_len(offset)?;
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(text)?;
    if is_durable {
        file.sync_data()?;
    }
    Ok(())
}

/// Lines that are written together.
struct Batch<'a> {
    end: &'a Position,
    now: Timestamp,
    lines: Vec<Line>,
    text: Vec<u8>,
}

impl Batch<'_> {
    /// Adds all entries of a call, or none of them.
    fn add(&mut self, (run, entries): &Call) -> Result<(), LedgerError> {
        let (lines, octets) = (self.lines.len(), self.text.len());
        let added = entries.iter().try_for_each(|entry| self.push(run, entry));
        if added.is_err() {
            self.lines.truncate(lines);
            self.text.truncate(octets);
        }
        added
    }

    fn push(&mut self, run: &RunId, entry: &Entry) -> Result<(), LedgerError> {
        let (sequence, hash) = self.last();
        let line = Line::following(sequence, hash, self.now, run, entry.clone());
        let text = line.and_then(|line| Ok((serde_json::to_vec(&line)?, line)));
        let (text, line) = text.map_err(|error| LedgerError::Unavailable {
            action: LedgerAction::Write,
            location: self.end.file.clone(),
            source: Arc::new(error),
        })?;
        let length = text.len() + 1;
        if length > LINE_MAX {
            let max = LINE_MAX;
            return Err(LedgerError::TooLong { length, max });
        }
        self.text.extend_from_slice(&text);
        self.text.push(b'\n');
        self.lines.push(line);
        Ok(())
    }

    /// The number and the hash of the last line.
    fn last(&self) -> (u64, &str) {
        match self.lines.last() {
            Some(line) => (line.sequence, &line.hash),
            None => (self.end.sequence, &self.end.hash),
        }
    }
}
