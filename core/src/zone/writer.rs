//! The handle to the writer of one zone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};

use super::configured_provider::ConfiguredProvider;
use super::error::WriteError;
use super::recorder::{BackendAnswer, ChangeContext, ChangeRecorder, Requested};
use super::worker::{Batch, Worker};
use crate::ledger::{Event, Ledger, OpenValue};
use crate::name::DnsName;
use crate::provider::{Applied, ProviderError, TxtProvider};
use crate::txt::{Action, TxtChange, TxtRecord, TxtSets};

/// The writer of one zone through one provider. What waits while a request is under way goes out
/// together in the next one, so a thousand certificates cost a handful of requests, and no two requests
/// of one process race each other.
///
/// The writer's task ends when its last handle is dropped and everything in its queue is done: a caller
/// that is cancelled leaves nothing half done.
pub struct ZoneWriter {
    zone: DnsName,
    provider: Arc<dyn TxtProvider>,
    recorder: Arc<ChangeRecorder>,
    queue: mpsc::UnboundedSender<Batch>,
}

/// What became of values that were left in a zone.
#[derive(Debug, Default)]
pub struct CleanUp {
    /// Those that were there and were removed.
    pub removed: Vec<OpenValue>,
    /// How many had gone already.
    pub gone: usize,
    /// Those that may still be there, and why.
    pub left: Vec<(OpenValue, WriteError)>,
}

impl fmt::Debug for ZoneWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoneWriter")
            .field("zone", &self.zone)
            .finish_non_exhaustive()
    }
}

impl ZoneWriter {
    /// Starts the writer of `zone`, which records every change in `ledger`. `provider` is what
    /// `configured` opened.
    pub(super) fn start(
        zone: DnsName,
        configured: Arc<ConfiguredProvider>,
        provider: Arc<dyn TxtProvider>,
        ledger: Arc<dyn Ledger>,
    ) -> Self {
        let (queue, batches) = mpsc::unbounded_channel();
        let identity = provider.identity();
        let recorder = ChangeRecorder::new(zone.clone(), identity, configured, ledger);
        let recorder = Arc::new(recorder);
        let worker = Worker {
            zone: zone.clone(),
            provider: Arc::clone(&provider),
            recorder: Arc::clone(&recorder),
        };
        tokio::spawn(worker.run(batches));
        ZoneWriter {
            zone,
            provider,
            recorder,
            queue,
        }
    }

    /// The apex of the zone.
    pub fn zone(&self) -> &DnsName {
        &self.zone
    }

    /// The values that the backend has at these names.
    pub async fn values(&self, names: &[DnsName]) -> Result<TxtSets, ProviderError> {
        self.provider.values(&self.zone, names).await
    }

    /// The serial of the zone, if the backend has one.
    pub async fn serial(&self) -> Result<Option<u32>, ProviderError> {
        self.provider.serial(&self.zone).await
    }

    /// Waits until the backend says that all its servers have what was `applied`.
    pub async fn settle(&self, applied: &Applied) -> Result<(), ProviderError> {
        self.provider.settle(&self.zone, applied).await
    }

    /// Does `action` with every record, and reads back that it was done.
    pub async fn write(
        &self,
        action: Action,
        records: &[TxtRecord],
        context: &ChangeContext,
    ) -> Result<Applied, WriteError> {
        let requested = |record: &TxtRecord| Requested {
            change: TxtChange {
                name: record.name.clone(),
                value: record.value.clone(),
                action,
            },
            context: context.clone(),
        };
        self.send(records.iter().map(requested).collect()).await
    }

    /// Removes values that were left in this zone, if they are still there, and records that they are
    /// gone. One that cannot be removed does not keep those at other names.
    pub async fn clean_up(
        &self,
        left: &[OpenValue],
        context: &ChangeContext,
    ) -> Result<CleanUp, WriteError> {
        let names: BTreeSet<_> = left.iter().map(|open| open.name.clone()).collect();
        let there = self.values(&names.into_iter().collect::<Vec<_>>()).await?;
        let is_there = |open: &&OpenValue| {
            let values = there.get(&open.name);
            values.is_some_and(|values| values.contains(&open.value))
        };
        let (present, gone): (Vec<_>, Vec<_>) = left.iter().partition(is_there);
        let requested = |open: &&OpenValue| Requested {
            change: TxtChange {
                name: open.name.clone(),
                value: open.value.clone(),
                action: Action::Remove,
            },
            context: ChangeContext {
                run: context.run.clone(),
                origin: open.origin.clone(),
            },
        };
        let closed: Vec<_> = gone.iter().map(requested).collect();
        let answer = BackendAnswer::default();
        self.recorder
            .record(Event::Withdrawn, &closed, &answer)
            .await?;
        let mut by_name: BTreeMap<&DnsName, Vec<&OpenValue>> = BTreeMap::new();
        for open in present {
            by_name.entry(&open.name).or_default().push(open);
        }
        let removals = by_name.into_values().map(async |values| {
            let outcome = self.send(values.iter().map(requested).collect()).await;
            (values.into_iter().cloned(), outcome)
        });
        let mut cleaned = CleanUp {
            gone: gone.len(),
            ..CleanUp::default()
        };
        for (values, outcome) in join_all(removals).await {
            match outcome {
                Ok(_) => cleaned.removed.extend(values),
                Err(error) => cleaned
                    .left
                    .extend(values.map(|value| (value, error.clone()))),
            }
        }
        Ok(cleaned)
    }

    async fn send(&self, changes: Vec<Requested>) -> Result<Applied, WriteError> {
        let (done, outcome) = oneshot::channel();
        let batch = Batch { changes, done };
        self.queue.send(batch).map_err(|_| WriteError::Ended)?;
        outcome.await.map_err(|_| WriteError::Ended)?
    }
}
