//! What each run changed, as the files of a commit.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use futures_util::stream::{BoxStream, TryStreamExt};
use jiff::Timestamp;

use super::message::message;
use super::plan::Plan;
use super::row::{MonthFile, Row};
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
    /// The files that it changed, below the folder of the export: the whole text after this run and
    /// those before it.
    pub(crate) files: BTreeMap<PathBuf, String>,
}

/// The runs to export, one after the other, in the order of their first rows.
///
/// In memory are the rows of the months between the beginning of the oldest run that waits and its
/// end, not the whole ledger.
pub(crate) struct RunExports<'a> {
    plan: Plan,
    lines: BoxStream<'a, Result<Line, LedgerError>>,
    /// Whether all lines were read.
    is_read: bool,
    /// The rows of the files that are still needed, with their place among all rows.
    rows: BTreeMap<MonthFile, Vec<(u64, Row)>>,
    count: u64,
    /// How many runs still need each file.
    users: BTreeMap<MonthFile, usize>,
    /// The runs to export that have been exported.
    done: HashSet<RunId>,
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
        let Some(row) = Row::new(line) else { return };
        if !self.plan.includes(&row.run) {
            return;
        }
        if let Some(left) = self.plan.rows.get_mut(&row.file) {
            *left = left.saturating_sub(1);
            self.count += 1;
            if self.users.contains_key(&row.file) {
                let rows = self.rows.entry(row.file.clone()).or_default();
                rows.push((self.count, row));
            }
        }
    }

    fn take_next(&mut self) -> Option<RunExport> {
        let run = self.plan.order.pop_front()?;
        let files = self.plan.files.get(&run).cloned().unwrap_or_default();
        self.done.insert(run.clone());
        let rows = files
            .iter()
            .filter_map(|file| self.rows.get(file))
            .flatten();
        let mut ours: Vec<_> = rows.filter(|(_, row)| row.run == run).collect();
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
        let rows = self.rows.get(file).into_iter().flatten();
        let is_exported = |run: &RunId| self.plan.exported.contains(run) || self.done.contains(run);
        let exported = rows.filter(|(_, row)| is_exported(&row.run));
        exported.fold(file.header(), |text, (_, row)| text + &row.text)
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
