//! `acme-alias show`: everything that is known of a certificate.

use acme_alias_core::engine::{Defined, Description, JobError};

use crate::cli::ShowArgs;
use crate::failure::Failure;
use crate::output::{Report, ShownCertificate};
use crate::setup::{Built, Setup};

pub(crate) async fn run(args: &ShowArgs, setup: &Setup) -> Result<Report, Failure> {
    let id = &args.id;
    let unknown = || Failure::from(JobError::Unknown { id: id.clone() });
    let (description, unusable) = match setup.looking_engine().await? {
        Some(Built { engine, unusable }) => {
            let unusable = unusable.get(id).cloned();
            let description = engine.describe(id).await?;
            let mut description =
                description.ok_or_else(|| unusable.clone().unwrap_or_else(unknown))?;
            if unusable.is_some() {
                description.defined = Defined::Configured;
            }
            (description, unusable)
        }
        None => {
            let configured = setup.configured(id).ok_or_else(unknown)?;
            (Description::not_obtained(configured?), None)
        }
    };
    let folder = setup.settings.state.join("certificates").join(id.as_str());
    Ok(Report::Certificate(Box::new(ShownCertificate {
        description,
        unusable,
        folder,
    })))
}
