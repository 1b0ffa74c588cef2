//! How the process is, shared between the loop and those who watch it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use acme_alias_core::delegation::{Cause, Finding};
use jiff::Timestamp;

use crate::failure::Failure;
use crate::output::Report;
use crate::report::{Delegations, FoundFor, LastRun, Phase, Status, Trouble};

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

    /// Stores the result of a check of all delegations.
    pub(super) fn checked(&self, delegations: Delegations) -> News {
        let mut status = self.lock();
        let before = status.delegations.take();
        let news = News::of(before.as_deref(), &delegations);
        status.delegations = Some(Arc::new(delegations));
        news
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

/// What a check of all delegations found that the one before did not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) findings: Vec<Finding>,
    /// Findings that are not kept, if there may be new ones among them.
    pub(super) left_out: usize,
}

impl News {
    /// A finding is new unless the same was found before, or another one of its kind at this name for each of its
    /// certificates. One that was found for the certificate of somebody else makes it no known one.
    fn of(before: Option<&Delegations>, now: &Delegations) -> Self {
        let known = || before.into_iter().flat_map(|before| &before.findings);
        let causes: HashSet<_> = known().map(|one| Cause::of(&one.finding)).collect();
        let of_one = |found: &'_ FoundFor| (found.finding.kind, found.finding.name.clone());
        let by_certificate = known().flat_map(|found| {
            let ids = found.certificates.iter();
            ids.map(move |id| (id, of_one(found)))
        });
        let by_certificate: HashSet<_> = by_certificate.collect();
        let is_known = |found: &&FoundFor| {
            let mut ids = found.certificates.iter();
            causes.contains(&Cause::of(&found.finding))
                || ids.all(|id| by_certificate.contains(&(id, of_one(found))))
        };
        let new = now.findings.iter().filter(|found| !is_known(found));
        let findings: Vec<_> = new.map(|found| found.finding.clone()).collect();
        let left_out_before = before.map_or(0, |before| before.left_out);
        let is_told = !findings.is_empty() || now.left_out > left_out_before;
        News {
            findings,
            left_out: if is_told { now.left_out } else { 0 },
        }
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

#[cfg(test)]
mod tests {
    use acme_alias_core::delegation::{FindingKind, Severity};

    use super::*;

    /// What was found at a name for a certificate.
    fn found(certificate: &str, answer: &str) -> FoundFor {
        let domain = "victim.example.com";
        FoundFor {
            finding: Finding {
                severity: Severity::Error,
                kind: FindingKind::CnameElsewhere,
                domains: vec![domain.parse().unwrap()],
                name: format!("_acme-challenge.{domain}").parse().unwrap(),
                server: None,
                answer: answer.to_owned(),
                remedy: "change it".to_owned(),
                record: None,
            },
            certificates: [certificate.parse().unwrap()].into(),
        }
    }

    fn after(findings: &[FoundFor], left_out: usize) -> Delegations {
        Delegations {
            findings: findings.to_vec(),
            left_out,
            ..Delegations::new(Timestamp::UNIX_EPOCH)
        }
    }

    #[test]
    fn what_was_found_for_another_certificate_is_not_known() {
        let hostile = found("hostile", "not hostile");
        let victim = found("victim", "not victim");
        let before = after(std::slice::from_ref(&hostile), 0);
        let now = after(&[hostile.clone(), victim.clone()], 0);
        let news = News::of(Some(&before), &now);
        assert_eq!(news.findings, std::slice::from_ref(&victim.finding));
        assert_eq!(News::of(Some(&now), &now).findings, []);
        // The same in other words, or for one more certificate, is known.
        let changed = [
            found("victim", "still not victim"),
            found("new", "not hostile"),
        ];
        assert_eq!(News::of(Some(&now), &after(&changed, 0)).findings, []);
    }

    #[test]
    fn findings_that_are_left_out_are_counted_if_there_may_be_new_ones() {
        let known = [found("one", "elsewhere")];
        let left_out = |before, now| News::of(before, &now).left_out;
        let before = after(&known, 7);
        assert_eq!(left_out(None, after(&known, 7)), 7);
        assert_eq!(left_out(Some(&before), after(&known, 7)), 0);
        assert_eq!(left_out(Some(&before), after(&known, 8)), 8);
        let new = [found("two", "nowhere")];
        assert_eq!(left_out(Some(&before), after(&new, 7)), 7);
    }
}
