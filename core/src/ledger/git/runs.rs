//! What each run changed, as the files of a commit.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use futures_util::stream::{BoxStream, TryStreamExt};
use jiff::Timestamp;

use super::message::message;
use super::month_file::{MonthFile, MonthFiles};
use super::plan::Plan;
use super::row::Row;
use crate::ledger::contract::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::line::Line;
use crate::ledger::run_id::RunId;

/// What one run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunExport {
    /// The run.
    pub(crate) run: RunId,
    /// When its last row was recorded.
    pub(crate) time: Timestamp,
    /// The message of its commit.
    pub(crate) message: String,
    /// The files that it changed, below the folder of the export: their whole text after this run and
    /// those before it.
    pub(crate) files: BTreeMap<PathBuf, String>,
}

/// The runs to export, one after the other, in the order of their first rows.
///
/// In memory are the rows, as far as they were read, of the files that runs still need: neither the whole ledger nor the
/// whole month.
pub(crate) struct RunExports<'a> {
    plan: Plan,
    lines: BoxStream<'a, Result<Line, LedgerError>>,
    /// Whether all lines were read.
    is_read: bool,
    /// What is known of the files that are still needed.
    rows: BTreeMap<MonthFile, Vec<Piece>>,
    /// Gives rows their files.
    all_files: MonthFiles,
    count: u64,
    /// How many runs still need each file.
    users: BTreeMap<MonthFile, usize>,
    /// The runs to export that have been exported.
    done: HashSet<RunId>,
}

/// A part of a file.
enum Piece {
    /// Rows of runs that were exported before.
    Exported(String),
    /// A row of a run to export, with its place among all rows.
    Ours(u64, Row),
}

impl<'a> RunExports<'a> {
    /// The runs that have ended, apart from those that were exported before.
    pub(crate) async fn new(
        ledger: &'a dyn Ledger,
        exported: HashSet<RunId>,
        is_ended: impl Fn(&RunId, Timestamp) -> bool,
    ) -> Result<Self, LedgerError> {
        let plan = Plan::new(ledger, exported, is_ended).await?;
        let mut users = BTreeMap::new();
        for file in plan.files.values().flatten() {
            *users.entry(file.clone()).or_default() += 1;
        }
        let lines = match plan.begin() {
            Some(begin) => ledger.lines_since(begin),
            None => ledger.lines(),
        };
        Ok(RunExports {
            is_read: plan.order.is_empty(),
            plan,
            lines,
            rows: BTreeMap::new(),
            all_files: MonthFiles::default(),
            count: 0,
            users,
            done: HashSet::new(),
        })
    }

    /// The next run.
    pub(crate) async fn next(&mut self) -> Result<Option<RunExport>, LedgerError> {
        loop {
            let Some(run) = self.plan.order.front() else {
                return Ok(None);
            };
            let needed = self.plan.files.get(run).into_iter().flatten();
            let rows_left = needed
                .filter_map(|file| self.plan.rows.get(file))
                .sum::<u64>();
            if rows_left == 0 || self.is_read {
                return Ok(self.take_next());
            }
            match self.lines.try_next().await? {
                Some(line) => self.read(&line),
                None => self.is_read = true,
            }
        }
    }

    fn read(&mut self, line: &Line) {
        let Some(file) = self.all_files.file_of(line) else {
            return;
        };
        if !self.plan.includes(&line.run) {
            return;
        }
        let Some(left) = self.plan.rows.get_mut(&file) else {
            return;
        };
        *left = left.saturating_sub(1);
        self.count += 1;
        if self.users.contains_key(&file)
            && let Some(row) = Row::new(line)
        {
            let pieces = self.rows.entry(file).or_default();
            if !self.plan.exported.contains(&row.run) {
                pieces.push(Piece::Ours(self.count, row));
            } else if let Some(Piece::Exported(text)) = pieces.last_mut() {
                *text += &row.text;
            } else {
                pieces.push(Piece::Exported(row.text));
            }
        }
    }

    fn take_next(&mut self) -> Option<RunExport> {
        let run = self.plan.order.pop_front()?;
        let files = self.plan.files.get(&run).cloned().unwrap_or_default();
        self.done.insert(run.clone());
        let pieces = files.iter().filter_map(|file| self.rows.get(file));
        let mut ours: Vec<_> = pieces
            .flatten()
            .filter_map(|piece| match piece {
                Piece::Ours(place, row) if row.run == run => Some((place, row)),
                _ => None,
            })
            .collect();
        ours.sort_by_key(|(place, _)| *place);
        let ours: Vec<_> = ours.into_iter().map(|(_, row)| row).collect();
        let export = RunExport {
            time: ours.last().map_or(Timestamp::UNIX_EPOCH, |row| row.time),
            message: message(&run, &ours),
            files: files
                .iter()
                .map(|file| (file.path(), self.text(file)))
                .collect(),
            run,
        };
        for file in &files {
            self.release(file);
        }
        Some(export)
    }

    /// The text of a file, with the rows of all runs that have been exported.
    fn text(&self, file: &MonthFile) -> String {
        let mut text = file.header();
        for piece in self.rows.get(file).into_iter().flatten() {
            match piece {
                Piece::Exported(rows) => text += rows,
                Piece::Ours(_, row) if self.done.contains(&row.run) => text += &row.text,
                Piece::Ours(..) => {}
            }
        }
        text
    }

    fn release(&mut self, file: &MonthFile) {
        if let Some(users) = self.users.get_mut(file) {
            *users -= 1;
            if *users == 0 {
                self.users.remove(file);
                self.rows.remove(file);
            }
        }
    }
}
