//! From what a run did to what is printed.

use std::collections::BTreeMap;

use acme_alias_core::engine::{
    JobError, JobOutcome, JobReport, NotifyError, Reconciliation, RunError, RunReport, Undeployed,
};
use acme_alias_core::store::CertificateId;

use crate::failure::{self, Failure, Part};
use crate::output::words::counted;
use crate::output::{Deployed, Obtained, Output, Renewal, Report, Warnings};

/// The report of a run for one certificate.
pub(super) fn of_one(run: RunReport, output: Output) -> Result<Report, Failure> {
    of_run(&run.reconciliation, run.exported.as_ref(), output);
    warn_of_notification(run.notified.as_ref(), output);
    if let Some(waiting) = run.waiting.into_iter().next() {
        for job in &run.jobs {
            deployed_meanwhile(job, output);
        }
        return Err(JobError::from(waiting).into());
    }
    if let Some(not_due) = run.not_due.into_iter().next() {
        return Ok(Report::Kept(not_due));
    }
    let Some(job) = run.jobs.into_iter().next() else {
        return Err(Failure::new(Part::Interrupted, &"interrupted", None));
    };
    let mut warnings = Warnings::default();
    match job.outcome? {
        JobOutcome::Issued {
            issued,
            undeployed,
            due,
        } => {
            warnings.add_issued(&issued);
            output.warn_of_all(warnings);
            Ok(Report::Issued(Box::new(Obtained {
                interrupted: run.interrupted,
                ..Obtained::new(*issued, due, undeployed)
            })))
        }
        JobOutcome::Rehearsed(plan) => {
            warnings.add_plan(&plan);
            output.warn_of_all(warnings);
            Ok(Report::Rehearsed {
                plans: vec![(job.id, plan)],
                failed: Vec::new(),
                interrupted: false,
            })
        }
        outcome => {
            let mut renewal = Renewal::default();
            renewal.add(job.id, outcome);
            Ok(Report::Renewed(renewal))
        }
    }
}

/// What became of the targets of a certificate while a new version is waited for.
fn deployed_meanwhile(job: &JobReport, output: Output) {
    let Ok(JobOutcome::Deployed { undeployed, .. }) = &job.outcome else {
        return;
    };
    let id = &job.id;
    if undeployed.is_empty() {
        output.note(&format!("{id}: the version that is stored was deployed"));
    }
    for left in undeployed {
        let target = left.target.as_deref().unwrap_or("its targets");
        output.warning(&format!(
            "{id}: the version that is stored is not deployed: {target}: {}",
            left.error
        ));
    }
}

/// The report of a run for many certificates. `unusable` are those that the engine did not have.
pub(super) fn of_many(
    run: RunReport,
    unusable: BTreeMap<CertificateId, Failure>,
    rehearsal: bool,
    output: Output,
) -> Report {
    of_run(&run.reconciliation, run.exported.as_ref(), output);
    warn_of_notification(run.notified.as_ref(), output);
    let mut renewal = Renewal {
        deployed: waiting(run.undeployed),
        not_due: run.not_due,
        waiting: run.waiting,
        why: run.why,
        failed: unusable.into_iter().collect(),
        interrupted: run.interrupted,
        ..Renewal::default()
    };
    let mut plans = Vec::new();
    let mut warnings = Warnings::default();
    for job in run.jobs {
        let id = job.id;
        match job.outcome {
            Ok(JobOutcome::Rehearsed(plan)) => {
                warnings.add_plan(&plan);
                plans.push((id, plan));
            }
            Ok(outcome) => {
                if let JobOutcome::Issued { issued, .. } = &outcome {
                    warnings.add_issued(issued);
                }
                renewal.add(id, outcome);
            }
            Err(error) => renewal.failed.push((id, error.into())),
        }
    }
    output.warn_of_all(warnings);
    renewal
        .failed
        .sort_by(|(one, _), (other, _)| one.cmp(other));
    if rehearsal {
        return Report::Rehearsed {
            plans,
            failed: renewal.failed,
            interrupted: renewal.interrupted,
        };
    }
    Report::Renewed(renewal)
}

/// Certificates whose targets wait for their next attempts.
fn waiting(undeployed: BTreeMap<CertificateId, Vec<Undeployed>>) -> Vec<Deployed> {
    let waiting = undeployed.into_iter().map(|(id, undeployed)| Deployed {
        id,
        tried: false,
        undeployed,
    });
    waiting.collect()
}

impl Renewal {
    /// Adds what became of a certificate. A rehearsal is not part of a renewal.
    fn add(&mut self, id: CertificateId, outcome: JobOutcome) {
        match outcome {
            JobOutcome::Issued {
                issued,
                undeployed,
                due,
            } => {
                self.renewed.push(Obtained::new(*issued, due, undeployed));
            }
            JobOutcome::Deployed { undeployed, .. } => self.deployed.push(Deployed {
                id,
                tried: true,
                undeployed,
            }),
            JobOutcome::UpToDate => self.up_to_date.push(id),
            JobOutcome::InProgress => self.in_progress.push(id),
            JobOutcome::Rehearsed(_) => {}
        }
    }
}

/// What a run found of earlier ones, and whether it could be exported.
pub(super) fn of_run(
    reconciliation: &Reconciliation,
    exported: Option<&Result<usize, RunError>>,
    output: Output,
) {
    reconciled(reconciliation, output);
    warn_of_export(exported, output);
}

/// Whether somebody could be notified. The next run tries again.
fn warn_of_notification(notified: Option<&Result<usize, NotifyError>>, output: Output) {
    if let Some(Err(error)) = notified {
        output.warning(&error.to_string());
    }
}

/// Whether the run could be exported.
pub(super) fn warn_of_export(exported: Option<&Result<usize, RunError>>, output: Output) {
    if let Some(Err(error)) = exported {
        let failure = Failure::from(error.clone());
        let remedy = failure.remedy.as_deref().unwrap_or_default();
        output.warning(&format!("{failure}; {remedy}"));
    }
}

/// What was cleaned up, and what could not be.
pub(super) fn reconciled(reconciliation: &Reconciliation, output: Output) {
    for value in &reconciliation.removed {
        output.note(&format!(
            "removed a TXT value at {} that the run {} had left there",
            value.name, value.run
        ));
    }
    for left in reconciliation.left.first() {
        output.warning(&format!(
            "a TXT value of the run {} may still be at {} in {}: {}; `{}` drops it from the ledger",
            left.value.run,
            left.value.name,
            left.value.zone,
            left.reason,
            failure::forget_command(&left.value)
        ));
    }
    for (zone, others) in reconciliation.left.others() {
        let values = counted(*others, "other TXT value", "other TXT values");
        output.warning(&format!("{values} may still be in {zone}"));
    }
}
