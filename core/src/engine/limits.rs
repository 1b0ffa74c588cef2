//! Keeping within what a CA allows: orders are counted before they are opened, across runs, and those that are too many
//! wait.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::core::Engine;
use super::held_lease::HeldLease;
use super::plan::{Schedule, Work};
use super::report::{JobError, JobReport, WaitReason, Waiting};
use crate::issue::IssueError;
use crate::lease::JobName;
use crate::renewal::{Rate, Reason, Spent, Why};
use crate::store::{CertificateId, StoreError};

/// Orders that a run may open at a CA, counted before they are opened.
#[derive(Debug)]
pub(super) struct Reserved {
    directory: String,
    spent: Spent,
    ids: BTreeSet<CertificateId>,
}

impl Engine {
    /// Leaves as many certificates in the schedule as their CAs allow, the most urgent ones. The others wait.
    pub(super) async fn keep_limits(
        &self,
        schedule: &mut Schedule,
    ) -> Result<Vec<Reserved>, StoreError> {
        let mut by_ca: BTreeMap<String, Counted> = BTreeMap::new();
        for (id, work) in &schedule.work {
            let Work::Obtain(why) = work else { continue };
            // The CA does not count those that it asks for, and an order under way is counted.
            if matches!(
                why,
                Why::Due(Reason::Window) | Why::Unfinished | Why::Forced
            ) {
                continue;
            }
            let Some(certificate) = self.certificates().get(id) else {
                continue;
            };
            let ca = certificate.environment.ca();
            if let Some(rate) = ca.config().limits.orders {
                let counted = by_ca.entry(ca.directory().to_owned());
                let counted = counted.or_insert(Counted {
                    rate,
                    wanted: Vec::new(),
                });
                counted.wanted.push((id.clone(), why.clone()));
            }
        }
        let mut all = Vec::new();
        for (directory, mut counted) in by_ca {
            // What ends first comes first, and what is new comes last.
            let end = |id: &CertificateId| schedule.ends.get(id).copied();
            counted
                .wanted
                .sort_by_key(|(id, _)| end(id).unwrap_or(Timestamp::MAX));
            let (reserved, waiting) = self.reserve(directory, counted).await?;
            let late: BTreeSet<_> = waiting.iter().map(|one| one.id.clone()).collect();
            schedule.work.retain(|(id, _)| !late.contains(id));
            schedule.waiting.extend(waiting);
            all.extend(reserved);
        }
        Ok(all)
    }

    /// Counts as many orders as are allowed. Returns those certificates that have to wait.
    async fn reserve(
        &self,
        directory: String,
        counted: Counted,
    ) -> Result<(Option<Reserved>, Vec<Waiting>), StoreError> {
        let store = &self.parts.store;
        let lease = self.account_lease(&directory).await?;
        let now = self.parts.clock.now();
        let Counted { rate, mut wanted } = counted;
        let mut status = store.ca_status(&directory).await?;
        let left = rate.left(&mut status.orders, now);
        let late = wanted.split_off(
            wanted
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX)),
        );
        let spent = Spent {
            at: now,
            count: u32::try_from(wanted.len()).unwrap_or(u32::MAX),
        };
        if spent.count > 0 {
            status.orders.push(spent);
            store.put_ca_status(&directory, &status).await?;
        }
        lease.release().await?;
        let next = rate.next(&status.orders, now);
        let waiting = late.into_iter().zip(1..).map(|((id, why), place)| Waiting {
            id,
            why,
            until: rate.estimate(place, next),
            reason: WaitReason::Limit,
            attempts: None,
        });
        let waiting = waiting.collect();
        let ids = wanted.into_iter().map(|(id, _)| id).collect();
        let reserved = (spent.count > 0).then_some(Reserved {
            directory,
            spent,
            ids,
        });
        Ok((reserved, waiting))
    }

    /// Gives back what was counted for orders that were not opened.
    pub(super) async fn give_back(
        &self,
        reserved: Vec<Reserved>,
        reports: &[JobReport],
    ) -> Result<(), StoreError> {
        let not_opened = |report: &&JobReport| {
            matches!(&report.outcome, Err(JobError::Issue(failure))
                if matches!(failure.error, IssueError::Delegation(_) | IssueError::Account(_)))
        };
        let not_opened: BTreeSet<_> = reports.iter().filter(not_opened).map(|r| &r.id).collect();
        for Reserved {
            directory,
            spent,
            ids,
        } in reserved
        {
            let unused = ids.iter().filter(|id| not_opened.contains(id)).count();
            if unused == 0 {
                continue;
            }
            let store = &self.parts.store;
            let lease = self.account_lease(&directory).await?;
            let mut status = store.ca_status(&directory).await?;
            if let Some(ours) = status.orders.iter_mut().find(|one| **one == spent) {
                let unused = u32::try_from(unused).unwrap_or(u32::MAX);
                ours.count = ours.count.saturating_sub(unused);
            }
            store.put_ca_status(&directory, &status).await?;
            lease.release().await?;
        }
        Ok(())
    }

    async fn account_lease(&self, directory: &str) -> Result<HeldLease, StoreError> {
        let job = JobName::account(directory);
        HeldLease::acquire(&self.parts.store, &job, true).await
    }
}

/// The orders that are wanted of a CA with a limit.
struct Counted {
    rate: Rate,
    wanted: Vec<(CertificateId, Why)>,
}
