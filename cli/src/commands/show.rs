//! `acme-alias show`: everything that is known of a certificate.

use acme_alias_core::engine::JobError;

use crate::cli::ShowArgs;
use crate::failure::Failure;
use crate::output::{Output, Report, ShownCertificate};
use crate::setup::Setup;

pub(crate) async fn run(args: &ShowArgs, setup: &Setup, output: Output) -> Result<Report, Failure> {
    let id = &args.id;
    let unknown = || Failure::from(JobError::Unknown { id: id.clone() });
    let is_configured = setup.settings.certificates.contains_key(id);
    if setup.existing_state().await?.is_none() && !is_configured {
        return Err(unknown());
    }
    let built = setup.engine(output.observer()).await?;
    let description = built.engine.describe(id).await?;
    // One in the settings that cannot be used is described by the reason.
    if let Some(failure) = built.unusable.get(id) {
        return Err(failure.clone());
    }
    let description = description.ok_or_else(unknown)?;
    let folder = setup.settings.state.join("certificates").join(id.as_str());
    Ok(Report::Certificate(Box::new(ShownCertificate {
        description,
        folder,
    })))
}
