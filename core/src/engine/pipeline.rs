//! The certificates of one CA on their way: prepared one by one, gathered in groups, and obtained in rounds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::ahead::Ahead;
use super::certificates::CertificateConfig;
use super::context::JobContext;
use super::core::Engine;
use super::groups::{Waiting, groups};
use super::guard::{guarded, making_room};
use super::prepared::Prepared;
use super::ranks::Ranks;
use super::report::{JobError, JobReport};
use super::rounds::Group;
use crate::store::CertificateId;

/// Certificates whose delegations are followed at a time.
const PREPARED_AT_ONCE: usize = 50;
/// A certificate that is followed for longer makes room for another one: its zones are slow, and those of others
/// are not.
pub(super) const SLOW_AFTER: Duration = Duration::from_secs(2);
/// Certificates of one CA that are in rounds at a time.
const IN_ROUNDS: usize = 100;
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
