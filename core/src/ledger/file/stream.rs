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

/// All lines that can be read, in order; with `since` only those that were written then or later.
pub(super) fn lines<'a>(
    folder: &Folder,
    since: Option<Timestamp>,
) -> BoxStream<'a, Result<Line, LedgerError>> {
    let start = (folder.clone(), None);
    let batches = stream::try_unfold(start, move |(folder, reader)| async move {
        let of = folder.clone();
        let read = move || next_batch(&of, reader, since);
        let batch = blocking(&folder, LedgerAction::Read, read).await??;
        Ok(batch.map(|(lines, reader)| (lines, (folder, Some(reader)))))
    });
    batches
        .map_ok(|lines| stream::iter(lines.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

/// The next lines, and the reader for those after them; none at the end.
fn next_batch(
    folder: &Folder,
    reader: Option<LineReader>,
    since: Option<Timestamp>,
) -> Result<Option<(Vec<Line>, LineReader)>, LedgerError> {
    let mut reader = match reader {
        Some(reader) => reader,
        None => LineReader::new(folder, months_since(folder, since)?),
    };
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
