//! One writer per alias zone. What waits while a request is under way goes out together in the
//! next one, so a thousand certificates cost a handful of requests, and no two requests of one
//! process race each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info};

use crate::crash::{self, Point};
use crate::ledger::{Entry, Event, Ledger, LedgerError, Open, Origin, SerialStep};
use crate::name::DnsName;
use crate::provider::{Applied, Failure, Identity, ProviderError, TxtProvider};
use crate::txt::TxtRecord;
use crate::txt::{Action, TxtChange, TxtSets, TxtValue};

/// Attempts where a backend cannot work now.
const ATTEMPTS: usize = 4;
/// The first pause between those, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A backend that asks for a longer pause is not waited for; the error says how long it asked.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How often a change may get lost on the way.
const LOST_MAX: usize = 1;
/// How long the serial of the zone is waited for.
const SERIAL_PATIENCE: Duration = Duration::from_secs(2);

/// The handle to a zone's writer. The writer ends when its last handle is dropped and
/// everything handed in has been carried out: a caller that is cancelled leaves nothing half done.
pub struct ZoneWriter {
    zone: DnsName,
    provider: Arc<dyn TxtProvider>,
    ledger: Arc<Ledger>,
    queue: mpsc::UnboundedSender<Job>,
}

impl fmt::Debug for ZoneWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoneWriter")
            .field("zone", &self.zone)
            .finish_non_exhaustive()
    }
}

/// A change, and for whom it is made.
#[derive(Clone, Debug)]
struct Intended {
    change: TxtChange,
    origin: Origin,
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
    /// The change could not be written down, and so was not asked for.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The writer's task is gone.
    #[error("the writer of this zone has ended")]
    Ended,
}

impl WriteError {
    /// What the reader can do about it.
    pub fn remedy(&self) -> String {
        match self {
            WriteError::Provider(error) => error.remedy.clone(),
            WriteError::Ledger(error) => error.remedy(),
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
    changes: Vec<Intended>,
    done: oneshot::Sender<Result<Applied, WriteError>>,
}

impl ZoneWriter {
    /// Starts the writer of `zone`, which writes every change down in `ledger`.
    pub fn start(zone: DnsName, provider: Arc<dyn TxtProvider>, ledger: Arc<Ledger>) -> Self {
        let (queue, jobs) = mpsc::unbounded_channel();
        let worker = Worker {
            zone: zone.clone(),
            provider: Arc::clone(&provider),
            ledger: Arc::clone(&ledger),
        };
        tokio::spawn(worker.run(jobs));
        ZoneWriter {
            zone,
            provider,
            ledger,
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

    /// The serial of the zone, where the backend has one.
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
        origin: &Origin,
    ) -> Result<Applied, WriteError> {
        let intended = |record: &TxtRecord| Intended {
            change: TxtChange {
                name: record.name.clone(),
                value: record.value.clone(),
                action,
            },
            origin: origin.clone(),
        };
        self.hand_in(records.iter().map(intended).collect()).await
    }

    /// Removes what dead runs left in this zone, where it is still there, and writes down that it is
    /// gone; returns what was there.
    pub async fn reconcile(&self, abandoned: &[Open]) -> Result<Vec<Open>, WriteError> {
        let names: BTreeSet<_> = abandoned.iter().map(|open| open.name.clone()).collect();
        let there = self.values(&names.into_iter().collect::<Vec<_>>()).await?;
        let is_there = |open: &&Open| {
            let values = there.get(&open.name);
            values.is_some_and(|values| values.contains(&open.value))
        };
        let (present, gone): (Vec<_>, Vec<_>) = abandoned.iter().partition(is_there);
        let intended = |open: &&Open| Intended {
            change: TxtChange {
                name: open.name.clone(),
                value: open.value.clone(),
                action: Action::Remove,
            },
            origin: open.origin.clone(),
        };
        if !present.is_empty() {
            self.hand_in(present.iter().map(intended).collect()).await?;
        }
        let gone: Vec<_> = gone.iter().map(intended).collect();
        let book = Book::new(&self.zone, &*self.provider, &self.ledger);
        book.record(Event::Withdrawn, &gone, &Said::default())
            .await?;
        Ok(present.into_iter().cloned().collect())
    }

    async fn hand_in(&self, changes: Vec<Intended>) -> Result<Applied, WriteError> {
        let (done, outcome) = oneshot::channel();
        self.queue
            .send(Job { changes, done })
            .map_err(|_| WriteError::Ended)?;
        outcome.await.map_err(|_| WriteError::Ended)?
    }
}

/// What is written down of the changes of one zone.
struct Book<'a> {
    zone: &'a DnsName,
    identity: Identity,
    ledger: &'a Ledger,
}

/// What the backend said of a change.
#[derive(Clone, Copy, Default)]
struct Said<'a> {
    server: Option<&'a str>,
    response: Option<&'a str>,
    serial: Option<SerialStep>,
}

impl<'a> Book<'a> {
    fn new(zone: &'a DnsName, provider: &dyn TxtProvider, ledger: &'a Ledger) -> Self {
        Book {
            zone,
            identity: provider.identity(),
            ledger,
        }
    }

    async fn record(
        &self,
        event: Event,
        changes: &[Intended],
        said: &Said<'_>,
    ) -> Result<(), LedgerError> {
        let entry = |intended: &Intended| {
            let TxtChange {
                name,
                value,
                action,
            } = intended.change.clone();
            Entry {
                event,
                action,
                origin: intended.origin.clone(),
                zone: self.zone.clone(),
                provider: self.identity.kind.to_owned(),
                key: self.identity.key.clone(),
                ttl: self.identity.ttl.filter(|_| action == Action::Add),
                name,
                value,
                server: said.server.map(str::to_owned),
                response: said.response.map(str::to_owned),
                serial: said.serial,
            }
        };
        if changes.is_empty() {
            return Ok(());
        }
        self.ledger
            .record(changes.iter().map(entry).collect())
            .await
    }
}

struct Worker {
    zone: DnsName,
    provider: Arc<dyn TxtProvider>,
    ledger: Arc<Ledger>,
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
                    let outcome = self.confirm(&job.changes, "the server", None).await;
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

    /// The life of a change: intent, request, acknowledgement, read back. Each is written down, the
    /// intent before the request, so that no crash leaves a value unknown.
    async fn change(&self, intended: &[Intended]) -> Result<Applied, WriteError> {
        let book = self.book();
        let nothing = Said::default();
        let intent = book.record(Event::Intent, intended, &nothing);
        // Neither has to wait for the other.
        let (recorded, before) = tokio::join!(intent, self.serial());
        recorded?;
        at(intended, Point::AddIntended, Point::RemoveIntended);
        let changes: Vec<_> = intended.iter().map(|i| i.change.clone()).collect();
        let mut lost = 0;
        loop {
            let error = match self.apply(&changes).await {
                Ok(applied) => {
                    self.acknowledged(intended, &applied, before).await?;
                    return Ok(applied);
                }
                Err(error) => error,
            };
            let is_unknown = error.failure == Failure::UnknownOutcome;
            let event = if is_unknown {
                Event::Unknown
            } else {
                Event::Failed
            };
            let said = Said {
                response: Some(&error.what),
                ..Said::default()
            };
            book.record(event, intended, &said).await?;
            if !is_unknown {
                return Err(error.into());
            }
            // Reading back decides. What was not carried out can be sent again: it is idempotent.
            match self.confirm(intended, "the server", before).await {
                Ok(()) => return Ok(Applied::default()),
                Err(WriteError::Ledger(ledger)) => return Err(ledger.into()),
                Err(WriteError::NotCarriedOut { .. }) if lost < LOST_MAX => {
                    lost += 1;
                    info!(zone = %self.zone, %error, "the changes were lost, and are sent again");
                }
                Err(_) => return Err(error.into()),
            }
        }
    }

    async fn acknowledged(
        &self,
        intended: &[Intended],
        applied: &Applied,
        before: Option<u32>,
    ) -> Result<(), WriteError> {
        let Applied {
            requests,
            server,
            response,
            ..
        } = applied;
        info!(zone = %self.zone, %server, requests, changes = intended.len(), "acknowledged");
        at(intended, Point::AddSent, Point::RemoveSent);
        let said = Said {
            server: Some(server),
            response: Some(response.as_str()).filter(|said| !said.is_empty()),
            serial: None,
        };
        self.book()
            .record(Event::Acknowledged, intended, &said)
            .await?;
        at(intended, Point::AddAcknowledged, Point::RemoveAcknowledged);
        self.confirm(intended, server, before).await
    }

    /// Sends the changes, and again where the backend has changed nothing and may take them later.
    async fn apply(&self, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            let error = match self.provider.apply(&self.zone, changes).await {
                Ok(applied) => return Ok(applied),
                Err(error) => error,
            };
            let wait = match error.failure {
                Failure::Unavailable => pause,
                Failure::Throttled { retry_after } => retry_after.unwrap_or(pause),
                _ => return Err(error),
            };
            if wait > LONGEST_PAUSE {
                return Err(error);
            }
            info!(zone = %self.zone, %error, ?wait, "the changes are sent again");
            // A back-off: the backend, or the path to it, wants time.
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
        self.provider.apply(&self.zone, changes).await
    }

    /// Reads back that the changes were made, and writes that down. `before` is the serial that the
    /// zone had before them.
    async fn confirm(
        &self,
        intended: &[Intended],
        server: &str,
        before: Option<u32>,
    ) -> Result<(), WriteError> {
        let (read_back, after) = tokio::join!(self.read_back(intended, server), self.serial());
        read_back?;
        let (added, removed): (Vec<_>, Vec<_>) = intended
            .iter()
            .cloned()
            .partition(|intended| intended.change.action == Action::Add);
        let said = Said {
            server: Some(server),
            response: None,
            serial: before
                .zip(after)
                .map(|(before, after)| SerialStep { before, after }),
        };
        let book = self.book();
        book.record(Event::Verified, &added, &said).await?;
        book.record(Event::Withdrawn, &removed, &said).await?;
        at(intended, Point::AddVerified, Point::RemoveVerified);
        Ok(())
    }

    /// The serial of the zone, where it is to be had soon: it is for the record, and no change waits
    /// for it.
    async fn serial(&self) -> Option<u32> {
        let serial = self.provider.serial(&self.zone);
        match tokio::time::timeout(SERIAL_PATIENCE, serial).await {
            Ok(Ok(serial)) => serial,
            Ok(Err(error)) => {
                debug!(zone = %self.zone, %error, "the serial is not known");
                None
            }
            Err(_) => None,
        }
    }

    fn book(&self) -> Book<'_> {
        Book::new(&self.zone, &*self.provider, &self.ledger)
    }

    async fn read_back(&self, intended: &[Intended], server: &str) -> Result<(), WriteError> {
        // The last change of a value is the one that counts.
        let mut wanted: BTreeMap<&DnsName, BTreeMap<&TxtValue, Action>> = BTreeMap::new();
        for Intended { change, .. } in intended {
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
        debug!(zone = %self.zone, changes = intended.len(), "verified");
        Ok(())
    }
}

/// Where a test may let the process end: at the one point while values are added, at the other while
/// they are removed.
fn at(intended: &[Intended], adding: Point, removing: Point) {
    let is_adding = |intended: &Intended| intended.change.action == Action::Add;
    crash::point(if intended.iter().any(is_adding) {
        adding
    } else {
        removing
    });
}

/// Whether an error may be due to one change among several.
fn is_about_a_change(error: &ProviderError) -> bool {
    matches!(
        error.failure,
        Failure::Denied | Failure::Rejected | Failure::Conflict
    )
}
