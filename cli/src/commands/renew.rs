//! `acme-alias renew`: every certificate that is due.

use std::path::Path;

use acme_alias_core::engine::{RunOptions, Selection};
use tokio_util::sync::CancellationToken;

use super::outcome;
use crate::cli::RenewArgs;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::report::{LastRun, Snapshot, Status, Trouble, file, metrics};
use crate::setup::{Setup, state};

pub(crate) async fn run(
    args: &RenewArgs,
    setup: &Setup,
    output: Output,
    cancel: &CancellationToken,
) -> Result<Report, Failure> {
    state::check_user(&setup.settings)?;
    state::check_is_anything(&setup.settings)?;
    let mut built = setup.engine(output.observer()).await?;
    let selection = if args.certificates.is_empty() {
        Selection::All
    } else {
        let mut ids = setup.ids_of(&args.certificates).await?;
        built.unusable.retain(|id, _| ids.contains(id));
        ids.retain(|id| !built.unusable.contains_key(id));
        Selection::Ids(ids)
    };
    let options = RunOptions {
        selection,
        except: built.unusable.keys().cloned().collect(),
        force: args.force,
        wait: args.wait,
        rehearse: args.dry_run,
        cancel: cancel.clone(),
    };
    let began = setup.clock.now();
    let report = match built.engine.run(&options).await {
        Ok(report) => Ok(outcome::of_many(
            report,
            built.unusable.clone(),
            args.dry_run,
            output,
        )),
        Err(error) => Err(Failure::from(error)),
    };
    if let Some(path) = &args.metrics {
        let (failed, error) = match &report {
            Ok(Report::Renewed(renewal)) => (renewal.failed_or_undeployed(), None),
            Ok(_) => (0, None),
            Err(failure) => (0, Some(Trouble::from(failure))),
        };
        let last = LastRun {
            began,
            ended: setup.clock.now(),
            failed,
            error,
        };
        if let Err(failure) = write_metrics(path, setup, last).await {
            // What became of the certificates is worth more.
            let remedy = failure.remedy.as_deref().unwrap_or_default();
            output.warning(&format!("{failure}; {remedy}"));
        }
    }
    report
}

/// Writes the metrics after a run.
async fn write_metrics(path: &Path, setup: &Setup, last: LastRun) -> Result<(), Failure> {
    let built = setup.looking_engine().await?;
    let snapshot = Snapshot::take(setup, built.as_ref(), Some(Status::of_one_run(last)));
    file::write(path, &metrics::render(&snapshot.await?))
}
