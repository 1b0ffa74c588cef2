//! The lines of the ledger, printed one by one: it may be longer than memory.

use std::io::{BufWriter, Stdout, Write, stdout};

use crate::failure::forget_command;
use crate::fill::{WIDTH, fill};
use acme_alias_core::engine::{LeftValue, LeftValues};
use acme_alias_core::ledger::{Entry, Event, Line, SerialStep};
use acme_alias_core::printable::printable;
use jiff::Timestamp;

use super::format::Format;
use super::json;
use super::words::counted;

/// Prints lines as they come.
pub(crate) struct LedgerPrinter {
    format: Format,
    out: BufWriter<Stdout>,
    lines: u64,
}

impl LedgerPrinter {
    pub(super) fn new(format: Format) -> Self {
        let mut printer = LedgerPrinter {
            format,
            out: BufWriter::new(stdout()),
            lines: 0,
        };
        if format == Format::Json {
            printer.print("{\"changes\":[");
        }
        printer
    }

    pub(crate) fn line(&mut self, line: &Line) {
        let text = match self.format {
            Format::Human => in_words(line),
            Format::Json => {
                let separator = if self.lines == 0 { "" } else { "," };
                // A line is made of texts and numbers, which are JSON in any case.
                format!("{separator}{}", json::text(&serde_json::json!(line)))
            }
        };
        self.print(&text);
        self.lines += 1;
    }

    pub(crate) fn finish(mut self) {
        match self.format {
            Format::Human if self.lines == 0 => self.print("No DNS change is on record.\n"),
            Format::Human => {}
            Format::Json => self.print("]}\n"),
        }
        // A reader that went away has seen what it wanted.
        let _ = self.out.flush();
    }

    fn print(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
    }
}

fn in_words(line: &Line) -> String {
    let entry = &line.entry;
    let mut text = format!(
        "{:>6}  {}  {:12} {:6} {}  {}  {}\n",
        line.sequence,
        second(line.time),
        entry.event,
        change(entry),
        entry.name,
        entry.value,
        printable(entry.origin.certificate.as_deref().unwrap_or("-")),
    );
    if let Some(response) = entry.response.as_deref().map(printable) {
        let answer = fill(
            &format!("answer: {response}"),
            WIDTH,
            "        ",
            "          ",
        );
        text.push_str(&format!("{answer}\n"));
    }
    text
}

/// What happened to the value, or how the serial moved.
fn change(entry: &Entry) -> String {
    match entry
        .serial
        .filter(|_| entry.event == Event::SerialExplained)
    {
        Some(SerialStep { before, after }) => format!("{before} -> {after}"),
        None => entry.action.to_string(),
    }
}

pub(super) fn second(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Values that could not be removed.
pub(super) fn left_values(left: &LeftValues) -> String {
    let mut text: String = left.first().iter().map(left_value).collect();
    for (zone, others) in left.others() {
        let values = counted(*others, "other value", "other values");
        text.push_str(&format!("  {values} in {zone}\n"));
    }
    text
}

fn left_value(left: &LeftValue) -> String {
    format!(
        "  {} in {}: {}\n    to drop it from the ledger:\n      {}\n",
        left.value.name,
        left.value.zone,
        left.reason,
        forget_command(&left.value)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_a_damaged_ledger_controls_no_terminal() {
        let line = r#"{"sequence":1,"time":"2026-11-24T00:00:01Z","run":"a","event":"failed","action":"add",
            "certificate":"\u001b[2J","order":null,"zone":"auth.example.net","provider":"rfc2136","key":null,
            "name":"_acme-challenge.auth.example.net","value":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "ttl":60,"server":null,"response":"first\nsecond\u001b[2J","previous":""}"#;
        let text = in_words(&serde_json::from_str(line).unwrap());
        let (first, second) = text.split_once('\n').unwrap();
        assert!(first.ends_with("  \\u{1b}[2J"), "{first}");
        assert_eq!(second, "        answer: first second\\u{1b}[2J\n");
    }
}
