//! The files of the export: those of one zone and month, one after the other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;

use super::row::mark;
use crate::ledger::line::Line;
use crate::name::DnsName;

/// Rows that a file has at most. A commit has the whole file, so more of them would cost each run time and memory.
const ROWS_MAX: u64 = if cfg!(test) { 8 } else { 5000 };

/// A file with rows of one zone and month (UTC).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MonthFile {
    zone: DnsName,
    month: String,
    /// Counts from 1.
    part: u64,
}

impl MonthFile {
    /// The path below the folder of the export. The labels of a name are letters, digits, hyphens and
    /// underscores.
    pub(super) fn path(&self) -> PathBuf {
        let (month, part) = (&self.month, self.part);
        let name = match part {
            1 => format!("{month}.txt"),
            // After the first one if sorted by name.
            _ => format!("{month}_{part:03}.txt"),
        };
        PathBuf::from(self.zone.as_str()).join(name)
    }

    /// How the file begins.
    pub(super) fn header(&self) -> String {
        let part = match self.part {
            1 => String::new(),
            part => format!(", part {part}"),
        };
        format!(
            "; TXT records that acme-alias changed in {}, {} (UTC){part}\n\
             ; + added and read back, - withdrawn, ! refused, ? outcome not known when it was recorded,\n\
             ; x given up without being removed, # a serial that the operator explained\n",
            self.zone, self.month
        )
    }

    /// When the month began; none for a year that a damaged ledger made up.
    pub(super) fn begin(&self) -> Option<Timestamp> {
        format!("{}-01T00:00:00Z", self.month).parse().ok()
    }
}

/// Gives rows their files, while lines are read from the beginning of a month on.
///
/// Rows of runs that are not exported yet have their places as well, so that no row ever moves to another file.
#[derive(Debug, Default)]
pub(super) struct MonthFiles {
    /// How many rows each zone and month has so far.
    rows: BTreeMap<(DnsName, String), u64>,
}

impl MonthFiles {
    /// The file with the row of the next line; none if the line has no row.
    pub(super) fn file_of(&mut self, line: &Line) -> Option<MonthFile> {
        mark(line.entry.event)?;
        let month = line.time.strftime("%Y-%m").to_string();
        let of_month = (line.entry.zone.clone(), month);
        let rows = self.rows.entry(of_month.clone()).or_default();
        let part = *rows / ROWS_MAX + 1;
        *rows += 1;
        let (zone, month) = of_month;
        Some(MonthFile { zone, month, part })
    }
}
