//! `acme-alias ledger`: what was changed, whether the record is whole, and what was left in zones.

use std::path::Path;

use acme_alias_core::engine::RunError;
use acme_alias_core::ledger::{FileLedger, GitExport, Ledger, Line};
use futures_util::TryStreamExt;
use tokio_util::sync::CancellationToken;

use super::outcome;
use crate::cli::{ForgetArgs, LedgerFilter};
use crate::failure::{Failure, Part};
use crate::output::{Output, Report};
use crate::setup::Setup;

/// Prints the lines that pass the filter, as they are read.
pub(crate) async fn show(
    setup: &Setup,
    filter: &LedgerFilter,
    output: Output,
) -> Result<(), Failure> {
    let mut printer = output.ledger_printer();
    if let Some((_, ledger)) = setup.existing_state().await? {
        let mut lines = match filter.since {
            Some(since) => ledger.lines_since(since),
            None => ledger.lines(),
        };
        while let Some(line) = lines.try_next().await? {
            if passes(filter, &line) {
                printer.line(&line);
            }
        }
    }
    printer.finish();
    Ok(())
}

fn passes(filter: &LedgerFilter, line: &Line) -> bool {
    let entry = &line.entry;
    let is = |wanted: &Option<String>, there: Option<&str>| {
        wanted.as_ref().is_none_or(|wanted| there == Some(wanted))
    };
    is(&filter.certificate, entry.origin.certificate.as_deref())
        && filter.zone.as_ref().is_none_or(|zone| *zone == entry.zone)
        && filter.name.as_ref().is_none_or(|name| *name == entry.name)
        && filter.since.is_none_or(|since| line.time >= since)
}

/// How many missing lines are named; the others are counted.
const MISSING_MAX: usize = 3;

/// Whether every line is as it was written, and none of those that are recorded elsewhere is missing.
pub(crate) async fn verify(setup: &Setup) -> Result<Report, Failure> {
    let ledger = FileLedger::open_read_only(&setup.settings.state.join("ledger"));
    let recorded = match &setup.settings.audit_git {
        Some(folder) => GitExport::new(folder.clone()).recorded_lines().await?,
        None => Vec::new(),
    };
    let verified = ledger.verify_with(recorded).await?;
    if verified.is_whole() {
        return Ok(Report::LedgerWhole {
            lines: verified.lines,
            truncated: verified.truncated,
            open: verified.open,
        });
    }
    let missing = verified.missing.iter().rev().take(MISSING_MAX);
    let more = verified.missing.len().saturating_sub(MISSING_MAX);
    let places: Vec<_> = missing
        .map(ToString::to_string)
        .chain((more > 0).then(|| format!("{more} more lines are missing")))
        .chain(verified.damage.iter().map(ToString::to_string))
        .collect();
    let remedy = if verified.missing.is_empty() {
        "find out who changed these files; the lines after each place are still chained to each other"
            .to_owned()
    } else {
        "find out who removed lines, and restore the ledger from a backup; values of missing lines may still \
         be in their zones"
            .to_owned()
    };
    let message = format!(
        "the ledger is not as it was written:\n  {}",
        places.join("\n  ")
    );
    Err(Failure::new(Part::Store, &message, remedy))
}

/// Commits what ended runs changed.
pub(crate) async fn export(
    setup: &Setup,
    git: Option<&Path>,
    output: Output,
) -> Result<Report, Failure> {
    let folder = git
        .map(Path::to_owned)
        .or_else(|| setup.settings.audit_git.clone());
    let Some(folder) = folder else {
        return Err(Failure::new(
            Part::Settings,
            &"there is no repository to export to",
            "give `--git DIR`, or set `audit-git`".to_owned(),
        ));
    };
    let runs = if setup.existing_state().await?.is_some() {
        let engine = setup.engine(output.observer()).await?.engine;
        engine.export_to(&GitExport::new(folder.clone())).await?
    } else {
        0
    };
    Ok(Report::Exported { runs, folder })
}

/// Removes what ended or killed jobs left, and reports what could not be removed.
pub(crate) async fn reconcile(
    setup: &Setup,
    output: Output,
    cancel: &CancellationToken,
) -> Result<Report, Failure> {
    let engine = setup.engine(output.observer()).await?.engine;
    let begun = cancel.run_until_cancelled(engine.begin()).await;
    let run = begun.unwrap_or(Err(RunError::Interrupted))?;
    let reconciled = cancel.run_until_cancelled(run.reconcile()).await;
    let exported = run.end(cancel).await;
    let Some(reconciled) = reconciled else {
        return Err(Failure::new(Part::Interrupted, &"interrupted", None));
    };
    let reconciliation = reconciled?;
    outcome::warn_of_export(exported.as_ref(), output);
    Ok(Report::Reconciled(reconciliation))
}

/// Drops values from the ledger that cannot be removed from their zones any more.
pub(crate) async fn forget(
    setup: &Setup,
    args: &ForgetArgs,
    output: Output,
    cancel: &CancellationToken,
) -> Result<Report, Failure> {
    let engine = setup.engine(output.observer()).await?.engine;
    let begun = cancel.run_until_cancelled(engine.begin()).await;
    let run = begun.unwrap_or(Err(RunError::Interrupted))?;
    let forgotten = run.forget(&args.name, args.value.as_ref()).await;
    let exported = run.end(cancel).await;
    outcome::warn_of_export(exported.as_ref(), output);
    Ok(Report::Forgotten(forgotten?))
}
