//! From what a run did to what is printed.

use std::collections::BTreeMap;

use acme_alias_core::engine::{JobOutcome, Reconciliation, RunError, RunReport};
use acme_alias_core::store::CertificateId;

use crate::failure::{self, Failure, Part};
use crate::output::{Deployed, Obtained, Output, Renewal, Report, Warnings};

/// The report of a run for one certificate.
pub(super) fn of_one(run: RunReport, output: Output) -> Result<Report, Failure> {
    of_run(&run.reconciliation, run.exported.as_ref(), output);
    let Some(job) = run.jobs.into_iter().next() else {
        return Err(Failure::new(Part::Interrupted, &"interrupted", None));
    };
    let mut warnings = Warnings::default();
    match job.outcome? {
        JobOutcome::Issued { issued, undeployed } => {
            warnings.add_issued(&issued);
            output.warn_of_all(warnings);
            Ok(Report::Issued(Obtained::new(*issued, undeployed.as_ref())))
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
        // A certificate that is asked for by name is obtained in any case.
        outcome => Err(Failure::new(
            Part::Unexpected,
            &format!("unexpected outcome of a job: {outcome:?}"),
            None,
        )),
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
    let mut renewal = Renewal {
        not_due: run.not_due,
        failed: unusable.into_iter().collect(),
        interrupted: run.interrupted,
        ..Renewal::default()
    };
    let mut plans = Vec::new();
    let mut warnings = Warnings::default();
    for job in run.jobs {
        let id = job.id;
        match job.outcome {
            Ok(JobOutcome::Issued { issued, undeployed }) => {
                warnings.add_issued(&issued);
                renewal
                    .renewed
                    .push(Obtained::new(*issued, undeployed.as_ref()));
            }
            Ok(JobOutcome::Deployed(stored)) => renewal.deployed.push(Deployed {
                stored: *stored,
                failure: None,
            }),
            Ok(JobOutcome::Undeployed { stored, error }) => renewal.deployed.push(Deployed {
                stored: *stored,
                failure: Some(error.to_string()),
            }),
            Ok(JobOutcome::Rehearsed(plan)) => {
                warnings.add_plan(&plan);
                plans.push((id, plan));
            }
            Ok(JobOutcome::UpToDate(_)) => renewal.up_to_date.push(id),
            Ok(JobOutcome::InProgress) => renewal.in_progress.push(id),
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

/// What a run found of earlier ones, and whether it could be exported.
pub(super) fn of_run(
    reconciliation: &Reconciliation,
    exported: Option<&Result<usize, RunError>>,
    output: Output,
) {
    reconciled(reconciliation, output);
    warn_of_export(exported, output);
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
    for left in &reconciliation.left {
        output.warning(&format!(
            "a TXT value of the run {} may still be at {} in {}: {}; `{}` drops it from the ledger",
            left.value.run,
            left.value.name,
            left.value.zone,
            left.reason,
            failure::forget_command(&left.value)
        ));
    }
}
