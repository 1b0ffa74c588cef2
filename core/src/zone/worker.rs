//! The task that carries out the changes of one zone, one request after the other.

mod apart;
mod partly;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::error::WriteError;
use super::recorder::{BackendAnswer, ChangeRecorder, Requested};
use crate::crash::{self, Point};
use crate::dns::Dns;
use crate::ledger::{Event, SerialStep};
use crate::name::DnsName;
use crate::provider::{Applied, Failure, ProviderError, Reading, TxtProvider};
use crate::txt::{Action, TxtChange, TxtSets, TxtValue};

/// Attempts while a backend is unavailable.
const ATTEMPTS: usize = 4;
/// The first pause between those, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A backend that asks for a longer pause is not waited for; the error says how long it asked.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How often a change whose outcome is unknown is sent again.
const RESENDS: usize = 1;
/// So few values at all names together are accepted by every backend: if it cannot work, the cause is another one.
pub(super) const ALWAYS_ACCEPTED: usize = 4;
/// How long it may take until changes can be read that were accepted. A secondary that forwards updates (RFC 2136 §6) has
/// them after a transfer: BIND puts the NOTIFY for it off by five seconds. Some backends are read at the servers.
const READ_BACK_TIME: Duration = Duration::from_secs(10);
/// The first pause between two readings, doubled each time up to a second.
const READ_BACK_PAUSE: Duration = Duration::from_millis(20);
/// After so many names at which a backend refuses the changes of a certificate, it is not asked about the others of
/// it: a hundred names would hold up those of others.
const REFUSALS: usize = 10;
/// How long the serial of the zone is waited for.
const SERIAL_TIMEOUT: Duration = Duration::from_secs(2);

/// Changes that go to the zone together, and who waits for them.
pub(super) struct Batch {
    pub(super) changes: Vec<Requested>,
    /// Told when the backend has acknowledged the changes, before they are read back.
    pub(super) acknowledged: Option<oneshot::Sender<Applied>>,
    pub(super) done: oneshot::Sender<Result<Applied, WriteError>>,
}

pub(super) struct Worker {
    pub(super) zone: DnsName,
    pub(super) provider: Arc<dyn TxtProvider>,
    pub(super) recorder: Arc<ChangeRecorder>,
    /// Finds the primary of the zone.
    pub(super) dns: Arc<Dns>,
    /// Held while the backend gets changes. Workers with other DNS clients have the same.
    pub(super) turn: Arc<Mutex<()>>,
}

impl Worker {
    /// Carries out batches until the last handle of the writer is dropped. What waits while a request
    /// is under way goes out together in the next one.
    pub(super) async fn run(self, mut batches: mpsc::UnboundedReceiver<Vec<Batch>>) {
        while let Some(first) = batches.recv().await {
            let mut waiting = vec![first];
            while let Ok(next) = batches.try_recv() {
                waiting.push(next);
            }
            self.carry_out(waiting).await;
        }
    }

    /// Carries out lists of batches in one request. A list is what one caller asked for together.
    async fn carry_out(&self, mut lists: Vec<Vec<Batch>>) {
        let (mut all, mut acknowledged) = (Vec::new(), Vec::new());
        for batch in lists.iter_mut().flatten() {
            all.extend(batch.changes.iter().cloned());
            acknowledged.extend(batch.acknowledged.take());
        }
        let batches: usize = lists.iter().map(Vec::len).sum();
        let can_split = batches > 1 && (lists.len() > 1 || all.len() > ALWAYS_ACCEPTED);
        let outcome = self.change(&all, can_split, acknowledged).await;
        if is_too_many(&outcome) && lists.len() == 1 {
            // Others may have too many values at names that these have not.
            lists = Batch::without_common_names(lists.remove(0));
        }
        match outcome {
            // What is too much together may be accepted one after the other.
            outcome if lists.len() > 1 && is_too_many(&outcome) => {
                for list in lists {
                    // In a box, because it is the same again.
                    Box::pin(self.carry_out(vec![list])).await;
                }
            }
            // One change that the backend refuses must not fail those of others.
            Err(WriteError::Provider(error)) if is_about_a_change(&error) => {
                for Batch { changes, done, .. } in lists.into_iter().flatten() {
                    let outcome = match batches {
                        1 => Err(error.clone().into()),
                        _ => self.change(&changes, false, Vec::new()).await,
                    };
                    let outcome = match outcome {
                        Err(WriteError::Provider(error)) if is_about_a_change(&error) => {
                            self.change_name_by_name(&changes, error).await
                        }
                        outcome => outcome,
                    };
                    let _ = done.send(outcome);
                }
            }
            Err(WriteError::Provider(error)) if batches > 1 && !error.failed.is_empty() => {
                self.carried_out_in_part(lists, error).await;
            }
            Err(WriteError::NotCarriedOut { server, .. }) if batches > 1 => {
                for Batch { changes, done, .. } in lists.into_iter().flatten() {
                    let outcome = self.confirm_now(&changes, &server, None).await;
                    let _ = done.send(outcome.map(|()| Applied::default()));
                }
            }
            outcome => {
                for Batch { done, .. } in lists.into_iter().flatten() {
                    // The receiver is gone if the job was cancelled. The change stands, and the
                    // job's withdrawal follows in this queue.
                    let _ = done.send(outcome.clone());
                }
            }
        }
    }

    /// Makes changes, which the backend has refused together, at one name after the other: it may refuse those at
    /// some names only.
    async fn change_name_by_name(
        &self,
        requested: &[Requested],
        refusal: ProviderError,
    ) -> Result<Applied, WriteError> {
        let names: BTreeSet<_> = requested.iter().map(|one| &one.change.name).collect();
        let is_one = names.len() == 1;
        // Nothing has to be asked about values that are to be removed and are not there.
        let is_removal = |one: &&Requested| one.change.action == Action::Remove;
        let removals = requested.iter().filter(is_removal).cloned();
        let there = self.still_wanted(removals.collect()).await?;
        let mut by_name: BTreeMap<&DnsName, Vec<Requested>> = BTreeMap::new();
        for one in requested {
            if !is_removal(&one) || there.contains(&one.change.name) {
                let at_name = by_name.entry(&one.change.name).or_default();
                at_name.push(one.clone());
            }
        }
        let (mut refused, mut first) = (Vec::new(), is_one.then_some(refusal));
        let mut refusals = 0;
        for changes in by_name.into_values() {
            let outcome = match &first {
                Some(error) if is_one || refusals == REFUSALS => Err(error.clone().into()),
                _ => self.change(&changes, false, Vec::new()).await,
            };
            match outcome {
                Err(WriteError::Provider(error)) if is_about_a_change(&error) => {
                    first.get_or_insert(error);
                    refusals = REFUSALS.min(refusals + 1);
                    refused.extend(changes);
                }
                outcome => drop(outcome?),
            }
        }
        let names = self.still_wanted(refused).await?;
        match first {
            Some(source) if !names.is_empty() => Err(WriteError::Refused { names, source }),
            _ => Ok(Applied::default()),
        }
    }

    /// The names at which refused changes are still wanted: a value that is to be removed may not be there. All
    /// values that are not in the zone are recorded as gone.
    async fn still_wanted(&self, refused: Vec<Requested>) -> Result<BTreeSet<DnsName>, WriteError> {
        if refused.is_empty() {
            return Ok(BTreeSet::new());
        }
        let names = refused.iter().map(|requested| &requested.change.name);
        let names: BTreeSet<_> = names.cloned().collect();
        let names: Vec<_> = names.into_iter().collect();
        let there = self.provider.values(&self.zone, &names).await;
        let Ok(there) = there else {
            return Ok(names.into_iter().collect());
        };
        let is_there = |Requested { change, .. }: &Requested| {
            let set = there.get(&change.name);
            set.is_some_and(|set| set.contains(&change.value))
        };
        let (present, absent): (Vec<_>, Vec<_>) = refused.into_iter().partition(is_there);
        let answer = BackendAnswer::default();
        let record = self.recorder.record(Event::Withdrawn, &absent, &answer);
        record.await?;
        let additions = absent.into_iter();
        let additions = additions.filter(|requested| requested.change.action == Action::Add);
        let wanted = present.into_iter().chain(additions);
        Ok(wanted.map(|requested| requested.change.name).collect())
    }

    /// The life of a change: intent, request, acknowledgement, read back. Each is recorded, the
    /// intent before the request, so that no crash leaves a value unknown.
    ///
    /// A backend that may have refused the number of changes is not asked again if the caller `can_split`
    /// them. `acknowledged` are those that go on while the changes are read back.
    async fn change(
        &self,
        requested: &[Requested],
        can_split: bool,
        acknowledged: Vec<oneshot::Sender<Applied>>,
    ) -> Result<Applied, WriteError> {
        let nothing = BackendAnswer::default();
        self.recorder
            .record(Event::Intent, requested, &nothing)
            .await?;
        crash_at(requested, Point::AddIntended, Point::RemoveIntended);
        let changes = requested.iter().map(|requested| requested.change.clone());
        let changes: Vec<_> = changes.collect();
        let turn = self.turn.lock().await;
        let (before, mut outcome) = self.apply_after_serial(&changes, can_split).await;
        // The serials before and after are of these changes only. Servers may take long to answer, and those of one
        // certificate do not hold up others.
        let is_of_backend = self.provider.reading() == Reading::AtBackend;
        let turn = Some(turn).filter(|_| is_of_backend);
        let mut resends = 0;
        loop {
            let error = match outcome {
                Ok(applied) => {
                    self.acknowledged(requested, &applied).await?;
                    for waiting in acknowledged {
                        // The receiver is gone if the job was cancelled.
                        let _ = waiting.send(applied.clone());
                    }
                    let late = self.confirm(requested, &applied.server, before).await?;
                    drop(turn);
                    if let Some(late) = late {
                        self.warn_late(&applied.server, late).await;
                    }
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
            let answer = BackendAnswer {
                response: Some(&error.what),
                ..BackendAnswer::default()
            };
            self.recorder.record(event, requested, &answer).await?;
            if !is_unknown {
                return Err(error.into());
            }
            // Reading back decides. What was not carried out can be sent again: it is idempotent. Servers may only
            // be late.
            match self.confirm_now(requested, &self.backend(), before).await {
                Ok(()) => return Ok(Applied::default()),
                Err(WriteError::Ledger(ledger)) => return Err(ledger.into()),
                Err(WriteError::NotCarriedOut { .. }) if is_of_backend && resends < RESENDS => {
                    resends += 1;
                    info!(zone = %self.zone, %error, "the changes were lost; sending them again");
                    outcome = self.apply(&changes, can_split).await;
                }
                Err(_) => return Err(error.into()),
            }
        }
    }

    async fn acknowledged(
        &self,
        requested: &[Requested],
        applied: &Applied,
    ) -> Result<(), WriteError> {
        let Applied {
            requests,
            server,
            response,
            ..
        } = applied;
        info!(zone = %self.zone, %server, requests, changes = requested.len(), "acknowledged");
        crash_at(requested, Point::AddSent, Point::RemoveSent);
        let answer = BackendAnswer {
            server: Some(server),
            response: Some(response.as_str()).filter(|response| !response.is_empty()),
            serial: None,
        };
        let record = self
            .recorder
            .record(Event::Acknowledged, requested, &answer);
        record.await?;
        crash_at(requested, Point::AddAcknowledged, Point::RemoveAcknowledged);
        Ok(())
    }

    /// Asks for the serial and sends the changes right behind. The serial is that before the changes if it
    /// comes before their acknowledgement, and unknown otherwise.
    async fn apply_after_serial(
        &self,
        changes: &[TxtChange],
        can_split: bool,
    ) -> (Option<u32>, Result<Applied, ProviderError>) {
        let serial = self.serial();
        let apply = self.apply(changes, can_split);
        match select(Box::pin(serial), Box::pin(apply)).await {
            Either::Left((serial, apply)) => (serial, apply.await),
            Either::Right((outcome, _)) => (None, outcome),
        }
    }

    /// Sends the changes, and again if the backend has changed nothing and may accept them later.
    async fn apply(
        &self,
        changes: &[TxtChange],
        can_split: bool,
    ) -> Result<Applied, ProviderError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            let error = match self.provider.apply(&self.zone, changes).await {
                Ok(applied) => return Ok(applied),
                Err(error) => error,
            };
            let wait = match error.failure {
                Failure::Unavailable => pause,
                Failure::TooMany if !can_split => pause,
                Failure::Throttled { retry_after } => retry_after.unwrap_or(pause),
                _ => return Err(error),
            };
            if wait > LONGEST_PAUSE {
                return Err(error);
            }
            info!(zone = %self.zone, %error, ?wait, "sending the changes again");
            // A back-off: the backend, or the path to it, needs time.
            sleep(wait).await;
            pause *= 2;
        }
        self.provider.apply(&self.zone, changes).await
    }

    /// Reads back that the changes were made, and records that. `before` is the serial that the zone had before them. Returns
    /// how late they came, if the backend showed them late.
    /// What servers do not show in time that are read in place of a backend stays open in the ledger: additions are
    /// waited for elsewhere, and the next run looks for what was removed.
    async fn confirm(
        &self,
        requested: &[Requested],
        server: &str,
        before: Option<u32>,
    ) -> Result<Option<Duration>, WriteError> {
        let is_of_backend = self.provider.reading() == Reading::AtBackend;
        let (begun, mut pause) = (Instant::now(), READ_BACK_PAUSE);
        loop {
            let confirmed = self.confirm_now(requested, server, before).await;
            let error = match confirmed {
                Ok(()) if is_of_backend && pause > READ_BACK_PAUSE => {
                    return Ok(Some(begun.elapsed()));
                }
                Ok(()) => return Ok(None),
                Err(error) => error,
            };
            let is_late = matches!(error, WriteError::NotCarriedOut { .. });
            if !is_late || begun.elapsed() >= READ_BACK_TIME {
                if is_of_backend || matches!(error, WriteError::Ledger(_)) {
                    return Err(error);
                }
                info!(zone = %self.zone, %error, "the servers do not show the changes yet");
                return Ok(None);
            }
            // Nothing signals when a server has a change.
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    async fn warn_late(&self, server: &str, late: Duration) {
        let (zone, late) = (&self.zone, late.as_millis());
        let primary = self.dns.primary(zone).await;
        let primary = primary.and_then(|primary| primary.name);
        let primary =
            primary.map_or_else(String::new, |name| format!(", {name} by the SOA record"));
        warn!(
            "{server} had the changes in {zone} only {late} ms after it had acknowledged them, as a secondary that \
             forwards updates: name the primary in its place{primary}"
        );
    }

    /// Reads back now that the changes were made, and records that.
    async fn confirm_now(
        &self,
        requested: &[Requested],
        server: &str,
        before: Option<u32>,
    ) -> Result<(), WriteError> {
        let (read_back, after) = tokio::join!(self.read_back(requested, server), self.serial());
        self.recorder.note_ttls(requested, &read_back?);
        let (added, removed): (Vec<_>, Vec<_>) = requested
            .iter()
            .cloned()
            .partition(|requested| requested.change.action == Action::Add);
        let answer = BackendAnswer {
            server: Some(server),
            response: None,
            serial: before
                .zip(after)
                .map(|(before, after)| SerialStep { before, after }),
        };
        self.recorder
            .record(Event::Verified, &added, &answer)
            .await?;
        self.recorder
            .record(Event::Withdrawn, &removed, &answer)
            .await?;
        crash_at(requested, Point::AddVerified, Point::RemoveVerified);
        Ok(())
    }

    /// The serial of the zone, if it can be had soon. It is for the record, and no change waits for it.
    async fn serial(&self) -> Option<u32> {
        let serial = self.provider.serial(&self.zone);
        match tokio::time::timeout(SERIAL_TIMEOUT, serial).await {
            Ok(Ok(serial)) => serial,
            Ok(Err(error)) => {
                debug!(zone = %self.zone, %error, "the serial is unknown");
                None
            }
            Err(_) => None,
        }
    }

    /// The backend, for the record: which of its servers made a change is not known after a lost reply.
    fn backend(&self) -> String {
        self.provider.identity().endpoint
    }

    /// What is in the zone now, if it is what was requested.
    async fn read_back(
        &self,
        requested: &[Requested],
        server: &str,
    ) -> Result<TxtSets, WriteError> {
        // The last change of a value is the one that counts.
        let mut wanted: BTreeMap<&DnsName, BTreeMap<&TxtValue, Action>> = BTreeMap::new();
        for Requested { change, .. } in requested {
            let values = wanted.entry(&change.name).or_default();
            values.insert(&change.value, change.action);
        }
        let names: Vec<_> = wanted.keys().copied().cloned().collect();
        let there = self.provider.values(&self.zone, &names).await?;
        for (name, values) in wanted {
            let set = there.get(name);
            let there = |value: &TxtValue| set.is_some_and(|set| set.contains(value));
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
        debug!(zone = %self.zone, changes = requested.len(), "verified");
        Ok(there)
    }
}

/// Where a test may let the process end: at the one point while values are added, at the other while
/// they are removed.
fn crash_at(requested: &[Requested], adding: Point, removing: Point) {
    let is_adding = |requested: &Requested| requested.change.action == Action::Add;
    crash::point(if requested.iter().any(is_adding) {
        adding
    } else {
        removing
    });
}

/// Whether the backend may accept fewer changes.
fn is_too_many(outcome: &Result<Applied, WriteError>) -> bool {
    matches!(outcome, Err(WriteError::Provider(error)) if error.failure == Failure::TooMany)
}

/// Whether an error may be due to one change among several.
fn is_about_a_change(error: &ProviderError) -> bool {
    matches!(
        error.failure,
        Failure::Denied | Failure::Rejected | Failure::Conflict
    )
}
