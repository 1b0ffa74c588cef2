//! Jobs that share alias names: their values are published together, and withdrawn together.
//!
//! A CA's resolver caches the TXT records of a name as one set. Were values added one after the other, a
//! later job would be validated against the set that an earlier one left in the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::info;

use super::error::{WriteError, ZoneError, ZoneFailure};
use super::joint;
use super::older_sets::OlderSets;
use super::publication::{Publication, Published};
use super::seat::{CacheWait, Listener, Message, Outcome, Progress, Seat};
use super::worker::ALWAYS_ACCEPTED;
use super::writer::ZoneWriter;
use super::writers::ZoneWriters;
use crate::clock::Clock;
use crate::name::DnsName;
use crate::provider::Failure;
use crate::txt::{Action, TxtRecord, TxtValue};

/// How long a round waits for jobs that have not handed their values in, from the first that has. Those that
/// are late are published after the others.
const GATHERING: Duration = Duration::from_secs(10);

/// A round: it publishes the values of its seats when each of them has handed them in or was given up, and
/// withdraws them when no job needs them any more.
#[derive(Debug)]
pub struct Round {
    writers: Arc<ZoneWriters>,
    clock: Arc<dyn Clock>,
    /// How long values are visible at least before the CA looks at them.
    minimum_wait: Duration,
    inbox: Inbox,
}

/// What the jobs of a round have told it.
#[derive(Debug)]
struct Inbox {
    messages: mpsc::UnboundedReceiver<(usize, Message)>,
    /// Seats that have neither handed values in nor been given up.
    awaited: usize,
    /// Until when they are waited for.
    until: Option<Instant>,
    /// Jobs whose values are to be published.
    members: Vec<Member>,
    /// Jobs that have given their values up, with those that listen to what may be left of them.
    given_up: BTreeMap<usize, Option<Listener>>,
}

/// A job that has handed its values in.
#[derive(Debug)]
struct Member {
    number: usize,
    publication: Publication,
    progress: mpsc::UnboundedSender<Progress>,
}

impl Round {
    /// A round of so many jobs, with their seats.
    pub fn new(
        writers: Arc<ZoneWriters>,
        clock: Arc<dyn Clock>,
        seats: usize,
    ) -> (Self, Vec<Seat>) {
        let (outbox, messages) = mpsc::unbounded_channel();
        let round = Round {
            writers,
            clock,
            minimum_wait: Duration::ZERO,
            inbox: Inbox {
                messages,
                awaited: seats,
                until: None,
                members: Vec::new(),
                given_up: BTreeMap::new(),
            },
        };
        let seat = |number| Seat::new(number, outbox.clone());
        (round, (0..seats).map(seat).collect())
    }

    /// Sets how long values are visible at least before the CA looks at them: its resolver may have cached
    /// older ones for a reason that nobody here knows.
    #[must_use]
    pub fn with_minimum_wait(mut self, minimum_wait: Duration) -> Self {
        self.minimum_wait = minimum_wait;
        self
    }

    /// Carries the round out, until all values are withdrawn. It must be polled beside the jobs.
    pub async fn run(mut self) {
        loop {
            self.inbox.gather().await;
            self.inbox.drop_given_up();
            // Few values do not wait for many.
            self.inbox.members.sort_by_key(Member::values);
            let part = next_part(&mut self.inbox.members);
            if part.is_empty() {
                if self.inbox.awaited == 0 {
                    return;
                }
                continue;
            }
            let again = self.carry_out(part).await;
            self.inbox.members.splice(0..0, again);
        }
    }

    /// Publishes the values of some members, and withdraws them when none of these needs them any more.
    /// Returns the members that the backend had no room for.
    async fn carry_out(&mut self, part: Vec<Member>) -> Vec<Member> {
        let Round {
            writers,
            clock,
            minimum_wait,
            inbox,
        } = self;
        let publications = part.iter().map(|member| member.publication.clone());
        let publications: Vec<_> = publications.collect();
        let numbers: BTreeSet<_> = part.iter().map(|member| member.number).collect();
        let publish = publish(writers, &**clock, *minimum_wait, &part, &publications);
        let refused = tokio::select! {
            refused = publish => refused,
            // Nobody waits for the servers any more.
            () = inbox.all_given_up(&numbers) => BTreeSet::new(),
        };
        let kept = numbers.difference(&refused).copied().collect();
        inbox.all_given_up(&kept).await;
        inbox.begin_withdrawal(&numbers);
        // Each member gets its answer as soon as its own zones are done.
        let mut again = BTreeSet::new();
        joint::withdraw(&publications, |index, left_behind| {
            let number = part[index].number;
            if !inbox.answer(number, left_behind) {
                again.insert(number);
            }
        })
        .await;
        let part = part.into_iter();
        part.filter(|member| again.contains(&member.number))
            .collect()
    }
}

impl Inbox {
    /// Waits until every seat has handed its values in or was given up, or is late.
    async fn gather(&mut self) {
        while self.awaited > 0 && self.members.is_empty() {
            self.receive().await;
        }
        let until = *self.until.get_or_insert_with(|| Instant::now() + GATHERING);
        while self.awaited > 0 {
            if timeout_at(until, self.receive()).await.is_err() {
                return;
            }
        }
    }

    /// Takes the next message in.
    async fn receive(&mut self) {
        let Some((number, message)) = self.messages.recv().await else {
            // All seats are gone.
            self.awaited = 0;
            return;
        };
        match message {
            Message::HandIn(publication, progress) => {
                self.awaited -= 1;
                self.members.push(Member {
                    number,
                    publication,
                    progress,
                });
            }
            Message::GiveUp(listener) => {
                self.given_up.insert(number, listener);
            }
            Message::Leave => self.awaited -= 1,
        }
    }

    /// Returns when all these jobs have given their values up.
    async fn all_given_up(&mut self, jobs: &BTreeSet<usize>) {
        while !jobs.iter().all(|job| self.given_up.contains_key(job)) {
            self.receive().await;
        }
    }

    /// Tells these jobs, as far as they have given their values up, that the withdrawal begins.
    fn begin_withdrawal(&mut self, jobs: &BTreeSet<usize>) {
        let given_up = self.given_up.iter_mut();
        let listeners = given_up.filter(|(job, _)| jobs.contains(job));
        for (_, listener) in listeners {
            if let Some(listener) = listener {
                listener.begun = None;
            }
        }
    }

    /// Answers those that gave their values up before anything was written.
    fn drop_given_up(&mut self) {
        let members = std::mem::take(&mut self.members).into_iter();
        let stay = members.filter(|member| !self.answer(member.number, Vec::new()));
        self.members = stay.collect();
    }

    /// Tells a job that has given its values up what may be left of them; returns whether it has.
    fn answer(&mut self, number: usize, left_behind: Vec<ZoneError>) -> bool {
        let Some(listener) = self.given_up.remove(&number) else {
            return false;
        };
        if let Some(listener) = listener {
            // A job that was cancelled does not listen.
            let _ = listener.done.send(left_behind);
        }
        true
    }
}

/// Takes as many members out of the list as the backends have room for, at least one. One that has more values than a
/// backend may accept has no others beside it.
fn next_part(members: &mut Vec<Member>) -> Vec<Member> {
    let mut counts: BTreeMap<DnsName, usize> = BTreeMap::new();
    let (mut is_first, mut is_alone) = (true, false);
    let fits = |member: &mut Member| {
        if is_alone {
            return false;
        }
        let mut with = counts.clone();
        let publication = &member.publication;
        for (writer, records) in publication.zones.iter() {
            for record in records {
                let foreign = || publication.existing.foreign_values(&record.name);
                let count = with.entry(record.name.clone()).or_insert_with(foreign);
                *count += 1;
                if *count > writer.values_per_name() {
                    if !is_first {
                        return false;
                    }
                    is_alone = true;
                }
            }
        }
        is_first = false;
        counts = with;
        true
    };
    members.extract_if(.., fits).collect()
}

/// Publishes the values of all members, and tells each of them as soon as its own can be seen. Returns those
/// that the backend had no room for beside the others.
async fn publish(
    writers: &ZoneWriters,
    clock: &dyn Clock,
    minimum_wait: Duration,
    part: &[Member],
    publications: &[Publication],
) -> BTreeSet<usize> {
    let (visible, waiting) = mpsc::unbounded_channel();
    let write = async move {
        let mut refused = BTreeMap::new();
        joint::publish(publications, |index, outcome| {
            match outcome {
                Ok(zones) => {
                    // The receiver is polled beside this, and ends after it.
                    let _ = visible.send((index, zones));
                }
                Err(error) if is_too_many(&error, part) && has_company(part, index, &error) => {
                    info!(%error, "publishing fewer values at a time");
                    refused.insert(part[index].number, error);
                }
                Err(error) => part[index].tell(Err(error)),
            }
            ControlFlow::Continue(())
        })
        .await;
        refused
    };
    let tell = tell_when_uncached(writers, clock, minimum_wait, part, publications, waiting);
    let (refused, ()) = join(write, tell).await;
    if !refused.is_empty() {
        limit(part, &refused);
    }
    refused.into_keys().collect()
}

/// Tells each member whose values are visible, when no older set of its names can be cached.
async fn tell_when_uncached(
    writers: &ZoneWriters,
    clock: &dyn Clock,
    minimum_wait: Duration,
    part: &[Member],
    publications: &[Publication],
    mut visible: mpsc::UnboundedReceiver<(usize, Vec<Published>)>,
) {
    let mut older: Option<OlderSets> = None;
    let mut told = FuturesUnordered::new();
    let mut is_open = true;
    loop {
        tokio::select! {
            next = visible.recv(), if is_open => {
                let Some((index, zones)) = next else {
                    is_open = false;
                    continue;
                };
                let member = &part[index];
                if older.is_none() {
                    older = Some(OlderSets::read(writers, publications).await);
                }
                let now = clock.now();
                let cached = older.as_ref().and_then(|older| older.cached(&member.publication, now));
                told.push(async move {
                    member.outlast(cached, minimum_wait, now).await;
                    member.tell(Ok(zones));
                });
            }
            Some(()) = told.next() => {}
            else => return,
        }
    }
}

/// Whether another member of the part has values at a name that the failure concerns.
fn has_company(part: &[Member], index: usize, failure: &ZoneFailure) -> bool {
    let others = part.iter().enumerate().filter(|(other, _)| *other != index);
    let mut others = others.map(|(_, member)| member.publication.names());
    others.any(|other| !other.is_disjoint(&failure.names))
}

/// Whether the backend may accept the values of fewer members.
fn is_too_many(failure: &ZoneFailure, part: &[Member]) -> bool {
    let ZoneError::Write { source, .. } = &*failure.source else {
        return false;
    };
    match source {
        // With few values the cause is another one.
        WriteError::Provider(error) => {
            let others = |member: &Member| member.publication.existing.foreign.len();
            let values = part.iter().map(|member| member.values() + others(member));
            let values: usize = values.sum();
            error.failure == Failure::TooMany && values > ALWAYS_ACCEPTED
        }
        WriteError::NotCarriedOut { action, .. } => *action == Action::Add,
        _ => false,
    }
}

/// The values that the backend has dropped, if it has accepted the others at the name that the failure concerns.
fn dropped(failure: &ZoneFailure) -> Option<&[TxtValue]> {
    match &*failure.source {
        ZoneError::Write {
            source: WriteError::NotCarriedOut { values, .. },
            ..
        } => Some(values),
        _ => None,
    }
}

/// The values at a name that is written in one zone.
#[derive(Clone, Copy, Debug)]
struct AtName {
    foreign: usize,
    ours: usize,
    accepted: usize,
}

/// Lowers the number of values that the backends of the refused members are expected to accept: at names where they
/// have dropped some, or else at the one with the most values. A name of one certificate does not limit those of others.
fn limit(part: &[Member], refused: &BTreeMap<usize, ZoneFailure>) {
    let mut names: BTreeMap<&DnsName, AtName> = BTreeMap::new();
    for member in part {
        let is_accepted = |record: &TxtRecord| match refused.get(&member.number) {
            None => true,
            Some(failure) => dropped(failure).is_some_and(|values| {
                failure.names.contains(&record.name) && !values.contains(&record.value)
            }),
        };
        for record in member.records() {
            let foreign = member.publication.existing.foreign_values(&record.name);
            let at = names.entry(&record.name).or_insert(AtName {
                foreign,
                ours: 0,
                accepted: 0,
            });
            // Each member looked at another time. With more, the limit might have room for all of them again.
            at.foreign = at.foreign.min(foreign);
            at.ours += 1;
            at.accepted += usize::from(is_accepted(record));
        }
    }
    let mut largest: BTreeMap<*const ZoneWriter, (AtName, &ZoneWriter)> = BTreeMap::new();
    for member in part {
        let Some(failure) = refused.get(&member.number) else {
            continue;
        };
        for (writer, records) in member.publication.zones.iter() {
            let concerned = records.iter().map(|record| &record.name);
            let concerned = concerned.filter(|name| failure.names.contains(*name));
            for at in concerned.filter_map(|name| names.get(name)) {
                if dropped(failure).is_some() {
                    let room = if at.accepted > 0 {
                        at.accepted
                    } else {
                        at.ours / 2
                    };
                    writer.limit_values_per_name(at.foreign + room);
                    continue;
                }
                let (most, _) = largest.entry(Arc::as_ptr(writer)).or_insert((*at, writer));
                if at.foreign + at.ours > most.foreign + most.ours {
                    *most = *at;
                }
            }
        }
    }
    for (most, writer) in largest.into_values() {
        writer.limit_values_per_name(most.foreign + most.ours / 2);
    }
}

impl Member {
    fn records(&self) -> impl Iterator<Item = &TxtRecord> {
        self.publication.records().flat_map(|(_, records)| records)
    }

    fn values(&self) -> usize {
        self.records().count()
    }

    fn tell(&self, outcome: Outcome) {
        // A job that was cancelled does not listen.
        let _ = self.progress.send(Progress::Done(outcome));
    }

    /// Waits until `cached` has left the caches, and for `minimum_wait`.
    async fn outlast(
        &self,
        cached: Option<(DnsName, Timestamp)>,
        minimum_wait: Duration,
        now: Timestamp,
    ) {
        let cached = cached.map(|(name, until)| {
            let remaining = Duration::try_from(now.duration_until(until)).unwrap_or_default();
            CacheWait { name, remaining }
        });
        let name = self.publication.names().into_iter().next();
        let minimum = name.map(|name| CacheWait {
            name,
            remaining: minimum_wait,
        });
        let waits = cached.into_iter().chain(minimum);
        let longest = waits.max_by_key(|wait| wait.remaining);
        if let Some(wait) = longest.filter(|wait| !wait.remaining.is_zero()) {
            let remaining = wait.remaining;
            // A job that was cancelled does not listen.
            let _ = self.progress.send(Progress::Waiting(wait));
            // Not to wait for a server: the CA must not see what it may have in its cache.
            sleep(remaining).await;
        }
    }
}

#[cfg(test)]
mod tests;
