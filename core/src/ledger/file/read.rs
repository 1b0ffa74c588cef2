//! Reading the lines of the files, from any position on, with bounded memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Take};
use std::path::PathBuf;

use super::folder::{Folder, LINE_MAX, unavailable};
use super::position::Position;
use crate::ledger::error::{LedgerAction, LedgerError};
use crate::ledger::line::Line;

/// How much is read from a file at once, in octets.
const BUFFER: usize = 1 << 16;

/// Reads line by line, across files. It sees the files that existed when it was made.
#[derive(Debug)]
pub(super) struct LineReader {
    folder: Folder,
    /// The files after the current one.
    later: VecDeque<String>,
    current: Option<OpenFile>,
    text: Vec<u8>,
    /// A line that is longer, in octets, is an error.
    line_max: u64,
}

#[derive(Debug)]
struct OpenFile {
    name: String,
    /// What the file had when it was opened.
    file: BufReader<Take<File>>,
    /// Where the last line that was read ends.
    offset: u64,
    /// The number of that line in the file, if reading began with the first.
    number: u64,
}

/// A line as it is in a file.
#[derive(Debug)]
pub(super) struct RawLine<'a> {
    /// The name of the file.
    pub(super) file: &'a str,
    /// The line in it, from 1, if the file was read from its beginning.
    pub(super) number: u64,
    /// Where the line ends in the file.
    pub(super) end: u64,
    /// Its octets, with the line feed; of a line that is too long only the end.
    pub(super) text: &'a [u8],
    /// Whether it is too long.
    pub(super) is_too_long: bool,
    /// Whether it ends. A line that does not was cut off, or is being written.
    pub(super) has_end: bool,
    /// Whether nothing follows it in any file.
    pub(super) is_last: bool,
}

impl RawLine<'_> {
    /// The line, if it can be read.
    pub(super) fn parse(&self) -> Option<Line> {
        if self.is_too_long || !self.has_end {
            return None;
        }
        serde_json::from_slice(self.text).ok()
    }
}

impl LineReader {
    /// Reads these files from the beginning.
    pub(super) fn new(folder: &Folder, files: Vec<String>) -> Self {
        LineReader {
            folder: folder.clone(),
            later: files.into(),
            current: None,
            text: Vec::new(),
            line_max: u64::MAX,
        }
    }

    /// Ends with an error at a line that is longer, in octets. Without that, it is read to its end.
    pub(super) fn with_line_max(mut self, octets: u64) -> Self {
        self.line_max = octets;
        self
    }

    /// Reads these files, the first from this offset on. What it has of a line there cannot be parsed.
    pub(super) fn at(
        folder: &Folder,
        files: Vec<String>,
        offset: u64,
    ) -> Result<Self, LedgerError> {
        let mut reader = LineReader::new(folder, files);
        reader.open_next(offset)?;
        Ok(reader)
    }

    /// Reads what follows `position` in these files.
    pub(super) fn after(
        folder: &Folder,
        mut files: Vec<String>,
        position: &Position,
    ) -> Result<Self, LedgerError> {
        files.retain(|file| *file >= position.file);
        let starts_there = files.first() == Some(&position.file);
        let mut reader = LineReader::new(folder, files);
        if starts_there {
            reader.open_next(position.offset)?;
        }
        Ok(reader)
    }

    /// The next line; none at the end of the last file.
    pub(super) fn next(&mut self) -> Result<Option<RawLine<'_>>, LedgerError> {
        let length = loop {
            let Some(current) = &mut self.current else {
                if self.open_next(0)? {
                    continue;
                }
                return Ok(None);
            };
            match read_line(&mut current.file, &mut self.text, self.line_max) {
                Ok(0) => self.current = None,
                Ok(length) if length > self.line_max => return Err(self.too_long()),
                Ok(length) => break length,
                Err(error) => return Err(self.failed(error)),
            }
        };
        let has_end = self.text.last() == Some(&b'\n');
        let is_last = self.later.is_empty() && self.is_at_end()?;
        let Some(current) = &mut self.current else {
            return Ok(None);
        };
        current.offset += length;
        current.number += 1;
        Ok(Some(RawLine {
            file: &current.name,
            number: current.number,
            end: current.offset,
            is_too_long: length > LINE_MAX as u64,
            text: &self.text,
            has_end,
            is_last,
        }))
    }

    /// Opens the next file; returns false if there is none.
    fn open_next(&mut self, offset: u64) -> Result<bool, LedgerError> {
        let Some(name) = self.later.pop_front() else {
            return Ok(false);
        };
        let path = self.folder.file(&name);
        let opened = self.folder.open(&name).and_then(|mut file| {
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(offset))?;
            Ok(file.take(length.saturating_sub(offset)))
        });
        let file = opened.map_err(|error| unavailable(LedgerAction::Read, &path, error))?;
        self.current = Some(OpenFile {
            name,
            file: BufReader::with_capacity(BUFFER, file),
            offset,
            number: 0,
        });
        Ok(true)
    }

    fn is_at_end(&mut self) -> Result<bool, LedgerError> {
        let Some(current) = &mut self.current else {
            return Ok(true);
        };
        let rest = current.file.fill_buf().map(<[u8]>::is_empty);
        rest.map_err(|error| self.failed(error))
    }

    fn too_long(&self) -> LedgerError {
        let number = self.current.as_ref().map_or(0, |file| file.number);
        LedgerError::LongLine {
            location: self.path().display().to_string(),
            line: number + 1,
            max: self.line_max,
        }
    }

    fn failed(&self, error: io::Error) -> LedgerError {
        unavailable(LedgerAction::Read, &self.path(), error)
    }

    fn path(&self) -> PathBuf {
        match &self.current {
            Some(current) => self.folder.file(&current.name),
            None => self.folder.path().to_owned(),
        }
    }
}

/// Reads a line into `text`, only its end if it is longer than [`LINE_MAX`]; returns its length in the
/// file, 0 at the end of the file. Of a line that is longer than `max`, the rest is not read.
fn read_line(file: &mut impl BufRead, text: &mut Vec<u8>, max: u64) -> io::Result<u64> {
    text.clear();
    let mut length = 0;
    loop {
        let available = match file.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = available.iter().position(|octet| *octet == b'\n');
        let used = end.map_or(available.len(), |end| end + 1);
        if text.len() + used > LINE_MAX {
            text.clear();
        }
        text.extend_from_slice(&available[..used]);
        file.consume(used);
        length += used as u64;
        if end.is_some() || used == 0 || length > max {
            return Ok(length);
        }
    }
}
