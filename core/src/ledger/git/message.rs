//! The message of a run's commit.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::row::Row;
use crate::ledger::run_id::RunId;

/// The trailer that names the run in the message of its commit.
pub const RUN_TRAILER: &str = "Acme-Alias-Run";

/// The trailer with the number and the hash of the run's last line in the ledger.
pub(super) const LEDGER_TRAILER: &str = "Acme-Alias-Ledger";

/// The most certificates that a subject names; more are counted.
const NAMED: usize = 4;

/// Which certificates caused which changes: a subject, an empty line, a list, and the trailers.
pub(super) fn message(run: &RunId, rows: &[&Row]) -> String {
    let mut by_certificate: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        by_certificate
            .entry(row.certificate())
            .or_default()
            .push(row);
    }
    let who = if by_certificate.len() > NAMED {
        format!("{} certificates", by_certificate.len())
    } else {
        let ids = by_certificate
            .keys()
            .map(|id| id.escape_debug().to_string());
        ids.collect::<Vec<_>>().join(", ")
    };
    let count = |mark| rows.iter().filter(|row| row.mark == mark).count();
    let mut message = format!("{who}: {} added, {} withdrawn\n", count('+'), count('-'));
    // Writing to a String cannot fail.
    for (certificate, rows) in by_certificate {
        let _ = write!(message, "\n{}\n", certificate.escape_debug());
        for row in rows {
            let (name, value) = (row.name.fqdn(), row.value.as_str().escape_debug());
            let _ = writeln!(message, "  {} {name} {} \"{value}\"", row.mark, row.kind);
        }
    }
    let _ = write!(message, "\n{RUN_TRAILER}: {run}\n");
    if let Some((sequence, hash)) = rows.last().map(|row| &row.line) {
        // Escaped: a damaged ledger can contain any text in place of a hash.
        let hash = hash.escape_debug();
        let _ = writeln!(message, "{LEDGER_TRAILER}: {sequence} {hash}");
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::line::Line;

    #[test]
    fn a_forged_hash_adds_no_trailer() {
        let line = include_str!("../../../../fuzz/seeds/ledger/forged-hash.jsonl");
        let line: Line = serde_json::from_str(line).unwrap();
        let row = Row::new(&line).unwrap();
        let message = message(&line.run, &[&row]);
        let trailers: Vec<_> = message.lines().rev().take(3).collect();
        let run = format!("{RUN_TRAILER}: {}", line.run);
        assert_eq!(trailers[1..], [run.as_str(), ""]);
        assert!(trailers[0].starts_with(LEDGER_TRAILER), "{message}");
    }
}
