//! Jobs that share alias names: their values are published together, and withdrawn together.
//!
//! A CA's resolver caches the TXT records of a name as one set. Were values added one after the other, a
//! later job would be validated against the set that an earlier one left in the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tracing::{info, warn};

use super::error::{WriteError, ZoneError};
use super::existing::cache_time;
use super::joint;
use super::publication::{Publication, Published};
use super::writers::ZoneWriters;
use crate::clock::Clock;
use crate::ledger::OpenValue;
use crate::name::DnsName;
use crate::provider::Failure;
use crate::txt::Action;

/// A backend that answers to so few values that it cannot work does not mean their number.
const ALWAYS_ACCEPTED: usize = 4;

/// What a job in a round waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheWait {
    /// The alias name of which the CA may have older TXT records in its cache.
    pub name: DnsName,
    /// How long that is waited for.
    pub rest: Duration,
}

/// A round: it publishes the values of its seats when each of them has handed them in or has left, and
/// withdraws them when no job needs them any more.
#[derive(Debug)]
pub struct Round {
    writers: Arc<ZoneWriters>,
    clock: Arc<dyn Clock>,
    seats: usize,
    /// How long values are visible at least before the CA looks at them.
    rest: Duration,
    inbox: mpsc::UnboundedReceiver<(usize, Message)>,
}

/// The place of one job in a round. A job that drops it leaves the round: its values are withdrawn, and
/// the others do not wait for it.
#[derive(Debug)]
pub struct Seat {
    number: usize,
    outbox: mpsc::UnboundedSender<(usize, Message)>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Empty,
    HandedIn,
    Left,
}

type Outcome = Result<Vec<Published>, ZoneError>;

#[derive(Debug)]
enum Message {
    /// The values of a job, and where it hears of them.
    Publish(Publication, mpsc::UnboundedSender<News>),
    /// The values are not needed any more; the sender hears what may be left of them.
    Withdraw(oneshot::Sender<Vec<ZoneError>>),
    /// The job ended without a word.
    Left,
}

#[derive(Debug)]
enum News {
    Waiting(CacheWait),
    Published(Outcome),
}

/// A job that has handed its values in.
struct Member {
    number: usize,
    publication: Publication,
    news: mpsc::UnboundedSender<News>,
}

/// Jobs whose values are no longer needed.
type Withdrawn = BTreeMap<usize, Gone>;

/// A job that gave its values up.
enum Gone {
    /// It wants to hear what may be left of them.
    Listening(oneshot::Sender<Vec<ZoneError>>),
    /// It ended without a word.
    Silent,
}

impl Gone {
    fn answer(self, left_behind: Vec<ZoneError>) {
        if let Gone::Listening(done) = self {
            // A job that was cancelled does not listen.
            let _ = done.send(left_behind);
        }
    }
}

impl Seat {
    /// Hands the values in. Returns when every server that counts has them, and no older set can be in
    /// the cache of the CA's resolver. `waiting` is called before a wait for caches.
    pub async fn publish(
        &mut self,
        publication: &Publication,
        waiting: impl Fn(&CacheWait),
    ) -> Outcome {
        let (news, mut heard) = mpsc::unbounded_channel();
        self.state = State::HandedIn;
        self.send(Message::Publish(publication.clone(), news));
        loop {
            match heard.recv().await {
                Some(News::Waiting(wait)) => waiting(&wait),
                Some(News::Published(outcome)) => return outcome,
                // The round has ended, which it does only after it has told everybody.
                None => return Ok(Vec::new()),
            }
        }
    }

    /// Gives the values up. Returns when they are withdrawn, with an error for each zone that may still have
    /// some; the others of the round may need theirs longer.
    pub async fn withdraw(mut self) -> Vec<ZoneError> {
        if self.state == State::Empty {
            return Vec::new();
        }
        self.state = State::Left;
        let (done, withdrawn) = oneshot::channel();
        self.send(Message::Withdraw(done));
        withdrawn.await.unwrap_or_default()
    }

    fn send(&self, message: Message) {
        // The round outlives its seats, unless the whole process ends.
        let _ = self.outbox.send((self.number, message));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.state != State::Left {
            self.send(Message::Left);
        }
    }
}

impl Round {
    /// A round of so many jobs, with their seats.
    pub fn new(
        writers: Arc<ZoneWriters>,
        clock: Arc<dyn Clock>,
        seats: usize,
    ) -> (Self, Vec<Seat>) {
        let (outbox, inbox) = mpsc::unbounded_channel();
        let round = Round {
            writers,
            clock,
            seats,
            rest: Duration::ZERO,
            inbox,
        };
        let seat = |number| Seat {
            number,
            outbox: outbox.clone(),
            state: State::Empty,
        };
        (round, (0..seats).map(seat).collect())
    }

    /// Sets how long values are visible at least before the CA looks at them: its resolver may have had a
    /// reason to cache the names that nobody here knows.
    #[must_use]
    pub fn with_rest(mut self, rest: Duration) -> Self {
        self.rest = rest;
        self
    }

    /// Carries the round out, until all values are withdrawn. It must be polled beside the jobs.
    pub async fn run(mut self) {
        let (mut members, mut withdrawn) = self.gather().await;
        loop {
            drop_gone(&mut members, &mut withdrawn);
            if members.is_empty() {
                return;
            }
            let part = next_part(&mut members);
            members.extend(self.carry_out(part, &mut withdrawn).await);
        }
    }

    /// Waits until every seat has handed its values in or was given up.
    async fn gather(&mut self) -> (Vec<Member>, Withdrawn) {
        let mut members: Vec<Member> = Vec::new();
        let mut withdrawn = Withdrawn::new();
        let mut awaited = self.seats;
        while awaited > 0 {
            let Some((number, message)) = self.inbox.recv().await else {
                break;
            };
            match message {
                Message::Publish(publication, news) => {
                    awaited -= 1;
                    members.push(Member {
                        number,
                        publication,
                        news,
                    });
                }
                Message::Withdraw(done) => {
                    withdrawn.insert(number, Gone::Listening(done));
                }
                Message::Left if members.iter().any(|member| member.number == number) => {
                    withdrawn.insert(number, Gone::Silent);
                }
                Message::Left => awaited -= 1,
            }
        }
        (members, withdrawn)
    }

    /// Publishes the values of some members, and withdraws them when none of these needs them any more.
    /// Returns the members that the backend had no room for.
    async fn carry_out(&mut self, part: Vec<Member>, withdrawn: &mut Withdrawn) -> Vec<Member> {
        let publications: Vec<_> = part
            .iter()
            .map(|member| member.publication.clone())
            .collect();
        let numbers: BTreeSet<_> = part.iter().map(|member| member.number).collect();
        let publish = publish(&self.writers, &*self.clock, self.rest, &part, &publications);
        let refused = tokio::select! {
            refused = publish => refused,
            // Nobody waits for the servers any more.
            () = all_gone(&mut self.inbox, &numbers, withdrawn) => BTreeSet::new(),
        };
        let kept = numbers.difference(&refused).copied().collect();
        all_gone(&mut self.inbox, &kept, withdrawn).await;
        let left_behind = joint::withdraw(&publications).await;
        for (member, left_behind) in part.iter().zip(left_behind) {
            if !refused.contains(&member.number)
                && let Some(gone) = withdrawn.remove(&member.number)
            {
                gone.answer(left_behind);
            }
        }
        let mut again = part;
        again.retain(|member| refused.contains(&member.number));
        again
    }
}

/// Answers those that gave their values up before anything was written.
fn drop_gone(members: &mut Vec<Member>, withdrawn: &mut Withdrawn) {
    members.retain(|member| match withdrawn.remove(&member.number) {
        None => true,
        Some(gone) => {
            gone.answer(Vec::new());
            false
        }
    });
}

/// Takes as many members out of the list as the backends have room for, at least one.
fn next_part(members: &mut Vec<Member>) -> Vec<Member> {
    let mut counts: BTreeMap<DnsName, usize> = BTreeMap::new();
    let mut fits = |member: &mut Member| {
        let first = counts.is_empty();
        let mut with = counts.clone();
        let publication = &member.publication;
        for (writer, records) in publication.zones.iter() {
            for record in records {
                let existing = || publication.existing.count(&record.name);
                let count = with.entry(record.name.clone()).or_insert_with(existing);
                *count += 1;
                if *count > writer.values_per_name() && !first {
                    return false;
                }
            }
        }
        counts = with;
        true
    };
    members.extract_if(.., |member| fits(member)).collect()
}

/// Returns when all these seats have given their values up.
async fn all_gone(
    inbox: &mut mpsc::UnboundedReceiver<(usize, Message)>,
    seats: &BTreeSet<usize>,
    withdrawn: &mut Withdrawn,
) {
    while !seats.iter().all(|seat| withdrawn.contains_key(seat)) {
        let Some((number, message)) = inbox.recv().await else {
            return;
        };
        withdrawn.insert(
            number,
            match message {
                Message::Withdraw(done) => Gone::Listening(done),
                // No seat hands values in twice.
                Message::Left | Message::Publish(..) => Gone::Silent,
            },
        );
    }
}

/// Publishes the values of all members, and tells each of them. Returns those that the backend had no room
/// for beside the others.
async fn publish(
    writers: &ZoneWriters,
    clock: &dyn Clock,
    rest: Duration,
    part: &[Member],
    publications: &[Publication],
) -> BTreeSet<usize> {
    let mut refused = BTreeSet::new();
    let mut published = Vec::new();
    joint::publish(publications, |index, outcome| {
        match outcome {
            Ok(zones) => published.push((index, zones)),
            Err(error) if has_company(part, index) && is_too_many(&error, part) => {
                info!(%error, "fewer values at a time");
                refused.insert(part[index].number);
            }
            Err(error) => part[index].tell(Err(error)),
        }
        ControlFlow::Continue(())
    })
    .await;
    if !refused.is_empty() {
        limit(part, &refused);
    }
    // Not by closures, which the compiler cannot see to be `Send` here.
    let mut told = Vec::new();
    for (index, zones) in published {
        told.push(async move {
            let cached = cached(writers, clock, &part[index].publication, publications).await;
            part[index].outlast(cached, rest, clock.now()).await;
            part[index].tell(Ok(zones));
        });
    }
    join_all(told).await;
    refused
}

/// Whether another member of the part has a name in common with this one.
fn has_company(part: &[Member], index: usize) -> bool {
    let names = part[index].publication.names();
    let others = part.iter().enumerate().filter(|(other, _)| *other != index);
    let mut others = others.map(|(_, member)| member.publication.names());
    others.any(|other| !other.is_disjoint(&names))
}

/// Whether the backend may accept the values of fewer members.
fn is_too_many(error: &ZoneError, part: &[Member]) -> bool {
    let ZoneError::Write { source, .. } = error else {
        return false;
    };
    match source {
        // It may be that, or anything else: what a few values do not cure is something else.
        WriteError::Provider(error) => {
            let values: usize = part.iter().map(Member::values).sum();
            error.failure == Failure::TooMany && values > ALWAYS_ACCEPTED
        }
        WriteError::NotCarriedOut { action, .. } => *action == Action::Add,
        _ => false,
    }
}

/// Lowers the number of values that the backends of the refused members are expected to accept.
fn limit(part: &[Member], refused: &BTreeSet<usize>) {
    let mut names: BTreeMap<&DnsName, (usize, usize)> = BTreeMap::new();
    for member in part {
        let accepted = !refused.contains(&member.number);
        for record in member
            .publication
            .zones
            .iter()
            .flat_map(|(_, records)| records)
        {
            let (all, kept) = names.entry(&record.name).or_default();
            *all += 1;
            *kept += usize::from(accepted);
        }
    }
    for member in part
        .iter()
        .filter(|member| refused.contains(&member.number))
    {
        let Publication {
            zones, existing, ..
        } = &member.publication;
        for (writer, records) in zones.iter() {
            for record in records {
                let (all, kept) = names.get(&record.name).copied().unwrap_or_default();
                let room = if kept > 0 { kept } else { all / 2 };
                if all > 1 {
                    writer.limit_values_per_name(existing.count(&record.name) + room);
                }
            }
        }
    }
}

/// The name of which the CA's resolver may keep an older set for longest, and until when; `None` if there is
/// no such name.
async fn cached(
    writers: &ZoneWriters,
    clock: &dyn Clock,
    publication: &Publication,
    all: &[Publication],
) -> Option<(DnsName, Timestamp)> {
    let now = clock.now();
    let after = |ttl| now + SignedDuration::try_from(cache_time(ttl)).unwrap_or_default();
    let mut cached = Vec::new();
    for (writer, records) in publication.zones.iter() {
        let names: BTreeSet<_> = records.iter().map(|record| record.name.clone()).collect();
        let names: Vec<_> = names.into_iter().collect();
        for name in &names {
            let ttl = publication.existing.ttl(name).unwrap_or_default();
            if ttl > 0 {
                cached.push((name.clone(), after(ttl)));
            }
        }
        let ttl = writer.ttl();
        if ttl == 0 {
            continue;
        }
        match writers.cached_until(&names).await {
            Ok(recent) => cached.extend(recent),
            Err(error) => warn!(%error, "the ledger does not tell what caches may have"),
        }
        let open = writers
            .ledger()
            .open_values_at(&names)
            .await
            .unwrap_or_default();
        let others = open.into_iter().filter(|open| !is_of(open, all));
        cached.extend(others.map(|open| (open.name, after(ttl))));
    }
    cached.into_iter().max_by_key(|(_, until)| *until)
}

fn is_of(open: &OpenValue, publications: &[Publication]) -> bool {
    let zones = publications
        .iter()
        .flat_map(|publication| publication.zones.iter());
    let mut records = zones.flat_map(|(_, records)| records);
    records.any(|record| record.name == open.name && record.value == open.value)
}

impl Member {
    fn values(&self) -> usize {
        self.publication
            .records()
            .map(|(_, records)| records.len())
            .sum()
    }

    fn tell(&self, outcome: Outcome) {
        // A job that was cancelled does not listen.
        let _ = self.news.send(News::Published(outcome));
    }

    /// Waits until the name has left the caches, and for `rest` at least.
    async fn outlast(&self, cached: Option<(DnsName, Timestamp)>, rest: Duration, now: Timestamp) {
        let first = self.publication.names().into_iter().next();
        let least = first.map(|name| (name, rest));
        let cached = cached.map(|(name, until)| {
            let rest = Duration::try_from(now.duration_until(until)).unwrap_or_default();
            (name, rest)
        });
        let longest = cached
            .into_iter()
            .chain(least)
            .max_by_key(|(_, rest)| *rest);
        if let Some((name, rest)) = longest.filter(|(_, rest)| !rest.is_zero()) {
            // A job that was cancelled does not listen.
            let _ = self.news.send(News::Waiting(CacheWait { name, rest }));
            // Not to wait for a server: the CA must not see what it may have in its cache.
            sleep(rest).await;
        }
    }
}
