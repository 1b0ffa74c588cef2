//! What a run has planned and done.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::Schedule;
use super::report::{JobReport, NotDue, Waiting};
use crate::renewal::Why;
use crate::store::CertificateId;

/// What a run has planned and done.
pub(super) struct Done {
    pub(super) jobs: Vec<JobReport>,
    pub(super) why: BTreeMap<CertificateId, Why>,
    pub(super) not_due: Vec<NotDue>,
    pub(super) waiting: Vec<Waiting>,
    /// Those whose targets wait.
    pub(super) undeployed: Vec<CertificateId>,
}

impl Done {
    pub(super) fn planned(schedule: &Schedule) -> Self {
        Done {
            jobs: Vec::new(),
            why: schedule.why(),
            not_due: schedule.not_due.clone(),
            waiting: schedule.waiting.clone(),
            undeployed: schedule
                .undeployed
                .iter()
                .map(|(id, _)| id.clone())
                .collect(),
        }
    }

    /// Adds what was worked on, and what is known better since.
    pub(super) fn add(&mut self, worked: Worked, jobs: Vec<JobReport>) {
        let Worked { moved_up, late } = worked;
        let is_known_better = |one: &NotDue| late.looked.contains(&one.id);
        self.not_due.retain(|one| !is_known_better(one));
        let planned = late.planned;
        self.not_due.extend(planned.not_due);
        self.waiting.extend(planned.waiting);
        self.why.extend(planned.why);
        self.undeployed.extend(planned.undeployed);
        for next in &moved_up {
            self.move_up(next);
        }
        self.jobs = jobs;
        self.not_due.sort_by(|one, other| one.id.cmp(&other.id));
        self.waiting.sort_by(|one, other| one.id.cmp(&other.id));
    }

    /// These certificates have waited for orders. Some of them need not any more.
    fn move_up(&mut self, next: &Schedule) {
        let wait_no_more: BTreeSet<_> = next.work.iter().map(|(id, _)| id).collect();
        let until: BTreeMap<_, _> = next
            .waiting
            .iter()
            .map(|one| (&one.id, one.until))
            .collect();
        self.waiting.retain(|one| !wait_no_more.contains(&one.id));
        for one in &mut self.waiting {
            one.until = until.get(&one.id).copied().unwrap_or(one.until);
        }
        self.why.extend(next.why());
    }
}

/// What came of the third phase beside the reports.
pub(super) struct Worked {
    /// Certificates that have waited for orders, and got them.
    pub(super) moved_up: Vec<Schedule>,
    pub(super) late: Late,
}

/// What came of looks at the CA.
pub(super) struct Late {
    pub(super) looked: BTreeSet<CertificateId>,
    pub(super) planned: Done,
}
