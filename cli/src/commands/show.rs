//! `acme-alias show`: everything that is known of a certificate.

use acme_alias_core::engine::{Defined, JobError};

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
    let unusable = built.unusable.get(id).cloned();
    let mut description = match (built.engine.describe(id).await?, &unusable) {
        (Some(description), _) => description,
        (None, Some(failure)) => return Err(failure.clone()),
        (None, None) => return Err(unknown()),
    };
    if unusable.is_some() {
        description.defined = Defined::Configured;
    }
    let folder = setup.settings.state.join("certificates").join(id.as_str());
    Ok(Report::Certificate(Box::new(ShownCertificate {
        description,
        unusable,
        folder,
    })))
}
