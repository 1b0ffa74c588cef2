//! The third and fourth phase: certificates are prepared one by one, and obtained in rounds.

use std::collections::BTreeSet;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::ahead::Ahead;
use super::certificates::CertificateConfig;
use super::context::JobContext;
use super::core::Engine;
use super::groups::{Waiting, groups};
use super::guard::{guarded, making_room};
use super::held_lease::HeldLease;
use super::next_round::{IN_ONE_ROUND, next_round};
use super::prepared::{Prepared, SeenInstead};
use super::ranks::Ranks;
use super::record::may_have_order;
use super::report::{JobError, JobOutcome, JobReport};
use crate::issue::Step;
use crate::store::CertificateId;
use crate::zone::{LockedNames, Round, Seat};

/// Certificates whose delegations are followed at a time.
const PREPARED_AT_ONCE: usize = 50;
/// A certificate that is followed for longer makes room for another one: its zones are slow, and those of others
/// are not.
pub(super) const SLOW_AFTER: Duration = Duration::from_secs(2);
/// Certificates of one CA that are in rounds at a time.
const IN_ROUNDS: usize = 100;
/// A round that takes longer makes room for another one: the CA may look at it for minutes.
const LONG_ROUND: Duration = Duration::from_secs(20);
/// How often in a run a certificate is tried once more without names that fail.
const REDUCED_MAX: usize = 10;
/// How long certificates wait for others that may share an alias name with them.
const GATHERING: Duration = Duration::from_secs(2);

/// Certificates on their way: followed, gathered, and obtained in rounds.
struct Pipeline {
    engine: Engine,
    context: JobContext,
    in_rounds: Arc<Semaphore>,
    /// Places for certificates whose delegations are followed.
    places: Arc<Semaphore>,
    preparing: JoinSet<Result<Prepared, JobReport>>,
    gathered: Vec<Prepared>,
    /// When the oldest of them has waited long enough.
    until: Option<Instant>,
    groups: JoinSet<()>,
    ranks: Arc<Ranks>,
    /// Certificates that wait for a turn at their alias names.
    waiting: Waiting,
    /// Certificates that are in groups and have no report yet.
    in_groups: BTreeSet<CertificateId>,
    ahead: Ahead,
    sender: mpsc::UnboundedSender<JobReport>,
    receiver: mpsc::UnboundedReceiver<JobReport>,
    /// Who waits for the reports of all.
    reports: mpsc::UnboundedSender<JobReport>,
}

impl Engine {
    /// Obtains certificates of one CA. Those that share an alias name are validated together, in the order of their
    /// ranks. Each is reported as soon as it is done.
    pub(super) async fn obtain_all(
        &self,
        ids: Vec<CertificateId>,
        ranks: Arc<Ranks>,
        given: Option<Arc<CertificateConfig>>,
        context: JobContext,
        reports: mpsc::UnboundedSender<JobReport>,
    ) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let pipeline = Pipeline {
            engine: self.clone(),
            context,
            in_rounds: Arc::new(Semaphore::new(IN_ROUNDS)),
            places: Arc::new(Semaphore::new(PREPARED_AT_ONCE)),
            preparing: JoinSet::new(),
            gathered: Vec::new(),
            until: None,
            groups: JoinSet::new(),
            ranks,
            waiting: Waiting::default(),
            in_groups: BTreeSet::new(),
            ahead: Ahead::new(),
            sender,
            receiver,
            reports,
        };
        pipeline.run(ids, given).await;
    }
}

impl Pipeline {
    async fn run(mut self, ids: Vec<CertificateId>, given: Option<Arc<CertificateConfig>>) {
        let mut ids = ids.into_iter().peekable();
        loop {
            while let Some(place) = self.place()
                && let Some(id) = ids.next_if(|_| !self.context.cancel.is_cancelled())
            {
                self.prepare(id, given.clone(), place);
            }
            if self.preparing.is_empty() {
                self.send_off();
            }
            if self.preparing.is_empty() && self.groups.is_empty() {
                break;
            }
            let until = self.until.unwrap_or_else(Instant::now);
            let stuck_at = self.ahead.stuck_at().filter(|_| ids.peek().is_some());
            let is_waiting = ids.peek().is_some() && self.has_room();
            let places = Arc::clone(&self.places);
            tokio::select! {
                Some(prepared) = self.preparing.join_next() => self.prepared(prepared),
                Some(report) = self.receiver.recv() => self.reported(report),
                Some(_) = self.groups.join_next() => {}
                () = sleep_until(until), if self.until.is_some() => self.send_off(),
                () = sleep_until(stuck_at.unwrap_or(until)), if stuck_at.is_some() => {
                    self.ahead.make_room();
                }
                // Taken at the top of the loop.
                _ = places.acquire(), if is_waiting => {}
            }
        }
        while let Ok(report) = self.receiver.try_recv() {
            self.reported(report);
        }
        // Only a defect ends a group before it has reported everything.
        for id in std::mem::take(&mut self.in_groups) {
            let outcome = Err(JobError::Defect { id: id.clone() });
            self.report(JobReport {
                id,
                outcome,
                ordered: true,
            });
        }
    }

    fn has_room(&self) -> bool {
        self.ahead.has_room() && !self.context.cancel.is_cancelled()
    }

    /// A place for one more certificate, if there is one.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        let has_room = self.has_room();
        has_room.then(|| Arc::clone(&self.places).try_acquire_owned().ok())?
    }

    fn prepare(
        &mut self,
        id: CertificateId,
        given: Option<Arc<CertificateConfig>>,
        place: OwnedSemaphorePermit,
    ) {
        self.ahead.begin(self.engine.names_of(&id));
        let (engine, context) = (self.engine.clone(), self.context.clone());
        self.preparing.spawn(async move {
            let prepared = engine.prepare(id.clone(), given, &context);
            let prepared = making_room(guarded(&id, prepared), place, SLOW_AFTER).await;
            prepared.map_err(|error| {
                engine.parts.observer.ended(&id);
                JobReport::without_order(id, Err(error))
            })
        });
    }

    fn prepared(&mut self, prepared: Result<Result<Prepared, JobReport>, JoinError>) {
        match prepared {
            Ok(Ok(prepared)) => {
                self.until.get_or_insert_with(|| Instant::now() + GATHERING);
                self.gathered.push(prepared);
            }
            Ok(Err(report)) => self.report(report),
            // A task that panics is reported by `guarded`.
            Err(_) => {}
        }
    }

    fn reported(&mut self, report: JobReport) {
        self.in_groups.remove(&report.id);
        self.report(report);
    }

    fn report(&mut self, report: JobReport) {
        self.ahead.end(self.engine.names_of(&report.id));
        // Nobody waits for it if the run was dropped.
        let _ = self.reports.send(report);
    }

    /// Lets the certificates that were gathered go on, in groups that share alias names.
    fn send_off(&mut self) {
        self.until = None;
        let ids = self.gathered.iter().map(|prepared| prepared.id().clone());
        self.in_groups.extend(ids);
        for members in groups(std::mem::take(&mut self.gathered)) {
            let group = Group {
                engine: self.engine.clone(),
                context: self.context.clone(),
                ranks: Arc::clone(&self.ranks),
                waiting: self.waiting.clone(),
                in_rounds: Arc::clone(&self.in_rounds),
                reports: self.sender.clone(),
            };
            self.groups.spawn(group.obtain(members));
        }
    }
}

/// Certificates that share alias names.
struct Group {
    engine: Engine,
    context: JobContext,
    ranks: Arc<Ranks>,
    waiting: Waiting,
    in_rounds: Arc<Semaphore>,
    reports: mpsc::UnboundedSender<JobReport>,
}

/// What became of a certificate in a round.
struct Done {
    prepared: Prepared,
    outcome: Result<JobOutcome, JobError>,
}

impl Group {
    /// Obtains the certificates, and those that wait for the same alias names by then.
    async fn obtain(self, members: Vec<Prepared>) {
        let members = self.with_waiting(members).await;
        let (good, failing) = self.in_order(members);
        // Good ones do not wait for the others when they are tried once more, either.
        self.obtain_these(good).await;
        self.obtain_these(failing).await;
    }

    /// Obtains these certificates. Those that failed because the CA may have seen the values of others are tried once
    /// more, with new orders, when these have left its cache. Then come those that may do without some names.
    async fn obtain_these(&self, members: Vec<Prepared>) {
        let first = self.attempt(members, Duration::ZERO).await;
        let (mut again, mut minimum_wait) = (Vec::new(), Duration::ZERO);
        let mut failed = Vec::new();
        for Failed { done, seen } in first {
            let may_wait = !self.context.cancel.is_cancelled() && !done.prepared.took_long();
            let Some(seen) = seen.filter(|_| may_wait) else {
                failed.push(done);
                continue;
            };
            let certificate = &done.prepared.certificate;
            let is_failing = self.ranks.is_failing(done.prepared.id());
            let may_order = (self.engine).may_order_again(certificate, &self.context, is_failing);
            if !may_order.await {
                failed.push(done);
                continue;
            }
            let observer = &self.engine.parts.observer;
            observer.step(done.prepared.id(), &Step::Again);
            minimum_wait = minimum_wait.max(seen.cached);
            again.push(done.prepared);
        }
        for Failed { mut done, seen } in self.attempt(again, minimum_wait).await {
            if seen.is_some_and(|seen| seen.has_others)
                && let Err(JobError::Issue(failure)) = done.outcome
            {
                let failure = failure.seen_with_others(&done.prepared.plan.aliases);
                done.outcome = Err(failure.into());
            }
            failed.push(done);
        }
        // Each time without at least one more name.
        for _ in 0..REDUCED_MAX {
            if failed.is_empty() {
                break;
            }
            let reduced = join_all(failed.into_iter().map(|done| self.reduced(done))).await;
            let reduced = reduced.into_iter().flatten().collect();
            let again = self.attempt(reduced, Duration::ZERO).await;
            failed = again.into_iter().map(|failed| failed.done).collect();
        }
        for done in failed {
            self.report(done);
        }
    }

    /// The certificates in their order, and after them those whose last attempt failed.
    fn in_order(&self, mut members: Vec<Prepared>) -> (Vec<Prepared>, Vec<Prepared>) {
        // An alias name has room for the values of few certificates with many names, one after the other.
        members.sort_by_key(|prepared| {
            let names = prepared.plan.aliases.iter().count();
            (self.ranks.of(prepared.id()), names)
        });
        // The CA may take long for those whose last attempt failed. The others do not wait for them.
        let is_good = |prepared: &Prepared| !self.ranks.is_failing(prepared.id());
        members.into_iter().partition(is_good)
    }

    /// The certificates when it is their turn at their alias names, with others that wait and share names with them: if each
    /// had a round of its own, one after the other, a run would take as long as somebody wants. None, if others have
    /// taken them along.
    async fn with_waiting(&self, members: Vec<Prepared>) -> Vec<Prepared> {
        let ids: BTreeSet<_> = members.iter().map(|one| one.id().clone()).collect();
        let (good, failing) = self.in_order(members.clone());
        let (first, _) = next_round(if good.is_empty() { failing } else { good });
        self.waiting.add(members);
        drop(self.lock(&first).await);
        self.waiting.take(&ids)
    }

    /// A certificate that failed, without the names that did. It is reported if it cannot do without them.
    async fn reduced(&self, done: Done) -> Option<Prepared> {
        let Done { prepared, outcome } = done;
        let outcome = match outcome {
            Err(JobError::Issue(failure)) if !self.context.cancel.is_cancelled() => {
                let (engine, context) = (&self.engine, &self.context);
                let reduced = engine.prepare_without_failed(&prepared, *failure, context);
                match reduced.await {
                    Ok(reduced) => return Some(reduced),
                    Err(failure) => Err(failure.into()),
                }
            }
            outcome => outcome,
        };
        self.report(Done { prepared, outcome });
        None
    }

    /// Obtains the certificates in rounds, and reports them. Returns those that may be tried once more. Values
    /// are visible for `minimum_wait` before the CA looks at them.
    async fn attempt(&self, mut members: Vec<Prepared>, minimum_wait: Duration) -> Vec<Failed> {
        let (mut failed, mut all_busy) = (Vec::new(), Vec::new());
        while !members.is_empty() {
            let next;
            (next, members) = next_round(members);
            let (locked, room) = self.turn(&next).await;
            let (leased, busy) = self.lease_all(next).await;
            let round = self.round(leased, minimum_wait, locked);
            failed.extend(making_room(round, room, LONG_ROUND).await);
            all_busy.extend(busy);
        }
        // Another process works on these: the others did not wait for it.
        for prepared in all_busy {
            if let Some(leased) = self.lease(prepared, true).await {
                let (locked, room) = self.turn(slice::from_ref(&leased.0)).await;
                let round = self.round(vec![leased], minimum_wait, locked);
                failed.extend(making_room(round, room, LONG_ROUND).await);
            }
        }
        failed
    }

    /// Waits until these certificates may use their alias names, and may be worked on.
    async fn turn(&self, members: &[Prepared]) -> (LockedNames, Option<SemaphorePermit<'_>>) {
        let names = self.lock(members).await;
        let permits = u32::try_from(members.len().min(IN_ONE_ROUND)).unwrap_or_default();
        // The semaphore is never closed.
        (names, self.in_rounds.acquire_many(permits).await.ok())
    }

    /// Waits until no other round of the CA in this process uses the alias names of these certificates.
    async fn lock(&self, members: &[Prepared]) -> LockedNames {
        let names = members.iter().flat_map(|one| {
            let directory = one.certificate.environment.ca().directory();
            let names = one.alias_names().into_iter();
            names.map(move |name| (directory.to_owned(), name))
        });
        self.engine.parts.names.lock(names.collect()).await
    }

    /// Takes the leases of those on which no other process works. Returns them, and those that are to be
    /// waited for.
    ///
    /// The leases come before the round, so that no two processes wait for each other in rounds of theirs.
    async fn lease_all(
        &self,
        members: Vec<Prepared>,
    ) -> (Vec<(Prepared, HeldLease)>, Vec<Prepared>) {
        let (mut leased, mut busy) = (Vec::new(), Vec::new());
        for prepared in members {
            let lease = self.engine.lease(prepared.id(), &self.context, false).await;
            match lease {
                Ok(None) if self.context.wait => busy.push(prepared),
                lease => leased.extend(self.leased(prepared, lease)),
            }
        }
        (leased, busy)
    }

    /// Takes the lease of a certificate, and waits for it if that is wanted.
    async fn lease(&self, prepared: Prepared, wait: bool) -> Option<(Prepared, HeldLease)> {
        let lease = self.engine.lease(prepared.id(), &self.context, wait).await;
        self.leased(prepared, lease)
    }

    /// The certificate with its lease; without one it is reported.
    fn leased(
        &self,
        prepared: Prepared,
        lease: Result<Option<HeldLease>, JobError>,
    ) -> Option<(Prepared, HeldLease)> {
        let outcome = match lease {
            Ok(Some(lease)) => return Some((prepared, lease)),
            Ok(None) => Ok(JobOutcome::InProgress),
            Err(error) => Err(error),
        };
        self.report(Done { prepared, outcome });
        None
    }

    /// One round, to which the alias names belong until it has withdrawn everything: a key may come minutes later, or the
    /// answer of the CA. Returns the certificates that may be tried once more, and reports the others.
    async fn round(
        &self,
        members: Vec<(Prepared, HeldLease)>,
        minimum_wait: Duration,
        locked: LockedNames,
    ) -> Vec<Failed> {
        let parts = &self.engine.parts;
        let (writers, clock) = (Arc::clone(&parts.writers), Arc::clone(&parts.clock));
        let (round, seats) = Round::new(writers, clock, members.len());
        let round = round.with_minimum_wait(minimum_wait);
        let round = tokio::spawn(async move {
            round.run().await;
            drop(locked);
        });
        let mut jobs = JoinSet::new();
        for ((prepared, lease), seat) in members.into_iter().zip(seats) {
            jobs.spawn(self.job(prepared, lease, seat));
        }
        let mut looks = Vec::new();
        while let Some(done) = jobs.join_next().await {
            match done {
                Ok(done) if done.outcome.is_err() => looks.push(self.look_at(done)),
                Ok(done) => self.report(done),
                // A job that panics is reported by `guarded`.
                Err(_) => {}
            }
        }
        // Its last seat is gone, so it ends as soon as everything is withdrawn.
        let _ = round.await;
        let mut failed = Vec::new();
        for (done, seen) in join_all(looks).await {
            if seen.is_some() || done.prepared.certificate.request.partial {
                failed.push(Failed { done, seen });
            } else {
                self.report(done);
            }
        }
        failed
    }

    /// Whether the values of others may be why a certificate failed.
    async fn look_at(&self, done: Done) -> (Done, Option<SeenInstead>) {
        let look = self.engine.seen_instead(&done.prepared, &done.outcome);
        let seen = self.context.cancel.run_until_cancelled(look).await;
        (done, seen.flatten())
    }

    fn job(
        &self,
        mut prepared: Prepared,
        lease: HeldLease,
        seat: Seat,
    ) -> impl Future<Output = Done> + Send + 'static {
        let (engine, context) = (self.engine.clone(), self.context.clone());
        async move {
            let begun = Instant::now();
            // In a box, so that the tasks stay small.
            let obtained = Box::pin(engine.obtain(&prepared, &context, lease, seat));
            let outcome = guarded(prepared.id(), obtained).await;
            prepared.took += begun.elapsed();
            prepared.ordered |= may_have_order(&outcome);
            Done { prepared, outcome }
        }
    }

    fn report(&self, done: Done) {
        self.engine.parts.observer.ended(done.prepared.id());
        // The pipeline listens until all groups have ended.
        let _ = self.reports.send(JobReport {
            id: done.prepared.id().clone(),
            outcome: done.outcome,
            ordered: done.prepared.ordered,
        });
    }
}

/// A certificate that may be tried once more.
struct Failed {
    done: Done,
    /// What the CA may have seen instead of its values, if that may be why.
    seen: Option<SeenInstead>,
}
