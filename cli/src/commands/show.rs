//! `acme-alias show`: everything that is known of a certificate.

use std::collections::BTreeSet;
use std::slice;

use acme_alias_core::engine::{Defined, Description};
use acme_alias_core::printable::few;
use acme_alias_core::store::CertificateId;

use crate::cli::ShowArgs;
use crate::failure::{Failure, Part, unknown_certificate};
use crate::output::{Report, ShownCertificate};
use crate::setup::{Built, Setup};

pub(crate) async fn run(args: &ShowArgs, setup: &Setup) -> Result<Report, Failure> {
    let ids = setup.ids_of(slice::from_ref(&args.certificate)).await?;
    let mut all = ids.iter();
    let (Some(id), None) = (all.next(), all.next()) else {
        return Err(several(&ids));
    };
    let unknown = || unknown_certificate(id);
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

/// A name that several certificates have.
fn several(ids: &BTreeSet<CertificateId>) -> Failure {
    let commands: Vec<_> = ids
        .iter()
        .map(|id| format!("`acme-alias show {id}`"))
        .collect();
    Failure::new(
        Part::Settings,
        &format!("{} certificates have this name", ids.len()),
        format!("show one of them: {}", few(&commands, " or ")),
    )
}
