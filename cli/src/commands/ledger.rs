//! `acme-alias ledger`: what was changed, whether the record is whole, and what dead runs left.

use std::collections::BTreeSet;
use std::path::Path;

use acme_alias_core::ledger::{self, Line};
use acme_alias_core::name::DnsName;
use acme_alias_core::store::FileStore;

use crate::audit;
use crate::cli::LedgerFilter;
use crate::failure::{Failure, Part};
use crate::output::Report;
use crate::run::{Run, open_store};
use crate::workshop::{self, Workshop};

/// The lines that pass the filter.
pub(crate) fn show(run: &Run, filter: &LedgerFilter) -> Result<Report, Failure> {
    let Some(store) = open_store(&run.settings()?.state)? else {
        return Ok(Report::Ledger(Vec::new()));
    };
    let reading = ledger::read(&store.ledger())?;
    let lines = reading.lines.into_iter();
    Ok(Report::Ledger(
        lines.filter(|line| passes(filter, line)).collect(),
    ))
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

/// Whether every line is as it was written.
pub(crate) fn verify(run: &Run) -> Result<Report, Failure> {
    let reading = match open_store(&run.settings()?.state)? {
        Some(store) => ledger::read(&store.ledger())?,
        None => ledger::Reading::default(),
    };
    if reading.damage.is_empty() {
        return Ok(Report::LedgerWhole {
            lines: reading.lines.len(),
            truncated: reading.truncated,
            open: reading.open().len(),
        });
    }
    let places: Vec<_> = reading.damage.iter().map(ToString::to_string).collect();
    Err(Failure::new(
        Part::Store,
        &format!("the ledger is not as it was written:\n  {}", places.join("\n  ")),
        "find out who changed these files; the lines after each place are still chained to each other"
            .to_owned(),
    ))
}

/// Commits what ended runs changed.
pub(crate) async fn export(run: &Run, git: Option<&Path>) -> Result<Report, Failure> {
    let settings = run.settings()?;
    let Some(folder) = git.map(Path::to_owned).or(settings.audit_git) else {
        return Err(Failure::new(
            Part::Settings,
            &"there is no repository to export to",
            "give `--git DIR`, or set `audit-git`".to_owned(),
        ));
    };
    let runs = match open_store(&settings.state)? {
        Some(store) => audit::export(&store.ledger(), &folder).await?,
        None => 0,
    };
    Ok(Report::Exported { runs, folder })
}

/// How the serials of the alias zones moved, and where no change of ours explains it.
pub(crate) async fn diff_serial(run: &Run, only: Option<&DnsName>) -> Result<Report, Failure> {
    let settings = run.settings()?;
    let Some(store) = open_store(&settings.state)? else {
        return Ok(Report::Serials(Vec::new()));
    };
    let lines = ledger::read(&store.ledger())?.lines;
    let workshop = Workshop::new(store, run, 0)?;
    let dns = workshop::dns(&settings)?;
    let zones = workshop.zones(&settings, &dns, None).await?;
    let mut compared = Vec::new();
    for (zone, mut serials) in ledger::serials(&lines) {
        if only.is_some_and(|only| *only != zone) {
            continue;
        }
        match zones.serial(&zone).await {
            Ok(Some(current)) => serials.compare(current),
            Ok(None) => {}
            Err(error) => run.output.warning(&format!(
                "the serial of {zone} could not be read now: {error}; {}",
                error.remedy()
            )),
        }
        compared.push((zone, serials));
    }
    Ok(Report::Serials(compared))
}

/// Removes what dead runs left, wherever the settings say who can write.
pub(crate) async fn reconcile(run: &Run) -> Result<Report, Failure> {
    let settings = run.settings()?;
    let store = FileStore::open(&settings.state)?;
    let workshop = Workshop::new(store, run, 0)?;
    let before = workshop.abandoned().await;
    let dns = workshop::dns(&settings)?;
    let zones = workshop.zones(&settings, &dns, None).await?;
    run.reconcile(&workshop, &zones).await;
    // What is left may be in the zones of certificates that were issued by flags.
    let left = workshop.abandoned().await;
    let certificates: BTreeSet<_> = left
        .iter()
        .filter_map(|open| open.origin.certificate.clone())
        .collect();
    for id in certificates {
        let Ok(id) = id.parse() else { continue };
        let Ok(job) = run.known_job(&id, &settings).await else {
            continue;
        };
        let issuer = workshop.issuer(&job.settings, &job.certificate).await?;
        run.reconcile(&workshop, &issuer.zones).await;
    }
    Ok(Report::Reconciled {
        closed: before.len() - workshop.abandoned().await.len(),
        left: workshop.abandoned().await,
    })
}
