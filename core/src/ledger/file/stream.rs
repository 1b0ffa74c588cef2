//! The lines of the files as a stream.

use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::blocking::blocking;
use super::folder::{Folder, month};
use super::read::LineReader;
use crate::ledger::error::{LedgerAction, LedgerError};
use crate::ledger::line::Line;

/// How many octets are read in one piece of work, at least.
const OCTETS: usize = 1 << 18;

/// How much is looked at first at the end of a file, in octets.
const NEWEST_OCTETS: u64 = 1 << 14;

/// All lines that can be read, in order; with `since` only those that were written then or later. A line that is longer
/// than `line_max` is an error.
pub(super) fn lines<'a>(
    folder: &Folder,
    since: Option<Timestamp>,
    line_max: u64,
) -> BoxStream<'a, Result<Line, LedgerError>> {
    let first = move |folder: &Folder| {
        let months = months_since(folder, since)?;
        Ok(LineReader::new(folder, months).with_line_max(line_max))
    };
    read(folder, first, since)
}

/// The lines that were written then or later, found from the end of the files.
pub(super) fn newest_lines<'a>(
    folder: &Folder,
    since: Timestamp,
) -> BoxStream<'a, Result<Line, LedgerError>> {
    let first = move |folder: &Folder| {
        let months = months_since(folder, Some(since))?;
        let offset = match months.first() {
            Some(month) => offset_before(folder, month, since)?,
            None => 0,
        };
        LineReader::at(folder, months, offset)
    };
    read(folder, first, Some(since))
}

/// The last lines that can be read, at most so many, oldest first. The cost depends on their number, not on the ledger.
pub(super) fn last_lines(folder: &Folder, count: usize) -> Result<Vec<Line>, LedgerError> {
    let months = folder.months()?;
    let mut last = Vec::new();
    for month in months.iter().rev() {
        let missing = count - last.len();
        if missing == 0 {
            break;
        }
        let mut earlier = last_lines_of(folder, month, missing)?;
        earlier.append(&mut last);
        last = earlier;
    }
    Ok(last)
}

fn last_lines_of(folder: &Folder, file: &str, count: usize) -> Result<Vec<Line>, LedgerError> {
    let length = folder.length(file)?;
    let mut window = NEWEST_OCTETS;
    loop {
        let offset = length.saturating_sub(window);
        let mut reader = LineReader::at(folder, vec![file.to_owned()], offset)?;
        let mut lines = Vec::new();
        while let Some(raw) = reader.next()? {
            lines.extend(raw.parse());
        }
        if lines.len() >= count || offset == 0 {
            return Ok(lines.split_off(lines.len().saturating_sub(count)));
        }
        window *= 4;
    }
}

/// The lines from the reader that `first` makes; with `since` only those that were written then or later.
fn read<'a>(
    folder: &Folder,
    first: impl Fn(&Folder) -> Result<LineReader, LedgerError> + Clone + Send + 'static,
    since: Option<Timestamp>,
) -> BoxStream<'a, Result<Line, LedgerError>> {
    let start = (folder.clone(), None);
    let batches = stream::try_unfold(start, move |(folder, reader)| {
        let first = first.clone();
        async move {
            let of = folder.clone();
            let read = move || {
                let reader = reader.map_or_else(|| first(&of), Ok)?;
                next_batch(reader, since)
            };
            let batch = blocking(&folder, LedgerAction::Read, read).await??;
            Ok(batch.map(|(lines, reader)| (lines, (folder, Some(reader)))))
        }
    });
    batches
        .map_ok(|lines| stream::iter(lines.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

/// The next lines, and the reader for those after them; none at the end.
fn next_batch(
    mut reader: LineReader,
    since: Option<Timestamp>,
) -> Result<Option<(Vec<Line>, LineReader)>, LedgerError> {
    let mut lines = Vec::new();
    let mut octets = 0;
    while octets < OCTETS {
        let Some(raw) = reader.next()? else { break };
        octets += raw.text.len();
        let line = raw.parse();
        lines.extend(line.filter(|line| since.is_none_or(|since| line.time >= since)));
    }
    Ok((octets > 0).then_some((lines, reader)))
}

/// The files that can have lines since then: a line is never in a file of an earlier month.
fn months_since(folder: &Folder, since: Option<Timestamp>) -> Result<Vec<String>, LedgerError> {
    let mut months = folder.months()?;
    if let Some(since) = since {
        let first = month(since);
        months.retain(|month| *month >= first);
    }
    Ok(months)
}

/// An offset in a file before which all lines are older; it may be within a line.
fn offset_before(folder: &Folder, file: &str, since: Timestamp) -> Result<u64, LedgerError> {
    let length = folder.length(file)?;
    let mut window = NEWEST_OCTETS;
    while window < length {
        let mut reader = LineReader::at(folder, vec![file.to_owned()], length - window)?;
        // The rest of a line.
        reader.next()?;
        let line = reader.next()?.and_then(|raw| raw.parse());
        if line.is_some_and(|line| line.time < since) {
            return Ok(length - window);
        }
        window *= 4;
    }
    Ok(0)
}
