//! `acme-alias issue`: one certificate.

use acme_alias_core::store::{CertificateId, FileStore, Store};
use tokio_util::sync::CancellationToken;

use crate::cli::{Cli, IssueArgs};
use crate::failure::{Failure, Part};
use crate::output::{Obtained, Output, Report};
use crate::settings::Settings;
use crate::workshop::{Workshop, request};
use crate::{flags, hook};

pub(crate) async fn run(
    cli: &Cli,
    args: &IssueArgs,
    output: Output,
    cancel: CancellationToken,
) -> Result<Report, Failure> {
    let order = flags::order(cli, args)?;
    let settings = Settings::load(cli, None, order.layer.as_ref())?;
    settings.warnings.iter().for_each(|warning| output.warning(warning));
    let certificate = settings.certificates.get(&order.id).ok_or_else(|| unknown(&order.id))?;
    let request = request(&order.id, certificate, args.skip_preflight)?;

    let store = FileStore::open(&settings.state)?;
    let workshop = Workshop::new(store, output.observer(1), cancel);
    let issuer = workshop.issuer(&settings, certificate).await?;
    if args.dry_run {
        let plan = issuer.rehearse(&request).await?;
        output.warn_findings(&plan.warnings);
        return Ok(Report::Rehearsed(vec![(order.id, plan)]));
    }
    let issued = issuer.issue(&request).await?;
    output.warn_findings(&issued.warnings);
    if let Some(layer) = &order.layer {
        workshop.store.put_settings(&order.id, &flags::stored_text(layer)).await?;
    }
    let hook_failure = hook::run(&certificate.deploy_hook, &issued.stored).await;
    Ok(Report::Issued(Obtained::new(issued, hook_failure)))
}

fn unknown(id: &CertificateId) -> Failure {
    Failure::new(
        Part::Settings,
        format!("there is no certificate `{id}` in the settings"),
        format!("add `[certificates.{id}]` with its `domains`, or give the domains themselves"),
    )
}
