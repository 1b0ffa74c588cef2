//! `acme-alias renew`: every certificate that is due.

use std::collections::BTreeSet;

use acme_alias_core::issue::Plan;
use acme_alias_core::store::{CertificateId, FileStore, Store};
use futures_util::{StreamExt, stream};

use crate::cli::RenewArgs;
use crate::failure::Failure;
use crate::hook;
use crate::output::{Listed, Obtained, Renewal, Report};
use crate::run::{Job, Run};
use crate::settings::Settings;
use crate::workshop::{Workshop, request};

/// Certificates that are on their way at a time.
const AT_ONCE: usize = 20;

pub(crate) async fn run(run: &Run, args: &RenewArgs) -> Result<Report, Failure> {
    let settings = run.settings()?;
    let store = FileStore::open(&settings.state)?;
    let mut renewal = Renewal::default();
    let mut jobs = Vec::new();
    for id in wanted(args, &settings, &store).await? {
        match look(run, args, &settings, &store, &id).await {
            Ok(Look::Due(job)) => jobs.push(*job),
            Ok(Look::NotDue(listed)) => renewal.skipped.push(listed),
            Err(failure) => renewal.failed.push((id, failure)),
        }
    }
    let workshop = Workshop::new(store, run, jobs.len())?;
    if args.dry_run {
        let mut plans = Vec::new();
        let rehearsals = jobs
            .iter()
            .map(async |job| (job, rehearse(run, args, &workshop, job).await));
        let mut rehearsals = stream::iter(rehearsals).buffer_unordered(AT_ONCE);
        while let Some((job, outcome)) = rehearsals.next().await {
            match outcome {
                Ok(plan) => {
                    run.output.warn_findings(&plan.warnings);
                    plans.push((job.id.clone(), plan));
                }
                Err(failure) => renewal.failed.push((job.id.clone(), failure)),
            }
        }
        plans.sort_by(|(one, _), (other, _)| one.cmp(other));
        return Ok(Report::Rehearsed {
            plans,
            failed: renewal.failed,
        });
    }
    let renewals = jobs
        .iter()
        .map(async |job| (job, renew(run, args, &workshop, job).await));
    let mut renewals = stream::iter(renewals).buffer_unordered(AT_ONCE);
    let mut done = Vec::new();
    while let Some((job, outcome)) = renewals.next().await {
        match outcome {
            Ok(obtained) => {
                renewal.renewed.push(obtained);
                done.push(job);
            }
            Err(failure) => renewal.failed.push((job.id.clone(), failure)),
        }
    }
    super::key::warn(run, &done).await;
    renewal
        .renewed
        .sort_by(|one, other| one.stored.id.cmp(&other.stored.id));
    renewal
        .failed
        .sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(Report::Renewed(renewal))
}

/// The certificates named, or else all that the settings define or the store keeps.
async fn wanted(
    args: &RenewArgs,
    settings: &Settings,
    store: &FileStore,
) -> Result<BTreeSet<CertificateId>, Failure> {
    if !args.ids.is_empty() {
        return Ok(args.ids.iter().cloned().collect());
    }
    let stored = store.certificates().await?;
    Ok(stored
        .into_iter()
        .chain(settings.certificates.keys().cloned())
        .collect())
}

enum Look {
    Due(Box<Job>),
    NotDue(Listed),
}

/// Whether a certificate is due. One that the settings define and that is not there yet is.
async fn look(
    run: &Run,
    args: &RenewArgs,
    settings: &Settings,
    store: &FileStore,
    id: &CertificateId,
) -> Result<Look, Failure> {
    if let Some(stored) = store.certificate(id).await? {
        let listed = Listed::new(stored);
        if !args.force && !args.dry_run && !listed.is_due() {
            return Ok(Look::NotDue(listed));
        }
    }
    Ok(Look::Due(Box::new(run.known_job(id, settings).await?)))
}

async fn renew(
    run: &Run,
    args: &RenewArgs,
    workshop: &Workshop,
    job: &Job,
) -> Result<Obtained, Failure> {
    let issuer = workshop.issuer(&job.settings, &job.certificate).await?;
    run.reconcile(workshop, &issuer.zones).await;
    let issued = issuer.issue(&request(job, false, args.wait).await?).await?;
    run.output.warn_issued(&issued);
    let hook_failure = hook::run(&job.certificate.deploy_hook, &issued.stored).await;
    Ok(Obtained::new(issued, hook_failure))
}

async fn rehearse(
    run: &Run,
    args: &RenewArgs,
    workshop: &Workshop,
    job: &Job,
) -> Result<Plan, Failure> {
    let issuer = workshop.issuer(&job.settings, &job.certificate).await?;
    run.reconcile(workshop, &issuer.zones).await;
    Ok(issuer
        .rehearse(&request(job, false, args.wait).await?)
        .await?)
}
