//! Checking that every line is as it was written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blocking::blocking;
use super::folder::{Folder, LINE_MAX};
use super::head::Head;
use super::read::{LineReader, RawLine};
use crate::ledger::error::{LedgerAction, LedgerError};
use crate::ledger::line::Line;
use crate::ledger::open_value::OpenValues;
use crate::printable::{TEXT_MAX, shortened};

/// How many lines are checked in one piece of work.
const LINES: usize = 1024;
/// How many places of damage are kept; the others are only counted.
const DAMAGE_MAX: usize = 1000;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// How many lines can be read.
    pub lines: u64,
    /// How many values may be in a zone.
    pub open: usize,
    /// Whether the last line was cut off, as a crash leaves it. The next line overwrites it.
    pub truncated: bool,
    /// The first places that are not as they were written.
    pub damage: Vec<Damage>,
    /// How many such places there are.
    pub damage_count: u64,
    /// Lines that are recorded elsewhere, and that the ledger does not have.
    pub missing: Vec<RecordedLine>,
}

/// A line that is recorded outside the ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordedLine {
    /// Its number.
    pub sequence: u64,
    /// Its hash.
    pub hash: String,
    /// Where it is recorded.
    pub place: Arc<Path>,
}

impl fmt::Display for RecordedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sequence, place) = (self.sequence, self.place.display());
        write!(
            f,
            "line {sequence}, which {place} records, is missing or was replaced"
        )
    }
}

impl Verification {
    /// Whether the ledger is as it was written, as far as that can be known.
    pub fn is_whole(&self) -> bool {
        self.damage_count == 0 && self.missing.is_empty()
    }
}

/// A place where the ledger is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// The line in it, from 1.
    pub line: u64,
    /// What is wrong there.
    pub kind: DamageKind,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.kind)
    }
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DamageKind {
    /// It has no line feed, but lines in another file follow.
    #[error("the line does not end")]
    Unterminated,
    /// It is longer than any line that is written.
    #[error("the line has more than {LINE_MAX} octets")]
    TooLong,
    /// It is not a line of a ledger.
    #[error("not a line of a ledger: {cause}")]
    Unreadable {
        /// The parser's message.
        cause: String,
    },
    /// Its sequence number does not follow that of the line before it.
    #[error("sequence number {found} follows {previous}")]
    Sequence {
        /// The number of the line before it.
        previous: u64,
        /// Its own number.
        found: u64,
    },
    /// It contains the hash of another line than the one before it.
    #[error("does not continue the line before it")]
    Chain,
    /// Its hash is not that of its content.
    #[error("the hash does not match the content")]
    Hash,
}

/// Checks all lines of the files in `folder`, and whether it has those that are recorded elsewhere.
pub(super) async fn verify(
    folder: &Folder,
    recorded: Vec<RecordedLine>,
) -> Result<Verification, LedgerError> {
    let (of, check) = (folder.clone(), LedgerAction::Read);
    let mut verifier = blocking(folder, check, move || Verifier::new(&of, recorded)).await??;
    loop {
        let next = move || verifier.check_lines().map(|is_done| (verifier, is_done));
        let (checked, is_done) = blocking(folder, check, next).await??;
        if is_done {
            return Ok(checked.result());
        }
        verifier = checked;
    }
}

/// Checks lines, one after the other.
struct Verifier {
    folder: Folder,
    reader: LineReader,
    found: Verification,
    open: OpenValues,
    /// Of the last line that can be read.
    sequence: u64,
    hash: String,
    /// Lines that must still come.
    expected: BTreeMap<(u64, String), Arc<Path>>,
}

impl Verifier {
    fn new(folder: &Folder, recorded: Vec<RecordedLine>) -> Result<Self, LedgerError> {
        // Before the files are looked at: they only grow.
        let head = Head::read(folder).unwrap_or_default();
        let ends = head.lost.into_iter().chain([head.end]);
        let ends = ends.filter(|end| end.sequence > 0).map(|end| RecordedLine {
            sequence: end.sequence,
            hash: end.hash,
            place: Head::path(folder).into(),
        });
        Ok(Verifier {
            expected: recorded
                .into_iter()
                .chain(ends)
                .map(|line| ((line.sequence, line.hash), line.place))
                .collect(),
            folder: folder.clone(),
            reader: LineReader::new(folder, folder.months()?),
            found: Verification::default(),
            open: OpenValues::default(),
            sequence: 0,
            hash: String::new(),
        })
    }

    fn result(self) -> Verification {
        Verification {
            open: self.open.len(),
            missing: self
                .expected
                .into_iter()
                .map(|((sequence, hash), place)| RecordedLine {
                    sequence,
                    hash,
                    place,
                })
                .collect(),
            ..self.found
        }
    }

    /// Checks the next lines; returns whether there are no more.
    fn check_lines(&mut self) -> Result<bool, LedgerError> {
        for _ in 0..LINES {
            let Some(raw) = self.reader.next()? else {
                return Ok(true);
            };
            match parse(&raw) {
                Ok(line) => {
                    let kinds = defects(&line, raw.text, self.sequence, &self.hash);
                    let is_good = kinds.is_empty();
                    let place = (self.folder.file(raw.file), raw.number);
                    for kind in kinds {
                        self.found.add(&place, kind);
                    }
                    self.take(line, is_good);
                }
                Err(_) if raw.is_last => self.found.truncated = true,
                Err(kind) => {
                    let place = (self.folder.file(raw.file), raw.number);
                    self.found.add(&place, kind);
                }
            }
        }
        Ok(false)
    }

    fn take(&mut self, line: Line, is_good: bool) {
        if is_good {
            self.open.apply(&line);
        } else {
            self.open.apply_doubtful(&line);
        }
        self.found.lines += 1;
        self.sequence = line.sequence;
        let key = (line.sequence, line.hash);
        if is_good {
            self.expected.remove(&key);
        }
        self.hash = key.1;
    }
}

impl Verification {
    fn add(&mut self, (path, line): &(PathBuf, u64), kind: DamageKind) {
        self.damage_count += 1;
        if self.damage.len() < DAMAGE_MAX {
            self.damage.push(Damage {
                path: path.clone(),
                line: *line,
                kind,
            });
        }
    }
}

fn parse(raw: &RawLine<'_>) -> Result<Line, DamageKind> {
    if raw.is_too_long {
        return Err(DamageKind::TooLong);
    }
    match serde_json::from_slice(raw.text) {
        Ok(line) if raw.has_end => Ok(line),
        Ok(_) => Err(DamageKind::Unterminated),
        Err(error) => Err(DamageKind::Unreadable {
            // It quotes the line.
            cause: shortened(&error.to_string(), TEXT_MAX),
        }),
    }
}

/// What is wrong with a line that follows the one with this sequence number and hash.
fn defects(line: &Line, text: &[u8], sequence: u64, hash: &str) -> Vec<DamageKind> {
    let mut defects = Vec::new();
    if sequence.checked_add(1) != Some(line.sequence) {
        defects.push(DamageKind::Sequence {
            previous: sequence,
            found: line.sequence,
        });
    } else if line.previous != hash {
        defects.push(DamageKind::Chain);
    }
    if !line.is_sealed_in(text) {
        defects.push(DamageKind::Hash);
    }
    defects
}
