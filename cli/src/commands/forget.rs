//! `acme-alias forget`: deletes what is kept of a certificate.

use acme_alias_core::engine::{JobError, RunError};
use acme_alias_core::store::CertificateId;
use tokio_util::sync::CancellationToken;

use super::outcome;
use crate::cli::ForgetCertificateArgs;
use crate::failure::{Failure, Part};
use crate::output::{ForgottenCertificate, Output, Report};
use crate::setup::Setup;

pub(crate) async fn run(
    args: &ForgetCertificateArgs,
    setup: &Setup,
    output: Output,
    cancel: &CancellationToken,
) -> Result<Report, Failure> {
    let id = &args.id;
    if setup.settings.certificates.contains_key(id) {
        return Err(still_wanted(setup, id)?);
    }
    let unknown = || Failure::from(JobError::Unknown { id: id.clone() });
    if setup.existing_state().await?.is_none() {
        return Err(unknown());
    }
    let engine = setup.engine(output.observer()).await?.engine;
    let remains = engine.remains(id).await?;
    if !remains.is_anything() {
        return Err(unknown());
    }
    let mut done = None;
    if !args.dry_run {
        let begun = cancel.run_until_cancelled(engine.begin()).await;
        let run = begun.unwrap_or(Err(RunError::Interrupted))?;
        let forgotten = run.forget_certificate(id, args.purge);
        let forgotten = cancel.run_until_cancelled(forgotten).await;
        let exported = run.end(cancel).await;
        outcome::warn_of_export(exported.as_ref(), output);
        done = Some(forgotten.unwrap_or(Err(RunError::Interrupted))?);
    }
    Ok(Report::ForgottenCertificate(Box::new(
        ForgottenCertificate {
            folder: setup.settings.state.join("certificates").join(id.as_str()),
            purge: args.purge,
            remains,
            done,
        },
    )))
}

/// `renew` would obtain it again.
fn still_wanted(setup: &Setup, id: &CertificateId) -> Result<Failure, Failure> {
    let table = format!("certificates.{id}");
    let tree = setup.tree()?;
    let place = tree.file(&table).map_or_else(
        || format!("`[{table}]`"),
        |(file, _)| format!("`[{table}]` in {file}"),
    );
    Ok(Failure::new(
        Part::Settings,
        &format!("`{id}` is still in the settings: {place}"),
        format!("remove the table {place}, then run the same command again"),
    ))
}
