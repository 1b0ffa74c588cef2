//! The third phase: certificates that share alias names are obtained together, in rounds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::context::JobContext;
use super::core::Engine;
use super::groups::Waiting;
use super::guard::{guarded, making_room};
use super::held_lease::HeldLease;
use super::next_round::{IN_ONE_ROUND, next_round};
use super::prepared::{Prepared, SeenInstead};
use super::ranks::Ranks;
use super::record::may_have_order;
use super::report::{JobError, JobOutcome, JobReport};
use crate::issue::Step;
use crate::zone::{LockedNames, Round, Seat};

/// A round that takes longer makes room for another one: the CA may look at it for minutes.
const LONG_ROUND: Duration = Duration::from_secs(20);
/// How often in a run a certificate is tried once more without names that fail.
const REDUCED_MAX: usize = 10;

/// Certificates that share alias names.
pub(super) struct Group {
    pub(super) engine: Engine,
    pub(super) context: JobContext,
    pub(super) ranks: Arc<Ranks>,
    pub(super) waiting: Waiting,
    /// Places for certificates in rounds.
    pub(super) in_rounds: Arc<Semaphore>,
    pub(super) reports: mpsc::UnboundedSender<JobReport>,
}

/// What a round has.
struct Turn<'a> {
    /// Its certificates.
    next: Vec<Prepared>,
    /// Those that come later.
    others: Vec<Prepared>,
    /// Their alias names.
    locked: LockedNames,
    /// Their places.
    room: Option<SemaphorePermit<'a>>,
}

/// What became of a certificate in a round.
struct Done {
    prepared: Prepared,
    outcome: Result<JobOutcome, JobError>,
}

impl Group {
    /// Obtains the certificates, and those that wait for the same alias names by then.
    pub(super) async fn obtain(self, members: Vec<Prepared>) {
        let (members, locked) = self.with_waiting(members).await;
        let (good, failing) = self.in_order(members);
        // Good ones do not wait for the others when they are tried once more, either.
        if good.is_empty() {
            self.obtain_these(failing, Some(locked)).await;
        } else {
            self.obtain_these(good, Some(locked)).await;
            self.obtain_these(failing, None).await;
        }
    }

    /// Obtains these certificates. Those that failed because the CA may have seen the values of others are tried once
    /// more, with new orders, when these have left its cache. Then come those that may do without some names.
    async fn obtain_these(&self, members: Vec<Prepared>, locked: Option<LockedNames>) {
        let first = self.attempt(members, Duration::ZERO, locked).await;
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
        for Failed { mut done, seen } in self.attempt(again, minimum_wait, None).await {
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
            let again = self.attempt(reduced, Duration::ZERO, None).await;
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
    async fn with_waiting(&self, members: Vec<Prepared>) -> (Vec<Prepared>, LockedNames) {
        let ids: BTreeSet<_> = members.iter().map(|one| one.id().clone()).collect();
        let sets = members.iter().map(Prepared::alias_names).collect();
        self.waiting.add(members);
        let locked = self.engine.parts.names.lock(sets).await;
        (self.waiting.take(&ids), locked)
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
    async fn attempt(
        &self,
        mut members: Vec<Prepared>,
        minimum_wait: Duration,
        mut earlier: Option<LockedNames>,
    ) -> Vec<Failed> {
        let (mut failed, mut all_busy) = (Vec::new(), Vec::new());
        while !members.is_empty() {
            let turn = self.turn(members, earlier.take()).await;
            members = turn.others;
            let (leased, busy) = self.lease_all(turn.next).await;
            let round = self.round(leased, minimum_wait, turn.locked);
            failed.extend(making_room(round, turn.room, LONG_ROUND).await);
            all_busy.extend(busy);
        }
        // Another process works on these: the others did not wait for it.
        for prepared in all_busy {
            if let Some(leased) = self.lease(prepared, true).await {
                let turn = self.turn(vec![leased.0.clone()], None).await;
                let round = self.round(vec![leased], minimum_wait, turn.locked);
                failed.extend(making_room(round, turn.room, LONG_ROUND).await);
            }
        }
        failed
    }

    /// Waits until certificates may use their alias names, and may be worked on. Returns them, and the others: those whose
    /// names are free do not wait for the rest.
    async fn turn(&self, members: Vec<Prepared>, earlier: Option<LockedNames>) -> Turn<'_> {
        let sets = members.iter().map(Prepared::alias_names).collect();
        let mut locked = self.engine.parts.names.lock_after(earlier, sets).await;
        let is_free = |one: &Prepared| locked.contains(&one.alias_names());
        let (next, others) = next_round(members, is_free);
        locked.keep_only(&next.iter().flat_map(Prepared::alias_names).collect());
        let permits = u32::try_from(next.len().min(IN_ONE_ROUND)).unwrap_or_default();
        // The semaphore is never closed.
        let room = self.in_rounds.acquire_many(permits).await.ok();
        Turn {
            next,
            others,
            locked,
            room,
        }
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
