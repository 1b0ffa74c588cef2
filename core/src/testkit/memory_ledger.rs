//! A ledger in memory, for tests of what writes to one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::clock::{Clock, SystemClock};
use crate::ledger::{Entry, Ledger, LedgerAction, LedgerError, Line, OpenValue, OpenValues, RunId};
use crate::name::DnsName;

/// A ledger in memory. Tasks that share it see what the others wrote, as processes that share files do.
#[derive(Debug)]
pub struct MemoryLedger {
    clock: Arc<dyn Clock>,
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    lines: Vec<Line>,
    open: OpenValues,
}

impl Default for MemoryLedger {
    fn default() -> Self {
        MemoryLedger::new(Arc::new(SystemClock))
    }
}

impl MemoryLedger {
    /// An empty ledger. `clock` gives lines their time.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        MemoryLedger {
            clock,
            content: Mutex::default(),
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn record(&self, run: &RunId, entries: Vec<Entry>) -> Result<(), LedgerError> {
        let mut content = self.content();
        let mut lines = Vec::with_capacity(entries.len());
        let now = self.clock.now();
        for entry in entries {
            let last: Option<&Line> = lines.last().or(content.lines.last());
            let (sequence, hash) = last.map_or((0, ""), |last| (last.sequence, &last.hash));
            let line = Line::following(sequence, hash, now, run, entry);
            lines.push(line.map_err(|error| LedgerError::Unavailable {
                action: LedgerAction::Write,
                location: "in memory".to_owned(),
                source: Arc::new(error),
            })?);
        }
        for line in &lines {
            content.open.apply(line);
        }
        content.lines.extend(lines);
        Ok(())
    }

    async fn open_values(&self) -> Result<Vec<Arc<OpenValue>>, LedgerError> {
        Ok(self.content().open.iter().cloned().collect())
    }

    async fn open_values_at(&self, names: &[DnsName]) -> Result<Vec<Arc<OpenValue>>, LedgerError> {
        Ok(self.content().open.at(names))
    }

    fn lines(&self) -> BoxStream<'_, Result<Line, LedgerError>> {
        let lines = self.content().lines.clone();
        stream::iter(lines.into_iter().map(Ok)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::ledger::{Fixture, Place, run};

    struct InMemory;

    #[async_trait]
    impl Fixture for InMemory {
        async fn empty(&self) -> Box<dyn Place> {
            Box::new(Shared(Arc::default()))
        }
    }

    struct Shared(Arc<MemoryLedger>);

    #[async_trait]
    impl Place for Shared {
        async fn open(&self) -> Result<Arc<dyn Ledger>, LedgerError> {
            Ok(Arc::clone(&self.0) as Arc<dyn Ledger>)
        }
    }

    #[tokio::test]
    async fn a_ledger_in_memory_keeps_the_contract() {
        let outcome = run(&InMemory).await;
        assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    }
}
