//! The contract of ledgers.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::error::LedgerError;
use super::line::{Entry, Line};
use super::open_value::OpenValue;
use super::run_id::RunId;
use crate::name::DnsName;

/// The record of all DNS changes, written before they are requested.
///
/// Several processes may use one ledger at the same time. A value is *open* from its intent to add
/// until it is recorded as withdrawn or forgotten. Only these two close it: after a failed or lost
/// request the value may still be in the zone. One zone, name and value is one open value, and the
/// newest intent decides to whom it belongs.
///
/// Every method can be dropped at any time. A dropped [`record`](Ledger::record) has written all of
/// its entries or none, and the caller must expect either.
#[async_trait]
pub trait Ledger: fmt::Debug + Send + Sync {
    /// Writes entries in order under this run; on the disk when one of them is an intent.
    async fn record(&self, run: &RunId, entries: Vec<Entry>) -> Result<(), LedgerError>;

    /// The values that may be in a zone (intent recorded, not withdrawn or forgotten), of all
    /// processes, sorted by name, zone and value. There may be many: the ledger and its callers share them.
    async fn open_values(&self) -> Result<Vec<Arc<OpenValue>>, LedgerError>;

    /// Those of them at these names. The cost depends on the answer, not on the ledger.
    async fn open_values_at(&self, names: &[DnsName]) -> Result<Vec<Arc<OpenValue>>, LedgerError>;

    /// All lines in order, month by month. Memory is bounded. Lines that cannot be read are left out.
    fn lines(&self) -> BoxStream<'_, Result<Line, LedgerError>>;

    /// The lines that were written at this time or later, in order. A ledger that can find them
    /// without reading the older ones overrides this.
    fn lines_since(&self, since: Timestamp) -> BoxStream<'_, Result<Line, LedgerError>> {
        let is_recent = move |line: &Result<Line, LedgerError>| {
            future::ready(line.as_ref().map_or(true, |line| line.time >= since))
        };
        self.lines().filter(is_recent).boxed()
    }

    /// The same for a time that is a minute ago or so. It may leave out lines that were written while the clock
    /// was set back. A ledger that can find the newest lines from its end overrides this.
    fn newest_lines(&self, since: Timestamp) -> BoxStream<'_, Result<Line, LedgerError>> {
        self.lines_since(since)
    }

    /// The last lines, at most so many, oldest first. A ledger that can find them from its end overrides this.
    async fn last_lines(&self, count: usize) -> Result<Vec<Line>, LedgerError> {
        let mut last = VecDeque::new();
        let mut lines = self.lines();
        while let Some(line) = lines.try_next().await? {
            last.push_back(line);
            if last.len() > count {
                last.pop_front();
            }
        }
        Ok(last.into())
    }

    /// Saves what makes the next process start faster, where there is something to save. Call it before
    /// the process ends. A failure is not reported: it costs only time.
    async fn checkpoint(&self) {}
}
