//! Lines of the ledger as text for people.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::ledger::line::{Entry, Event, Line};
use crate::ledger::run_id::RunId;
use crate::name::DnsName;
use crate::txt::{Action, TxtValue};

/// A line that tells what became of a change.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(super) run: RunId,
    pub(super) time: Timestamp,
    /// What became of it, as the header of the file explains.
    pub(super) mark: char,
    pub(super) certificate: Option<String>,
    pub(super) name: DnsName,
    /// What the value is.
    pub(super) kind: &'static str,
    pub(super) value: TxtValue,
    /// The number and the hash of the line of the ledger.
    pub(super) line: (u64, String),
    /// The line in the file, with its line feed.
    pub(super) text: String,
}

impl Row {
    /// The row of a line; none for an intent or an acknowledgement.
    pub(super) fn new(line: &Line) -> Option<Self> {
        let entry = &line.entry;
        let mark = mark(entry.event)?;
        Some(Row {
            run: line.run.clone(),
            time: line.time,
            mark,
            certificate: entry.origin.certificate.clone(),
            name: entry.name.clone(),
            kind: kind(entry),
            value: entry.value.clone(),
            line: (line.sequence, line.hash.clone()),
            text: text(line, mark),
        })
    }

    /// The certificate for which the change was made, in words.
    pub(super) fn certificate(&self) -> &str {
        certificate(self.certificate.as_deref())
    }
}

/// What became of a change, as the header of the file explains; none if that is not known yet.
pub(super) fn mark(event: Event) -> Option<char> {
    Some(match event {
        Event::Verified => '+',
        Event::Withdrawn => '-',
        Event::Failed => '!',
        Event::Unknown => '?',
        Event::Forgotten => 'x',
        Event::SerialExplained => '#',
        Event::Intent | Event::Acknowledged => return None,
    })
}

fn certificate(id: Option<&str>) -> &str {
    id.unwrap_or("no certificate")
}

/// The type of the record, or `serial` for a note about the serial of the zone.
fn kind(entry: &Entry) -> &'static str {
    match entry.event {
        Event::SerialExplained => "serial",
        _ => "TXT",
    }
}

fn text(line: &Line, mark: char) -> String {
    let entry = &line.entry;
    let mut text = format!(
        "{} {} {} {} \"{}\" ; for {} by {}",
        line.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        mark,
        entry.name.fqdn(),
        match (entry.action, entry.ttl) {
            (Action::Add, Some(ttl)) => format!("{ttl} {}", kind(entry)),
            _ => kind(entry).to_owned(),
        },
        entry.value.as_str().escape_debug(),
        certificate(entry.origin.certificate.as_deref()).escape_debug(),
        entry.provider.escape_debug(),
    );
    // Writing to a String cannot fail.
    if let Some(key) = &entry.key {
        let _ = write!(text, " with {}", key.escape_debug());
    }
    if let Some(server) = &entry.server {
        let _ = write!(text, " at {}", server.escape_debug());
    }
    if let Some(serial) = entry.serial {
        let _ = write!(text, ", serial {} -> {}", serial.before, serial.after);
    }
    let _ = writeln!(text, ", line {} of {}", line.sequence, line.run);
    text
}
