//! The second phase of a run: which certificates need work. An index tells, without reading all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::core::Engine;
use super::options::{RunOptions, Selection};
use super::report::{JobError, JobReport, NotDue, RunError};
use crate::renewal;
use crate::store::{CertificateId, IndexEntry};

/// What is to be done for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// It is to be obtained.
    Obtain,
    /// It is stored, and was not deployed.
    Deploy,
    /// Everything but the CA is to be tried.
    Rehearse,
}

/// The certificates that need work, and the others.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    pub(super) work: Vec<(CertificateId, Work)>,
    pub(super) not_due: Vec<NotDue>,
    pub(super) failed: Vec<JobReport>,
}

impl Engine {
    pub(super) async fn plan(&self, options: &RunOptions) -> Result<Schedule, RunError> {
        let obtain = if options.rehearse {
            Work::Rehearse
        } else {
            Work::Obtain
        };
        let wanted = match &options.selection {
            Selection::None => return Ok(Schedule::default()),
            Selection::One(certificate) => {
                return Ok(Schedule {
                    work: vec![(certificate.id().clone(), obtain)],
                    ..Schedule::default()
                });
            }
            Selection::All => None,
            Selection::Ids(ids) => Some(ids),
        };
        let index = self.parts.store.index().await?.into_iter();
        let index: BTreeMap<_, _> = index.map(|entry| (entry.id.clone(), entry)).collect();
        let ids: BTreeSet<CertificateId> = match wanted {
            Some(ids) => ids.clone(),
            None => {
                let configured = self.certificates().iter();
                let configured = configured.map(|certificate| certificate.id().clone());
                index.keys().cloned().chain(configured).collect()
            }
        };
        let mut schedule = Schedule::default();
        for id in ids.difference(&options.except).cloned() {
            match self.work_for(&id, index.get(&id), options.force) {
                Ok(_) if options.rehearse => schedule.work.push((id, obtain)),
                Ok(Needed::Nothing(not_due)) => schedule.not_due.push(not_due),
                Ok(Needed::Certificate) => schedule.work.push((id, obtain)),
                Ok(Needed::Deployment) => schedule.work.push((id, Work::Deploy)),
                Err(error) => schedule.failed.push(JobReport {
                    id,
                    outcome: Err(error),
                }),
            }
        }
        Ok(schedule)
    }

    fn work_for(
        &self,
        id: &CertificateId,
        entry: Option<&IndexEntry>,
        force: bool,
    ) -> Result<Needed, JobError> {
        let is_known =
            self.certificates().get(id).is_some() || entry.is_some_and(|entry| entry.has_settings);
        let unknown = || JobError::Unknown { id: id.clone() };
        let Some(entry) = entry else {
            return if is_known {
                Ok(Needed::Certificate)
            } else {
                Err(unknown())
            };
        };
        let current = match &entry.current {
            Some(Ok(current)) => current,
            Some(Err(error)) => return Err(error.clone().into()),
            None if is_known => return Ok(Needed::Certificate),
            // Only an order is left of a certificate that nobody wants any more.
            None => return Err(unknown()),
        };
        let due = renewal::due(current.not_before, current.not_after);
        // An order under way may have been paid for: it is finished first.
        let is_due = force || entry.has_order || due <= self.parts.clock.now();
        match (is_due, current.deployed) {
            (true, _) if !is_known => Err(unknown()),
            (true, _) => Ok(Needed::Certificate),
            (false, false) if is_known => Ok(Needed::Deployment),
            (false, _) => Ok(Needed::Nothing(NotDue {
                id: id.clone(),
                due,
                not_after: current.not_after,
            })),
        }
    }
}

enum Needed {
    Certificate,
    Deployment,
    Nothing(NotDue),
}
