//! The open values in memory, and the position up to which the files were read.

use super::checkpoint::Checkpoint;
use super::folder::Folder;
use super::position::Position;
use super::read::LineReader;
use crate::ledger::error::LedgerError;
use crate::ledger::line::Line;
use crate::ledger::open_value::OpenValues;

/// After so many lines a checkpoint is written. A new process reads about this many lines at most.
const CHECKPOINT_EVERY: usize = if cfg!(test) { 5 } else { 1000 };

/// The open values up to a position.
#[derive(Debug)]
pub(super) struct Index {
    folder: Folder,
    open: OpenValues,
    position: Position,
    /// Whether the checkpoint was looked at.
    is_loaded: bool,
    /// Lines that were applied since the last checkpoint.
    since_checkpoint: usize,
}

impl Index {
    pub(super) fn new(folder: &Folder) -> Self {
        Index {
            folder: folder.clone(),
            open: OpenValues::default(),
            position: Position::default(),
            is_loaded: false,
            since_checkpoint: 0,
        }
    }

    /// The open values.
    pub(super) fn open(&self) -> &OpenValues {
        &self.open
    }

    /// Where the next lines are read.
    #[cfg(test)]
    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    /// Reads up to `count` lines that were appended since; returns whether there are no more.
    pub(super) fn advance(&mut self, count: usize) -> Result<bool, LedgerError> {
        if !self.is_loaded {
            self.load();
        }
        let months = self.folder.months()?;
        if months.last() == Some(&self.position.file)
            && self.folder.length(&self.position.file)? == self.position.offset
        {
            return Ok(true);
        }
        if !self.position.fits(&self.folder)? {
            self.restart();
        }
        let mut reader = LineReader::after(&self.folder, months, &self.position)?;
        for _ in 0..count {
            let Some(raw) = reader.next()? else {
                return Ok(true);
            };
            if !raw.has_end {
                // It is being written, or was cut off by a crash.
                continue;
            }
            if raw.file != self.position.file {
                raw.file.clone_into(&mut self.position.file);
            }
            self.position.offset = raw.end;
            if let Some(line) = raw.parse() {
                let Position { sequence, hash, .. } = &self.position;
                if line.follows(*sequence, hash) && line.is_sealed_in(raw.text) {
                    self.open.apply(&line);
                } else {
                    self.open.apply_doubtful(&line);
                }
                self.passed(&line);
            }
        }
        Ok(false)
    }

    /// Takes in lines that were just appended between these positions, if all before them was read.
    pub(super) fn appended(&mut self, from: &Position, to: &Position, lines: &[Line]) {
        if self.is_loaded && self.position == *from {
            for line in lines {
                self.open.apply(line);
                self.passed(line);
            }
            self.position = to.clone();
        }
    }

    /// A checkpoint, if it is time for one.
    pub(super) fn due_checkpoint(&mut self) -> Option<Checkpoint> {
        let due = self.since_checkpoint >= CHECKPOINT_EVERY.max(self.open.len());
        due.then(|| self.checkpoint()).flatten()
    }

    /// A checkpoint, if anything changed since the last one.
    pub(super) fn checkpoint(&mut self) -> Option<Checkpoint> {
        if self.since_checkpoint == 0 {
            return None;
        }
        self.since_checkpoint = 0;
        Some(Checkpoint {
            position: self.position.clone(),
            open: self.open.iter().cloned().collect(),
        })
    }

    fn load(&mut self) {
        self.is_loaded = true;
        if let Some(Checkpoint { position, open }) = Checkpoint::read(&self.folder) {
            self.position = position;
            self.open = open.into_iter().collect();
        }
    }

    /// Begins again, without a checkpoint.
    fn restart(&mut self) {
        self.position = Position::default();
        self.open = OpenValues::default();
        self.since_checkpoint = 0;
    }

    fn passed(&mut self, line: &Line) {
        self.position.sequence = line.sequence;
        line.hash.clone_into(&mut self.position.hash);
        self.since_checkpoint += 1;
    }
}
