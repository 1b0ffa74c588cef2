//! `acme-alias issue`: one certificate.

use acme_alias_core::store::{FileStore, Store};

use crate::cli::IssueArgs;
use crate::failure::Failure;
use crate::hook;
use crate::output::{Obtained, Report};
use crate::run::Run;
use crate::workshop::{Workshop, request};

pub(crate) async fn run(run: &Run, args: &IssueArgs) -> Result<Report, Failure> {
    let job = run.job(args).await?;
    let request = request(&job, args.skip_preflight, args.wait).await?;
    let store = FileStore::open(&job.settings.state)?;
    let workshop = Workshop::new(store, run, 1)?;
    let issuer = workshop.issuer(&job.settings, &job.certificate).await?;
    run.reconcile(&workshop, &issuer.zones).await;
    if args.dry_run {
        let plan = issuer.rehearse(&request).await?;
        run.output.warn_findings(&plan.warnings);
        return Ok(Report::Rehearsed {
            plans: vec![(job.id, plan)],
            failed: Vec::new(),
        });
    }
    let issued = issuer.issue(&request).await?;
    run.output.warn_issued(&issued);
    if let Some(keep) = &job.keep {
        workshop.store.put_settings(&job.id, keep).await?;
    }
    let hook_failure = hook::run(&job.certificate.deploy_hook, &issued.stored).await;
    super::key::warn(run, &[&job]).await;
    Ok(Report::Issued(Obtained::new(issued, hook_failure)))
}
