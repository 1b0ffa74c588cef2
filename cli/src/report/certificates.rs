//! The certificates of the settings and of the state folder, with what is known of each.

use std::collections::BTreeMap;

use acme_alias_core::engine::{Overview, WantedBy};
use acme_alias_core::store::{CertificateId, Store, StoreError};

use crate::failure::Failure;
use crate::output::Listed;
use crate::settings::CertificateSettings;
use crate::setup::{Built, Setup};

/// All certificates; without an engine, which needs a state folder, those of the settings. Nobody is asked.
pub(crate) async fn all(setup: &Setup, built: Option<&Built>) -> Result<Vec<Listed>, Failure> {
    let Some(built) = built else {
        let certificates = setup.settings.certificates.iter();
        let all = certificates.map(|(id, certificate)| {
            let unusable = certificate.mistakes.clone().map(Failure::from);
            listed(setup, not_obtained(id, certificate), unusable)
        });
        return Ok(all.collect());
    };
    let mut overviews = built.engine.overview().await?;
    // What an attempt left is no certificate.
    let is_anything =
        |overview: &Overview| overview.wanted_by != WantedBy::Nobody || overview.current.is_some();
    overviews.retain(is_anything);
    Ok(add_unusable(overviews, setup, built.unusable.clone()))
}

/// The certificates that the engine knows, and those in the settings that it cannot have.
fn add_unusable(
    overviews: Vec<Overview>,
    setup: &Setup,
    mut unusable: BTreeMap<CertificateId, Failure>,
) -> Vec<Listed> {
    let certificates = &setup.settings.certificates;
    let mut all = Vec::new();
    for mut overview in overviews {
        let failure = unusable.remove(&overview.id);
        if let (Some(_), Some(certificate)) = (&failure, certificates.get(&overview.id)) {
            let described = not_obtained(&overview.id, certificate);
            overview.wanted_by = described.wanted_by;
            // Those of a certification request that cannot be read are not known.
            if !described.names.is_empty() {
                overview.names = described.names;
            }
        }
        all.push(listed(setup, overview, failure));
    }
    for (id, failure) in unusable {
        if let Some(certificate) = certificates.get(&id) {
            let overview = not_obtained(&id, certificate);
            all.push(listed(setup, overview, Some(failure)));
        }
    }
    all
}

/// What is known of a certificate that only the settings have.
fn not_obtained(id: &CertificateId, certificate: &CertificateSettings) -> Overview {
    let domains = certificate.domains.iter();
    let names = domains.map(|domain| domain.identifier.to_string());
    Overview::not_obtained(id.clone(), names.collect())
}

fn listed(setup: &Setup, mut overview: Overview, unusable: Option<Failure>) -> Listed {
    let settings = &setup.settings;
    let certificate = settings.certificates.get(&overview.id);
    if overview.directory.is_none()
        && let Some(certificate) = certificate
    {
        let ca = certificate.ca.as_ref().and_then(|id| settings.cas.get(id));
        let directory = ca.map_or(&settings.acme.directory, |ca| &ca.directory);
        overview.directory = Some(directory.clone());
    }
    let ca = overview.directory.as_deref();
    let ca = ca.map_or("-", |directory| settings.ca_name(directory));
    let damage = match &overview.current {
        Some(Err(error)) => Some(unreadable(&overview.id, error.clone())),
        _ => None,
    };
    let stored = overview.unusable.clone().map(Failure::from);
    Listed {
        ca: ca.to_owned(),
        unusable: unusable.or(stored),
        damage,
        stored: None,
        overview,
    }
}

/// Why a certificate cannot be read, and what to do.
fn unreadable(id: &CertificateId, error: StoreError) -> Failure {
    let is_damaged = matches!(error, StoreError::Damaged { .. });
    let mut failure = Failure::from(error);
    if is_damaged {
        let remedy = format!(
            "restore it from a backup, or move the folder certificates/{id} away and obtain it again"
        );
        failure.remedy = Some(remedy.into());
    }
    failure
}

/// Reads the current versions.
pub(crate) async fn add_stored(all: &mut [Listed], setup: &Setup) -> Result<(), Failure> {
    let Some((store, _)) = setup.existing_state().await? else {
        return Ok(());
    };
    for listed in all {
        if let Some(Ok(_)) = &listed.overview.current {
            match store.certificate(&listed.overview.id).await {
                Ok(stored) => listed.stored = stored,
                Err(error) => listed.damage = Some(unreadable(&listed.overview.id, error)),
            }
        }
    }
    Ok(())
}
