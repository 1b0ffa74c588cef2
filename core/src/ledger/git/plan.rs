//! Which runs are exported, and which rows their files have.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use futures_util::stream::TryStreamExt;
use jiff::Timestamp;

use super::month_file::{MonthFile, MonthFiles};
use crate::ledger::contract::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::line::Line;
use crate::ledger::run_id::RunId;

/// What an export does, found by reading the whole ledger once.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The runs to export, in the order of their first rows.
    pub(super) order: VecDeque<RunId>,
    /// The files that each of them changed.
    pub(super) files: HashMap<RunId, BTreeSet<MonthFile>>,
    /// How many rows of exported runs and of those to export each file has.
    pub(super) rows: BTreeMap<MonthFile, u64>,
    /// The runs that were exported before.
    pub(super) exported: HashSet<RunId>,
}

impl Plan {
    /// Plans the export of all runs that have ended and were not exported. Runs without a row are left
    /// out.
    pub(super) async fn new(
        ledger: &dyn Ledger,
        exported: HashSet<RunId>,
        is_ended: impl Fn(&RunId, Timestamp) -> bool,
    ) -> Result<Self, LedgerError> {
        let mut plan = Plan {
            exported,
            ..Plan::default()
        };
        let mut running = HashSet::new();
        let mut files = MonthFiles::default();
        let mut lines = ledger.lines();
        while let Some(line) = lines.try_next().await? {
            let Some(file) = files.file_of(&line) else {
                continue;
            };
            let Line { run, time, .. } = line;
            if running.contains(&run) {
                continue;
            }
            if !plan.exported.contains(&run) {
                if let Some(files) = plan.files.get_mut(&run) {
                    files.insert(file.clone());
                } else if is_ended(&run, time) {
                    // All its lines are written, so the rest of the stream has the other ones.
                    plan.order.push_back(run.clone());
                    plan.files.insert(run, BTreeSet::from([file.clone()]));
                } else {
                    running.insert(run);
                    continue;
                }
            }
            *plan.rows.entry(file).or_default() += 1;
        }
        let changed: BTreeSet<_> = plan.files.values().flatten().collect();
        plan.rows.retain(|file, _| changed.contains(file));
        Ok(plan)
    }

    /// A time before which no line has a row of the files; none if it is not known.
    pub(super) fn begin(&self) -> Option<Timestamp> {
        let begins = self.rows.keys().map(MonthFile::begin);
        begins.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// Whether the files have rows of this run.
    pub(super) fn includes(&self, run: &RunId) -> bool {
        self.exported.contains(run) || self.files.contains_key(run)
    }
}
