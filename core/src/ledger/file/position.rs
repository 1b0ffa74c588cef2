//! Positions in the files, and the end of the ledger.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

use super::folder::{Folder, LINE_MAX, unavailable};
use crate::ledger::error::{LedgerAction, LedgerError};
use crate::ledger::line::Line;

/// How much is read from the end of a file at once, in octets.
const BLOCK: usize = 1 << 13;

/// A position after a whole line. The default is the beginning of an empty ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The name of the file; empty at the beginning.
    pub(super) file: String,
    /// Where the line ends in the file.
    pub(super) offset: u64,
    /// The number of the last line up to there that can be read; 0 if there is none.
    pub(super) sequence: u64,
    /// The hash of that line.
    pub(super) hash: String,
}

impl Position {
    /// The end of the last whole line, found by reading from the end.
    pub(super) fn end(folder: &Folder) -> Result<Self, LedgerError> {
        let months = folder.months()?;
        let Some(newest) = months.last() else {
            return Ok(Position::default());
        };
        let offset = FileEnd::open(folder, newest)?.whole_length()?;
        let last = last_line(folder, &months, offset)?;
        let (sequence, hash) = last.map_or((0, String::new()), |line| (line.sequence, line.hash));
        Ok(Position {
            file: newest.clone(),
            offset,
            sequence,
            hash,
        })
    }

    /// Whether the files still have this position: the same line ends there. If one of its lines was
    /// replaced, or its file is gone, they do not.
    pub(super) fn fits(&self, folder: &Folder) -> Result<bool, LedgerError> {
        if self.file.is_empty() {
            return Ok(true);
        }
        let mut months = folder.months()?;
        months.retain(|month| *month <= self.file);
        if months.last() != Some(&self.file) {
            return Ok(false);
        }
        let mut file = FileEnd::open(folder, &self.file)?;
        if file.length < self.offset {
            return Ok(false);
        }
        file.length = self.offset;
        if file.whole_length()? != self.offset {
            return Ok(false);
        }
        Ok(match last_line(folder, &months, self.offset)? {
            Some(line) => line.sequence == self.sequence && line.hash == self.hash,
            None => self.sequence == 0,
        })
    }
}

/// The last line that can be read in these files, before `offset` in the last of them.
fn last_line(folder: &Folder, files: &[String], offset: u64) -> Result<Option<Line>, LedgerError> {
    let mut length = Some(offset);
    for name in files.iter().rev() {
        let mut file = FileEnd::open(folder, name)?;
        file.length = match length.take() {
            Some(offset) => offset,
            None => file.whole_length()?,
        };
        while let Some(text) = file.pop_line()? {
            if let Ok(line) = serde_json::from_slice(&text) {
                return Ok(Some(line));
            }
        }
    }
    Ok(None)
}

/// A file that is read from its end.
struct FileEnd<'a> {
    folder: &'a Folder,
    name: &'a str,
    file: File,
    /// What was not read yet.
    length: u64,
}

impl<'a> FileEnd<'a> {
    fn open(folder: &'a Folder, name: &'a str) -> Result<Self, LedgerError> {
        let path = folder.file(name);
        let opened = folder.open(name).and_then(|file| {
            let length = file.metadata()?.len();
            Ok((file, length))
        });
        let (file, length) = opened.map_err(|e| unavailable(LedgerAction::Read, &path, e))?;
        Ok(FileEnd {
            folder,
            name,
            file,
            length,
        })
    }

    /// Where the last whole line ends.
    fn whole_length(&self) -> Result<u64, LedgerError> {
        self.start_of_line(self.length)
    }

    /// Takes the last line away, which ends where the rest begins. A line that is too long is empty.
    fn pop_line(&mut self) -> Result<Option<Vec<u8>>, LedgerError> {
        let Some(before_end) = self.length.checked_sub(1) else {
            return Ok(None);
        };
        let start = self.start_of_line(before_end)?;
        let mut text = Vec::new();
        let length = self.length - start;
        if length <= LINE_MAX as u64 {
            text.resize(usize::try_from(length).unwrap_or(0), 0);
            self.read(&mut text, start)?;
        }
        self.length = start;
        Ok(Some(text))
    }

    /// Where the line begins that `end` is in: after the last line feed before it.
    fn start_of_line(&self, mut end: u64) -> Result<u64, LedgerError> {
        let mut block = [0; BLOCK];
        while end > 0 {
            let size = end.min(BLOCK as u64);
            let start = end - size;
            let block = &mut block[..usize::try_from(size).unwrap_or(BLOCK)];
            self.read(block, start)?;
            if let Some(before) = block.iter().rposition(|octet| *octet == b'\n') {
                return Ok(start + before as u64 + 1);
            }
            end = start;
        }
        Ok(0)
    }

    fn read(&self, octets: &mut [u8], offset: u64) -> Result<(), LedgerError> {
        let read = self.file.read_exact_at(octets, offset);
        read.map_err(|error: io::Error| {
            unavailable(LedgerAction::Read, &self.folder.file(self.name), error)
        })
    }
}
