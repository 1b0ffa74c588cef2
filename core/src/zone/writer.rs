//! The handle to the writer of one zone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Mutex as AsyncMutex, OnceCell, mpsc, oneshot};
use tokio::time::Instant;

use super::configured_provider::ConfiguredProvider;
use super::error::{WriteError, ZoneError};
use super::hosting;
use super::recorder::{ChangeContext, ChangeRecorder, Requested};
use super::worker::{Batch, Worker};
use crate::dns::Dns;
use crate::ledger::{Ledger, OpenValue};
use crate::name::DnsName;
use crate::provider::{Applied, ProviderError, Reading, TxtProvider};
use crate::txt::{Action, TxtChange, TxtSets};

/// How long a limit that was learned holds: the backend may have been unable to work for another reason.
const REMEMBER_LIMIT: Duration = Duration::from_hours(1);

/// The writer of one zone through one provider, for certificates with the same DNS client. What waits while a request is under way goes out
/// together in the next one, so a thousand certificates cost a handful of requests, and no two requests
/// of one process race each other.
///
/// The writer's task ends when its last handle is dropped and everything in its queue is done: a caller
/// that is cancelled leaves nothing half done.
pub struct ZoneWriter {
    zone: DnsName,
    provider: Arc<dyn TxtProvider>,
    recorder: Arc<ChangeRecorder>,
    queue: mpsc::UnboundedSender<Vec<Batch>>,
    /// Finds the servers that the zone is delegated to.
    dns: Arc<Dns>,
    /// Set when the delegation was found to lead to the servers of the backend.
    served_here: OnceCell<()>,
    /// How many values at one name the backend has been found to accept, and when.
    learned: Mutex<Option<(usize, Instant)>>,
}

/// Changes that were handed to a writer.
pub(super) struct Write {
    acknowledged: oneshot::Receiver<Applied>,
    outcome: oneshot::Receiver<Result<Applied, WriteError>>,
}

impl Write {
    /// Returns when the backend has acknowledged the changes; `None` if it did not, or not before they were
    /// read back.
    pub(super) async fn acknowledged(&mut self) -> Option<Applied> {
        (&mut self.acknowledged).await.ok()
    }

    /// The outcome, after the changes were read back.
    pub(super) async fn done(self) -> Result<Applied, WriteError> {
        self.outcome.await.unwrap_or(Err(WriteError::Ended))
    }
}

/// What became of values that were left in a zone.
#[derive(Debug, Default)]
pub struct CleanUp {
    /// Those that were there and were removed.
    pub removed: Vec<Arc<OpenValue>>,
    /// How many the backend did not show, so that they had gone already, or were removed before they were shown.
    pub gone: usize,
    /// Those that may still be there, by name, and why.
    pub left: Vec<(Vec<Arc<OpenValue>>, WriteError)>,
}

impl CleanUp {
    /// Whether no value could be removed.
    pub(crate) fn is_stuck(&self) -> bool {
        self.removed.is_empty() && self.gone == 0 && !self.left.is_empty()
    }
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
    /// `configured` opened. Other writers of the zone have the same `turn`.
    pub(super) fn start(
        zone: DnsName,
        configured: Arc<ConfiguredProvider>,
        provider: Arc<dyn TxtProvider>,
        ledger: Arc<dyn Ledger>,
        dns: Arc<Dns>,
        turn: Arc<AsyncMutex<()>>,
    ) -> Self {
        let (queue, batches) = mpsc::unbounded_channel();
        let identity = provider.identity();
        let recorder = ChangeRecorder::new(zone.clone(), identity, configured, ledger);
        let recorder = Arc::new(recorder);
        let worker = Worker {
            zone: zone.clone(),
            provider: Arc::clone(&provider),
            recorder: Arc::clone(&recorder),
            dns: Arc::clone(&dns),
            turn,
        };
        tokio::spawn(worker.run(batches));
        ZoneWriter {
            learned: Mutex::default(),
            served_here: OnceCell::new(),
            zone,
            dns,
            provider,
            recorder,
            queue,
        }
    }

    /// The apex of the zone.
    pub fn zone(&self) -> &DnsName {
        &self.zone
    }

    /// The values that the backend has at these names. Of several zones of one name at the backend, the one is used
    /// from then on that the delegation leads to.
    pub async fn values(&self, names: &[DnsName]) -> Result<TxtSets, ProviderError> {
        match self.provider.values(&self.zone, names).await {
            Err(error) if !error.zones.is_empty() => {
                hosting::choose(&self.dns, &self.zone, &*self.provider, error).await?;
                self.provider.values(&self.zone, names).await
            }
            read => read,
        }
    }

    /// Fails if the delegation leads to other servers than those of the backend. A success is not asked for again.
    pub(super) async fn check_delegation(&self) -> Result<(), ZoneError> {
        let check = || hosting::served_elsewhere(&self.dns, &self.zone, &*self.provider);
        self.served_here.get_or_try_init(check).await.copied()
    }

    /// The serial of the zone, if the backend has one.
    pub async fn serial(&self) -> Result<Option<u32>, ProviderError> {
        self.provider.serial(&self.zone).await
    }

    /// Waits until the backend says that all its servers have what was `applied`.
    pub async fn settle(&self, applied: &Applied) -> Result<(), ProviderError> {
        self.provider.settle(&self.zone, applied).await
    }

    /// How many values at one name the backend accepts, as far as is known.
    pub fn values_per_name(&self) -> usize {
        let limit = self.provider.limits().values_per_name;
        let learned = *self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let learned = learned.filter(|(_, since)| since.elapsed() < REMEMBER_LIMIT);
        learned.map_or(limit, |(learned, _)| learned.min(limit))
    }

    /// Notes that the backend did not accept more values at one name.
    pub(super) fn limit_values_per_name(&self, values: usize) {
        let known = self.values_per_name();
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        *learned = Some((known.min(values.max(1)), Instant::now()));
    }

    /// The time to live of records that are written here, in seconds: what is configured, or what the backend
    /// makes of it.
    pub(super) fn ttl(&self) -> u32 {
        self.recorder.ttl()
    }

    /// Makes all changes in one request, if the backend takes them, and reads back that they were made. Each
    /// list of changes has an outcome of its own.
    pub(super) async fn write_together(
        &self,
        lists: Vec<Vec<Requested>>,
    ) -> Vec<Result<Applied, WriteError>> {
        let writes = self.begin_together(lists).into_iter();
        join_all(writes.map(Write::done)).await
    }

    /// Begins the same.
    pub(super) fn begin_together(&self, lists: Vec<Vec<Requested>>) -> Vec<Write> {
        let (mut batches, mut writes) = (Vec::new(), Vec::new());
        for changes in lists {
            let (acknowledge, acknowledged) = oneshot::channel();
            let (done, outcome) = oneshot::channel();
            batches.push(Batch {
                changes,
                acknowledged: Some(acknowledge),
                done,
            });
            writes.push(Write {
                acknowledged,
                outcome,
            });
        }
        // A writer that has ended drops the batches, and with them the senders.
        let _ = self.queue.send(batches);
        writes
    }

    /// Removes values that were left in this zone, and records that they are gone. One that cannot be removed does not
    /// keep those at other names.
    ///
    /// Removals are also sent of values that the backend does not show: a secondary that forwards updates, and servers that
    /// are read in place of a backend, show a value later than it was added.
    pub async fn clean_up(
        &self,
        left: &[Arc<OpenValue>],
        context: &ChangeContext,
    ) -> Result<CleanUp, WriteError> {
        let mut by_name: BTreeMap<&DnsName, Vec<&Arc<OpenValue>>> = BTreeMap::new();
        for open in left {
            by_name.entry(&open.name).or_default().push(open);
        }
        let names: Vec<_> = by_name.keys().copied().cloned().collect();
        let there = self.values(&names).await?;
        let requested = |open: &&Arc<OpenValue>| Requested {
            change: TxtChange {
                name: open.name.clone(),
                value: open.value.clone(),
                action: Action::Remove,
                ttl: there.get(&open.name).and_then(|set| set.ttl),
            },
            context: ChangeContext {
                run: context.run.clone(),
                origin: open.origin.clone(),
            },
        };
        let groups: Vec<_> = by_name.into_values().collect();
        let removals = groups
            .iter()
            .map(|values| values.iter().map(requested).collect());
        let mut outcomes = self.write_together(removals.collect()).await;
        if self.provider.reading() == Reading::AtServers {
            self.still_there(&names, &groups, &mut outcomes).await;
        }
        let mut cleaned = CleanUp::default();
        for (values, outcome) in groups.into_iter().zip(outcomes) {
            let values = values.into_iter().cloned();
            if let Err(error) = outcome {
                cleaned.left.push((values.collect(), error));
                continue;
            }
            let (removed, gone): (Vec<_>, Vec<_>) = values.partition(|open| shows(&there, open));
            cleaned.removed.extend(removed);
            cleaned.gone += gone.len();
        }
        Ok(cleaned)
    }

    /// Makes errors of the removals after which the servers still show a value: the backend has accepted them, and
    /// nothing else would be reported.
    async fn still_there(
        &self,
        names: &[DnsName],
        groups: &[Vec<&Arc<OpenValue>>],
        outcomes: &mut [Result<Applied, WriteError>],
    ) {
        // If they cannot be read now, the next run reads them again: they are open in the ledger.
        let Ok(there) = self.values(names).await else {
            return;
        };
        for ((name, values), outcome) in names.iter().zip(groups).zip(outcomes) {
            let left = values.iter().filter(|open| shows(&there, open));
            let left: Vec<_> = left.map(|open| open.value.clone()).collect();
            if !left.is_empty() && outcome.is_ok() {
                *outcome = Err(WriteError::NotCarriedOut {
                    server: self.provider.identity().endpoint,
                    name: name.clone(),
                    values: left,
                    action: Action::Remove,
                });
            }
        }
    }
}

/// Whether the backend shows the value.
fn shows(sets: &TxtSets, open: &OpenValue) -> bool {
    let set = sets.get(&open.name);
    set.is_some_and(|set| set.contains(&open.value))
}

#[cfg(test)]
mod tests;
