//! Reading the ledger: its lines, what is wrong with them, and what is still open.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::LedgerError;
use super::line::{Event, Line, Origin};
use super::run::RunId;
use crate::name::DnsName;
use crate::txt::{Action, TxtValue};

/// All that is in the ledger.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The lines, in order.
    pub lines: Vec<Line>,
    /// What does not fit.
    pub damage: Vec<Damage>,
    /// Whether the last line was cut off, as a crash while writing leaves it.
    pub truncated: bool,
}

/// A place where the ledger is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// The line in it, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.what)
    }
}

/// A value that may be in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The run that wrote it.
    pub run: RunId,
    /// For whom.
    pub origin: Origin,
    /// The alias zone.
    pub zone: DnsName,
    /// The kind of the provider that wrote it.
    pub provider: String,
    /// The provider's key.
    pub key: Option<String>,
    /// The alias name.
    pub name: DnsName,
    /// The value.
    pub value: TxtValue,
}

impl Reading {
    /// The values of which an intent was written down, and not that they are gone.
    pub fn open(&self) -> Vec<Open> {
        let mut open: BTreeMap<(&DnsName, &DnsName, &TxtValue), Open> = BTreeMap::new();
        for Line { run, entry, .. } in &self.lines {
            let key = (&entry.zone, &entry.name, &entry.value);
            match (entry.event, entry.action) {
                (Event::Intent, Action::Add) => {
                    let value = Open {
                        run: run.clone(),
                        origin: entry.origin.clone(),
                        zone: entry.zone.clone(),
                        provider: entry.provider.clone(),
                        key: entry.key.clone(),
                        name: entry.name.clone(),
                        value: entry.value.clone(),
                    };
                    open.insert(key, value);
                }
                // Nothing else closes it: a request that failed may have been one of several.
                (Event::Withdrawn, _) => {
                    open.remove(&key);
                }
                _ => {}
            }
        }
        open.into_values().collect()
    }
}

/// Reads every file of the ledger in `folder`; there may be none.
pub fn read(folder: &Path) -> Result<Reading, LedgerError> {
    let mut reading = Reading::default();
    let mut files = files(folder)?.into_iter().peekable();
    while let Some(path) = files.next() {
        let text = fs::read(&path).map_err(|error| LedgerError::new(&path, "read", &error))?;
        reading.take_in(&path, &text, files.peek().is_none());
    }
    Ok(reading)
}

impl Reading {
    /// Adds the lines of a file, which follow those that were read before.
    pub(crate) fn take_in(&mut self, path: &Path, text: &[u8], is_last_file: bool) {
        let mut lines = text.split_inclusive(|octet| *octet == b'\n').peekable();
        let mut number = 0;
        while let Some(octets) = lines.next() {
            number += 1;
            let mut damaged = |what: String| {
                self.damage.push(Damage {
                    path: path.to_owned(),
                    line: number,
                    what,
                });
            };
            let is_tail = is_last_file && lines.peek().is_none();
            let line: Line = match serde_json::from_slice(octets) {
                Ok(line) if octets.ends_with(b"\n") => line,
                _ if is_tail => {
                    self.truncated = true;
                    break;
                }
                Ok(_) => {
                    damaged("it does not end".to_owned());
                    continue;
                }
                Err(error) => {
                    damaged(format!("it is no line of a ledger: {error}"));
                    continue;
                }
            };
            let (sequence, previous) = match self.lines.last() {
                Some(last) => (last.sequence, last.hash.as_str()),
                None => (0, ""),
            };
            if sequence.checked_add(1) != Some(line.sequence) {
                damaged(format!(
                    "it has the number {}, after {sequence}",
                    line.sequence
                ));
            } else if line.previous != previous {
                damaged("it does not follow the line before it".to_owned());
            }
            match line.expected_hash() {
                Ok(hash) if hash == line.hash => {}
                _ => damaged("its hash is not that of its content".to_owned()),
            }
            self.lines.push(line);
        }
    }
}

/// The files of the ledger, oldest first.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, LedgerError> {
    let failed = |error: io::Error| LedgerError::new(folder, "read", &error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The last line that can be read, in whichever file it is.
pub(super) fn last_line(folder: &Path) -> Result<Option<Line>, LedgerError> {
    for path in files(folder)?.into_iter().rev() {
        let text = fs::read(&path).map_err(|error| LedgerError::new(&path, "read", &error))?;
        let mut lines = text.split(|octet| *octet == b'\n').rev();
        if let Some(line) = lines.find_map(|line| serde_json::from_slice(line).ok()) {
            return Ok(Some(line));
        }
    }
    Ok(None)
}

/// Where the last whole line of a file ends; zero where there is none, or no file.
pub(super) fn whole_length(path: &Path) -> Result<u64, LedgerError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(LedgerError::new(path, "read", &error)),
    };
    let newline = text.iter().rposition(|octet| *octet == b'\n');
    Ok(newline.map_or(0, |before| before as u64 + 1))
}
