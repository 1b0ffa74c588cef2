//! How the process is, shared between the loop and those who watch it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use acme_alias_core::delegation::Finding;
use jiff::Timestamp;

use crate::failure::Failure;
use crate::output::Report;
use crate::report::{Delegations, LastRun, Phase, Status, Trouble};

/// How the process is. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct SharedStatus(Arc<Mutex<Status>>);

impl SharedStatus {
    /// A process that begins its first run.
    pub(super) fn new(now: Timestamp) -> Self {
        SharedStatus(Arc::new(Mutex::new(Status::new(now))))
    }

    /// How the process is now.
    #[cfg(feature = "http")]
    pub(super) fn get(&self) -> Status {
        self.lock().clone()
    }

    /// A run begins.
    pub(super) fn running(&self, now: Timestamp) {
        self.lock().phase = Phase::Running(now);
    }

    /// The loop waits for the next run.
    pub(super) fn waiting(&self, until: Timestamp) {
        self.lock().phase = Phase::Waiting(until);
    }

    /// The loop has ended.
    pub(super) fn ended(&self) {
        self.lock().phase = Phase::Ended;
    }

    /// A run has ended.
    pub(super) fn ran(&self, now: Timestamp, report: &Report) {
        let mut status = self.lock();
        if let Report::Renewed(renewal) = report {
            // Those that wait after a failure have failed in an earlier run.
            let waiting = |id: &_| renewal.waiting.iter().any(|one| one.id == *id);
            status.failures.retain(|id, _| waiting(id));
            let failed = renewal.failed.iter();
            let failed = failed.map(|(id, failure)| (id.clone(), Trouble::from(failure)));
            status.failures.extend(failed);
            end(&mut status, now, renewal.failed_or_undeployed(), None);
        }
    }

    /// A run could not begin.
    pub(super) fn failed(&self, now: Timestamp, failure: &Failure) {
        end(&mut self.lock(), now, 0, Some(Trouble::from(failure)));
    }

    /// Whether the last check of the delegations found no error.
    pub(super) fn has_good_delegations(&self) -> bool {
        let status = self.lock();
        status
            .delegations
            .as_ref()
            .is_some_and(|one| one.errors == 0)
    }

    /// Stores the result of a check of all delegations. Returns the findings that the check before did not have.
    pub(super) fn checked(&self, delegations: Delegations) -> Vec<Finding> {
        let mut status = self.lock();
        let before = status.delegations.take();
        let known = before.iter().flat_map(|before| &before.findings);
        let known: HashSet<_> = known.map(|one| (one.kind, &one.name)).collect();
        let findings = delegations.findings.iter();
        let new = findings.filter(|one| !known.contains(&(one.kind, &one.name)));
        let new = new.cloned().collect();
        status.delegations = Some(Arc::new(delegations));
        new
    }

    /// The settings files as they are now cannot be used.
    pub(super) fn refused(&self, failure: &Failure) {
        self.lock().refused = Some(Trouble::from(failure));
    }

    /// The settings files as they are now are in force.
    #[cfg(feature = "http")]
    pub(super) fn accepted(&self) {
        self.lock().refused = None;
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        // Nothing is half written: each change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end(status: &mut Status, ended: Timestamp, failed: usize, error: Option<Trouble>) {
    let began = match status.phase {
        Phase::Running(began) => began,
        Phase::Waiting(_) | Phase::Ended => ended,
    };
    status.runs += 1;
    status.last = Some(LastRun {
        began,
        ended,
        failed,
        error,
    });
}
