//! One writer per alias zone. What waits while a request is under way goes out together in the
//! next one, so a thousand certificates cost a handful of requests, and no two requests of one
//! process race each other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info};

use super::TxtRecord;
use crate::name::DnsName;
use crate::provider::{
    Action, Applied, Failure, ProviderError, TxtChange, TxtProvider, TxtSets, TxtValue,
};

/// The handle to a zone's writer. The writer ends when its last handle is dropped and
/// everything handed in has been carried out: a caller that is cancelled leaves nothing half done.
pub struct ZoneWriter {
    zone: DnsName,
    provider: Arc<dyn TxtProvider>,
    queue: mpsc::UnboundedSender<Job>,
}

impl fmt::Debug for ZoneWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoneWriter")
            .field("zone", &self.zone)
            .finish_non_exhaustive()
    }
}

/// Why a change was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// The backend said no, or could not be asked.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The backend said yes, and the values are not as they should be.
    #[error("{server} took the change, but reading back shows that {} at {name} {}",
        .values.iter().map(TxtValue::as_str).collect::<Vec<_>>().join(", "),
        if *.action == Action::Add { "is missing" } else { "is still there" })]
    NotCarriedOut {
        /// Who took the change.
        server: String,
        /// The alias name.
        name: DnsName,
        /// The values that are not as they should be.
        values: Vec<TxtValue>,
        /// What should have happened to them.
        action: Action,
    },
    /// The writer's task is gone.
    #[error("the writer of this zone has ended")]
    Ended,
}

impl WriteError {
    /// What the reader can do about it.
    pub fn remedy(&self) -> String {
        match self {
            WriteError::Provider(error) => error.remedy.clone(),
            WriteError::NotCarriedOut {
                action: Action::Add,
                name,
                ..
            } => format!(
                "a server drops TXT silently where a CNAME stands at {name}, and where the \
                 key's policy limits the number of records, such as `TXT(2)`: look at both"
            ),
            WriteError::NotCarriedOut { name, .. } => {
                format!("see whether something else writes at {name}, and remove the value by hand")
            }
            WriteError::Ended => "this is a defect of the program; please report it".to_owned(),
        }
    }
}

struct Job {
    changes: Vec<TxtChange>,
    done: oneshot::Sender<Result<Applied, WriteError>>,
}

impl ZoneWriter {
    /// Starts the writer of `zone`.
    pub fn start(zone: DnsName, provider: Arc<dyn TxtProvider>) -> Self {
        let (queue, jobs) = mpsc::unbounded_channel();
        let worker = Worker {
            zone: zone.clone(),
            provider: Arc::clone(&provider),
        };
        tokio::spawn(worker.run(jobs));
        ZoneWriter {
            zone,
            provider,
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

    /// Waits until the backend says that all its servers have what was `applied`.
    pub async fn settle(&self, applied: &Applied) -> Result<(), ProviderError> {
        self.provider.settle(&self.zone, applied).await
    }

    /// Does `action` with every record, and reads back that it was done.
    pub async fn write(
        &self,
        action: Action,
        records: &[TxtRecord],
    ) -> Result<Applied, WriteError> {
        let changes = records
            .iter()
            .map(|record| TxtChange {
                name: record.name.clone(),
                value: record.value.clone(),
                action,
            })
            .collect();
        let (done, outcome) = oneshot::channel();
        self.queue
            .send(Job { changes, done })
            .map_err(|_| WriteError::Ended)?;
        outcome.await.map_err(|_| WriteError::Ended)?
    }
}

struct Worker {
    zone: DnsName,
    provider: Arc<dyn TxtProvider>,
}

impl Worker {
    async fn run(self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        while let Some(first) = jobs.recv().await {
            let mut waiting = vec![first];
            while let Ok(next) = jobs.try_recv() {
                waiting.push(next);
            }
            self.carry_out(waiting).await;
        }
    }

    async fn carry_out(&self, jobs: Vec<Job>) {
        let all: Vec<_> = jobs.iter().flat_map(|job| &job.changes).cloned().collect();
        match self.change(&all).await {
            // One change that the backend will not have must not fail those of others.
            Err(WriteError::Provider(error)) if jobs.len() > 1 && is_about_a_change(&error) => {
                for job in jobs {
                    let outcome = self.change(&job.changes).await;
                    let _ = job.done.send(outcome);
                }
            }
            Err(WriteError::NotCarriedOut { .. }) if jobs.len() > 1 => {
                for job in jobs {
                    let outcome = self.read_back(&job.changes, "the server").await;
                    let _ = job.done.send(outcome.map(|()| Applied::default()));
                }
            }
            outcome => {
                for job in jobs {
                    // The receiver is gone where the run was cancelled; the change stands, and
                    // the run's withdrawal follows in this very queue.
                    let _ = job.done.send(outcome.clone());
                }
            }
        }
    }

    /// The life of a change: intent, request, acknowledgement, read back. A ledger records each
    /// of these four; the intent before the request, so that no crash leaves a value unknown.
    async fn change(&self, changes: &[TxtChange]) -> Result<Applied, WriteError> {
        for change in changes {
            info!(zone = %self.zone, name = %change.name, value = %change.value, action = ?change.action, "intent");
        }
        let applied = match self.provider.apply(&self.zone, changes).await {
            Ok(applied) => {
                info!(zone = %self.zone, server = %applied.server, requests = applied.requests, changes = changes.len(), "acknowledged");
                applied
            }
            Err(error) if error.failure == Failure::UnknownOutcome => {
                debug!(zone = %self.zone, %error, "unknown outcome");
                // Reading back decides; where that shows it undone, the error is the first one.
                return match self.read_back(changes, "the server").await {
                    Ok(()) => Ok(Applied::default()),
                    Err(_) => Err(error.into()),
                };
            }
            Err(error) => return Err(error.into()),
        };
        self.read_back(changes, &applied.server).await?;
        Ok(applied)
    }

    async fn read_back(&self, changes: &[TxtChange], server: &str) -> Result<(), WriteError> {
        // The last change of a value is the one that counts.
        let mut wanted: BTreeMap<&DnsName, BTreeMap<&TxtValue, Action>> = BTreeMap::new();
        for change in changes {
            wanted
                .entry(&change.name)
                .or_default()
                .insert(&change.value, change.action);
        }
        let names: Vec<_> = wanted.keys().copied().cloned().collect();
        let there = self.provider.values(&self.zone, &names).await?;
        for (name, values) in wanted {
            let there = |value: &TxtValue| there.get(name).is_some_and(|all| all.contains(value));
            for action in [Action::Add, Action::Remove] {
                let wrong = values.iter().filter(|(value, wanted)| {
                    **wanted == action && there(value) != (action == Action::Add)
                });
                let wrong: Vec<_> = wrong.map(|(value, _)| (*value).clone()).collect();
                if !wrong.is_empty() {
                    return Err(WriteError::NotCarriedOut {
                        server: server.to_owned(),
                        name: name.clone(),
                        values: wrong,
                        action,
                    });
                }
            }
        }
        debug!(zone = %self.zone, changes = changes.len(), "verified");
        Ok(())
    }
}

/// Whether an error may be due to one change among several.
fn is_about_a_change(error: &ProviderError) -> bool {
    matches!(
        error.failure,
        Failure::Denied | Failure::Rejected | Failure::Conflict
    )
}
