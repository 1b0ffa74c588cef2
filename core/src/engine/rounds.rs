//! The third and fourth phase: certificates are prepared one by one, and obtained in rounds.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::certificates::CertificateConfig;
use super::context::JobContext;
use super::core::Engine;
use super::groups::groups;
use super::prepared::Prepared;
use super::report::{JobError, JobOutcome, JobReport};
use crate::issue::Step;
use crate::store::CertificateId;
use crate::zone::{Round, Seat};

/// Certificates whose delegations are followed at a time.
const PREPARED_AT_ONCE: usize = 50;
/// Certificates that are in rounds at a time.
const IN_ROUNDS: usize = 100;
/// Certificates that were prepared and are not obtained yet, so that memory does not grow with their number.
const PREPARED_AHEAD: usize = 400;
/// How long certificates wait for others that may share an alias name with them.
const GATHERING: Duration = Duration::from_secs(2);

/// Certificates on their way: followed, gathered, and obtained in rounds.
struct Pipeline {
    engine: Engine,
    context: JobContext,
    in_rounds: Arc<Semaphore>,
    preparing: JoinSet<Result<Prepared, JobReport>>,
    gathered: Vec<Prepared>,
    /// When the oldest of them has waited long enough.
    until: Option<Instant>,
    rounds: JoinSet<Vec<JobReport>>,
    /// Certificates in `rounds`.
    waiting: usize,
    reports: Vec<JobReport>,
}

impl Engine {
    /// Obtains certificates. Those that share an alias name are validated together.
    pub(super) async fn obtain_all(
        &self,
        ids: Vec<CertificateId>,
        given: Option<Arc<CertificateConfig>>,
        context: JobContext,
    ) -> Vec<JobReport> {
        let pipeline = Pipeline {
            engine: self.clone(),
            context,
            in_rounds: Arc::new(Semaphore::new(IN_ROUNDS)),
            preparing: JoinSet::new(),
            gathered: Vec::new(),
            until: None,
            rounds: JoinSet::new(),
            waiting: 0,
            reports: Vec::new(),
        };
        pipeline.run(ids, given).await
    }
}

impl Pipeline {
    async fn run(
        mut self,
        ids: Vec<CertificateId>,
        given: Option<Arc<CertificateConfig>>,
    ) -> Vec<JobReport> {
        let mut ids = ids.into_iter().peekable();
        loop {
            while self.has_room()
                && let Some(id) = ids.next_if(|_| !self.context.cancel.is_cancelled())
            {
                self.prepare(id, given.clone());
            }
            if self.preparing.is_empty() {
                self.send_off();
            }
            let until = self.until;
            // In the end nothing is left to wait for.
            tokio::select! {
                Some(prepared) = self.preparing.join_next() => match prepared {
                    Ok(Ok(prepared)) => {
                        self.until.get_or_insert_with(|| Instant::now() + GATHERING);
                        self.gathered.push(prepared);
                    }
                    Ok(Err(report)) => self.reports.push(report),
                    Err(_) => {}
                },
                Some(reports) = self.rounds.join_next() => {
                    let reports = reports.unwrap_or_default();
                    self.waiting = self.waiting.saturating_sub(reports.len());
                    self.reports.extend(reports);
                }
                () = elapsed(until), if until.is_some() => self.send_off(),
                else => return self.reports,
            }
        }
    }

    fn has_room(&self) -> bool {
        let ahead = self.preparing.len() + self.gathered.len() + self.waiting;
        self.preparing.len() < PREPARED_AT_ONCE && ahead < PREPARED_AHEAD
    }

    fn prepare(&mut self, id: CertificateId, given: Option<Arc<CertificateConfig>>) {
        let (engine, context) = (self.engine.clone(), self.context.clone());
        self.preparing.spawn(async move {
            let prepared = engine.prepare(id.clone(), given, &context);
            let prepared = guarded(&id, prepared).await;
            prepared.map_err(|error| {
                engine.parts.observer.ended(&id);
                let outcome = Err(error);
                JobReport { id, outcome }
            })
        });
    }

    /// Lets the certificates that were gathered go on, in groups that share alias names.
    fn send_off(&mut self) {
        self.until = None;
        self.waiting += self.gathered.len();
        for members in groups(std::mem::take(&mut self.gathered)) {
            let group = Group {
                engine: self.engine.clone(),
                context: self.context.clone(),
                in_rounds: Arc::clone(&self.in_rounds),
            };
            self.rounds.spawn(group.obtain(members));
        }
    }
}

/// Certificates that share alias names.
struct Group {
    engine: Engine,
    context: JobContext,
    in_rounds: Arc<Semaphore>,
}

/// What became of a certificate in a round.
struct Done {
    prepared: Prepared,
    outcome: Result<JobOutcome, JobError>,
}

impl Group {
    async fn obtain(self, mut members: Vec<Prepared>) -> Vec<JobReport> {
        let mut reports = Vec::new();
        while !members.is_empty() {
            let next = members.split_off(members.len().saturating_sub(IN_ROUNDS));
            let done = self.round(next, Duration::ZERO).await;
            reports.extend(self.once_more(done).await);
        }
        reports
    }

    /// Certificates that failed because the CA may have seen the values of others are tried once more, with
    /// new orders, when these have left its cache.
    async fn once_more(&self, done: Vec<Done>) -> Vec<JobReport> {
        let (mut reports, mut again, mut wait) = (Vec::new(), Vec::new(), Duration::ZERO);
        for Done { prepared, outcome } in done {
            let cached = self.engine.cached_from_others(&prepared, &outcome).await;
            match cached.filter(|_| !self.context.cancel.is_cancelled()) {
                Some(cached) => {
                    wait = wait.max(cached);
                    again.push(prepared);
                }
                None => reports.push(report(&prepared, outcome)),
            }
        }
        if again.is_empty() {
            return reports;
        }
        for prepared in &again {
            let observer = &self.engine.parts.observer;
            observer.step(prepared.id(), &Step::Again);
        }
        for Done { prepared, outcome } in self.round(again, wait).await {
            let cached = self.engine.cached_from_others(&prepared, &outcome).await;
            let outcome = match outcome {
                Err(JobError::Issue(failure)) if cached.is_some() => {
                    Err(failure.seen_with_others(&prepared.plan.aliases).into())
                }
                outcome => outcome,
            };
            reports.push(report(&prepared, outcome));
        }
        reports
    }

    /// One round, when no other one of this process uses the alias names. Values are visible for `rest` at
    /// least before the CA looks at them.
    async fn round(&self, members: Vec<Prepared>, rest: Duration) -> Vec<Done> {
        let Ok(permits) = u32::try_from(members.len()) else {
            return Vec::new();
        };
        let names: BTreeSet<_> = members.iter().flat_map(Prepared::alias_names).collect();
        let _names = self.engine.parts.names.lock(&names).await;
        // The semaphore is never closed, so this never fails.
        let _permits = self.in_rounds.acquire_many(permits).await;
        let parts = &self.engine.parts;
        let (writers, clock) = (Arc::clone(&parts.writers), Arc::clone(&parts.clock));
        let (round, seats) = Round::new(writers, clock, members.len());
        let round = tokio::spawn(round.with_rest(rest).run());
        let mut jobs = JoinSet::new();
        for (prepared, seat) in members.into_iter().zip(seats) {
            jobs.spawn(self.job(prepared, seat));
        }
        let done = jobs.join_all().await;
        // Its last seat is gone, so it ends as soon as everything is withdrawn.
        let _ = round.await;
        done
    }

    fn job(&self, prepared: Prepared, seat: Seat) -> impl Future<Output = Done> + Send + 'static {
        let (engine, context) = (self.engine.clone(), self.context.clone());
        async move {
            // In a box, so that the tasks stay small.
            let obtained = Box::pin(engine.obtain(&prepared, &context, seat));
            let outcome = guarded(prepared.id(), obtained).await;
            engine.parts.observer.ended(prepared.id());
            Done { prepared, outcome }
        }
    }
}

fn report(prepared: &Prepared, outcome: Result<JobOutcome, JobError>) -> JobReport {
    JobReport {
        id: prepared.id().clone(),
        outcome,
    }
}

/// A defect in the work for one certificate must not end that for the others.
pub(super) async fn guarded<T>(
    id: &CertificateId,
    work: impl Future<Output = Result<T, JobError>>,
) -> Result<T, JobError> {
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    outcome.unwrap_or_else(|_| Err(JobError::Defect { id: id.clone() }))
}

/// Ends at this time; never without one.
async fn elapsed(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}
