//! One pass of the engine, from what earlier runs left to the export.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::arrivals::{Arrival, Arrivals};
use super::context::JobContext;
use super::core::Engine;
use super::done::{Done, Late, Worked};
use super::held_lease::HeldLease;
use super::limits::Orders;
use super::looks::Looks;
use super::options::{RunOptions, Selection};
use super::order_count::OrderCount;
use super::plan::Schedule;
use super::report::{Reconciliation, RunError, RunReport};
use crate::lease::JobName;
use crate::ledger::{
    Entry, Event, GitExport, GitExportError, OpenValue, Origin, RunId, SerialStep, ZoneSerials,
};
use crate::name::DnsName;
use crate::store::CertificateId;
use crate::txt::{Action, TxtValue};
use crate::zone::ChangeContext;

/// How long an export may take. Others who can write in the repository can let git wait for each file that it reads.
const EXPORT_MAX: Duration = Duration::from_mins(2);
/// How long an export may go on after the run was cancelled.
const EXPORT_GRACE: Duration = Duration::from_secs(3);

/// A run under way: its id, and the lease that shows others that it has not ended.
#[derive(Debug)]
pub struct Run {
    engine: Engine,
    id: RunId,
    lease: HeldLease,
    orders: Arc<OrderCount>,
}

impl Engine {
    /// Runs all five phases. The report has every certificate that was worked on; an error means that the run
    /// changed nothing.
    ///
    /// If the future is dropped, TXT values may stay in their zones until the next run removes them.
    /// [`RunOptions::cancel`] ends a run and removes them at once.
    pub async fn run(&self, options: &RunOptions) -> Result<RunReport, RunError> {
        if let Selection::One(certificate) = &options.selection {
            self.parts.providers.add_of(certificate);
        }
        let cancel = &options.cancel;
        let Some(run) = cancel.run_until_cancelled(self.begin()).await else {
            return Err(RunError::Interrupted);
        };
        let run = run?;
        let prepare = async {
            let reconciliation = run.reconcile().await?;
            let (schedule, orders) = self.schedule(options, &run.orders).await?;
            Ok((reconciliation, schedule, orders))
        };
        let prepared = cancel.run_until_cancelled(prepare).await;
        let prepared = prepared.unwrap_or(Err(RunError::Interrupted));
        let (reconciliation, schedule, orders) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                run.end(cancel).await;
                return Err(error);
            }
        };
        let mut done = Done::planned(&schedule);
        let (arrivals, arriving) = Arrivals::new();
        let (worked, jobs) = tokio::join!(
            run.work_and_look(schedule, orders, options, arrivals),
            run.deploy_arriving(arriving, options)
        );
        done.add(worked, jobs);
        let undeployed = self.undeployed(done.undeployed).await;
        let notified = if options.rehearse {
            None
        } else {
            self.record_failures(&done.jobs).await;
            cancel.run_until_cancelled(self.send_contacts()).await;
            self.notify(options).await
        };
        self.record_pauses().await;
        let id = run.id.clone();
        let interrupted = cancel.is_cancelled();
        let exported = run.end(cancel).await;
        Ok(RunReport {
            run: id,
            interrupted,
            reconciliation,
            jobs: done.jobs,
            why: done.why,
            not_due: done.not_due,
            waiting: done.waiting,
            undeployed,
            notified,
            exported,
        })
    }

    /// Begins a run. If the export is required, what earlier runs changed is exported first, within two minutes.
    pub async fn begin(&self) -> Result<Run, RunError> {
        if let Some(export) = self.parts.export.as_ref().filter(|export| export.required) {
            let exported = self.export_to(&export.git).boxed();
            let exported = timeout(EXPORT_MAX, exported).await;
            exported.unwrap_or_else(|_| Err(took_too_long(&export.git)))?;
        }
        let id = RunId::new(self.parts.clock.now());
        let job = JobName::run(&id);
        let lease = HeldLease::acquire(&self.parts.store, &job, false).await?;
        let (store, clock) = (Arc::clone(&self.parts.store), Arc::clone(&self.parts.clock));
        Ok(Run {
            engine: self.clone(),
            orders: Arc::new(OrderCount::new(store, clock, id.clone())),
            id,
            lease,
        })
    }

    /// Exports every run that has ended, if an export is configured; returns how many there were.
    pub async fn export(&self) -> Option<Result<usize, RunError>> {
        let export = self.parts.export.as_ref()?;
        Some(self.export_to(&export.git).await)
    }

    /// Exports every run that has ended to this repository.
    pub async fn export_to(&self, git: &GitExport) -> Result<usize, RunError> {
        // A run with an earlier line had its lease by now. Of later ones the leases say nothing.
        let now = self.parts.clock.now();
        let leases = self.parts.store.live_leases().await?;
        let live: HashSet<_> = leases.into_iter().map(|lease| lease.job).collect();
        let is_ended = |run: &RunId, first_line: Timestamp| {
            first_line < now && !live.contains(&JobName::run(run))
        };
        Ok(git.export(&*self.parts.ledger, is_ended).await?)
    }

    fn export_took_too_long(&self) -> Option<Result<usize, RunError>> {
        let export = self.parts.export.as_ref()?;
        Some(Err(took_too_long(&export.git)))
    }
}

impl Run {
    /// Works on what is due, and looks at the CAs beside that.
    async fn work_and_look(
        &self,
        schedule: Schedule,
        orders: Vec<Orders>,
        options: &RunOptions,
        arrivals: Arrivals,
    ) -> Worked {
        let looks = schedule.looks.clone();
        let (moved_up, late) = tokio::join!(
            self.work(schedule, orders, options, &arrivals),
            self.look(looks, options, &arrivals)
        );
        Worked { moved_up, late }
    }

    /// Asks the CAs of these certificates when to renew them, and works on those that are due then.
    async fn look(
        &self,
        ids: Vec<CertificateId>,
        options: &RunOptions,
        arrivals: &Arrivals,
    ) -> Late {
        let looks = Looks::new(&self.engine, options);
        let by_ca = self.engine.by_ca(ids, None).await.into_iter();
        let looked = join_all(by_ca.map(|ids| looks.all(ids)));
        let looked = options.cancel.run_until_cancelled(looked).await;
        let mut schedule = Schedule::default();
        let mut ids = BTreeSet::new();
        for (id, needed) in looked.into_iter().flatten().flatten() {
            ids.insert(id.clone());
            schedule.add(id, Ok(Some(needed)), options.rehearse);
        }
        let planned = Done::planned(&schedule);
        self.work(schedule, Vec::new(), options, arrivals).await;
        Late {
            looked: ids,
            planned,
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn orders(&self) -> &OrderCount {
        &self.orders
    }

    /// The run's id, as the ledger has it.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The context of changes that are made for no certificate, such as probes.
    pub fn context(&self) -> ChangeContext {
        ChangeContext {
            run: self.id.clone(),
            origin: Origin {
                certificate: None,
                order: None,
                lease: Some(self.lease.id().clone()),
            },
        }
    }

    /// The first phase: removes what jobs that are over left in zones.
    pub async fn reconcile(&self) -> Result<Reconciliation, RunError> {
        self.engine.reconcile(&self.id, |_| true).await
    }

    /// Drops values at `name`, or only `value`, from the ledger without removing them from their zone.
    /// Values of jobs that are under way stay. Returns those that were dropped.
    pub async fn forget(
        &self,
        name: &DnsName,
        value: Option<&TxtValue>,
    ) -> Result<Vec<Arc<OpenValue>>, RunError> {
        let is_meant =
            |open: &OpenValue| open.name == *name && value.is_none_or(|value| open.value == *value);
        let forgotten = self.engine.abandoned(is_meant).await?;
        let entries = forgotten.iter().map(|open| Entry {
            event: Event::Forgotten,
            action: Action::Remove,
            origin: open.origin.clone(),
            zone: open.zone.clone(),
            provider: open.provider.clone(),
            provider_id: open.provider_id.clone(),
            credentials: open.credentials.clone(),
            key: open.key.clone(),
            name: open.name.clone(),
            value: open.value.clone(),
            ttl: None,
            server: None,
            response: None,
            serial: None,
        });
        if !forgotten.is_empty() {
            let ledger = &self.engine.parts.ledger;
            ledger.record(&self.id, entries.collect()).await?;
        }
        Ok(forgotten)
    }

    /// Records that the operator knows who moved the serial of `zone` up to `current`, with a note.
    pub async fn explain_serial(
        &self,
        zone: &DnsName,
        serials: &ZoneSerials,
        current: u32,
        note: TxtValue,
    ) -> Result<(), RunError> {
        let entry = Entry {
            event: Event::SerialExplained,
            action: Action::Add,
            origin: Origin::default(),
            zone: zone.clone(),
            provider: serials.provider.clone(),
            provider_id: None,
            credentials: None,
            key: None,
            name: zone.clone(),
            value: note,
            ttl: None,
            server: None,
            response: None,
            serial: Some(SerialStep {
                before: serials.last,
                after: current,
            }),
        };
        let ledger = &self.engine.parts.ledger;
        Ok(ledger.record(&self.id, vec![entry]).await?)
    }

    /// The last phase: the run ends and, if that is configured, is exported. After `cancel` the export has
    /// a few seconds, and without it two minutes; the next run exports the rest.
    pub async fn end(self, cancel: &CancellationToken) -> Option<Result<usize, RunError>> {
        let Run { engine, lease, .. } = self;
        engine.parts.ledger.checkpoint().await;
        if let Err(error) = lease.release().await {
            tracing::warn!(%error, "the lease of the run could not be released; it will expire");
        }
        tokio::select! {
            exported = engine.export() => exported,
            () = cancelled_for(cancel, EXPORT_GRACE) => None,
            () = sleep(EXPORT_MAX) => engine.export_took_too_long(),
        }
    }

    /// The third phase: obtains certificates or rehearses, many at once. Returns those that have waited for orders, and got
    /// them.
    async fn work(
        &self,
        mut schedule: Schedule,
        orders: Vec<Orders>,
        options: &RunOptions,
        arrivals: &Arrivals,
    ) -> Vec<Schedule> {
        let (obtain, rehearse) = (schedule.obtained(), schedule.rehearsed());
        let (stored, ranks) = (schedule.deployments(), schedule.ranks());
        arrivals.send(Arrival::Replaced(schedule.replaced()));
        if !stored.is_empty() {
            arrivals.send(Arrival::Stored(stored));
        }
        for report in schedule.failed {
            arrivals.send(Arrival::Reported(report));
        }
        self.engine.parts.observer.planned(rehearse.len());
        let (moved_up, rehearsed) = tokio::join!(
            // In a box, so that the type of the run stays within what the compiler evaluates.
            self.obtain(obtain, ranks, orders, options, arrivals)
                .boxed(),
            self.rehearse_all(rehearse, options.given(), self.job_context(options))
        );
        for report in rehearsed {
            arrivals.send(Arrival::Reported(report));
        }
        moved_up
    }

    pub(super) fn job_context(&self, options: &RunOptions) -> JobContext {
        JobContext {
            run: self.id.clone(),
            run_lease: self.lease.id().clone(),
            orders: Arc::clone(&self.orders),
            cancel: options.cancel.clone(),
            urgency: options.urgency(),
            wait: options.wait,
            must_obtain: options.given().is_some(),
        }
    }
}

fn took_too_long(git: &GitExport) -> RunError {
    let error = GitExportError::Unfinished {
        folder: git.folder().to_owned(),
        limit: EXPORT_MAX,
    };
    error.into()
}

/// Ends this long after the token was cancelled.
async fn cancelled_for(cancel: &CancellationToken, grace: Duration) {
    cancel.cancelled().await;
    sleep(grace).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::testkit::{MemoryLedger, MemoryStore, StoreBehaviour};

    #[tokio::test(start_paused = true)]
    async fn a_required_export_that_does_not_end_is_an_error() {
        let store = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        let engine = Engine::builder(Arc::clone(&store) as _, Arc::new(MemoryLedger::default()));
        let folder = tempfile::tempdir().unwrap();
        let engine = engine.export(GitExport::new(folder.path()), true).build();
        store.set_behaviour(StoreBehaviour::Hang);
        let run = timeout(2 * EXPORT_MAX, engine.unwrap().begin()).await;
        let run = run.expect("the run waits for its export");
        let is_unfinished = matches!(
            run,
            Err(RunError::Export(GitExportError::Unfinished { .. }))
        );
        assert!(is_unfinished, "{run:?}");
    }
}
