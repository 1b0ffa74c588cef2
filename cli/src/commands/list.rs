//! `acme-alias list`: the certificates of the settings and of the state folder.

use std::collections::BTreeMap;

use acme_alias_core::engine::{Overview, WantedBy};
use acme_alias_core::renewal::Why;
use acme_alias_core::store::{CertificateId, Store, StoreError};

use crate::cli::ListArgs;
use crate::failure::Failure;
use crate::output::{Format, Listed, Listing, Output, Report, Warn};
use crate::settings::CertificateSettings;
use crate::setup::{Setup, state};

/// Lists what can be read. A damaged certificate is reported and does not hide the others.
pub(crate) async fn run(args: &ListArgs, setup: &Setup, output: Output) -> Result<Report, Failure> {
    let settings = &setup.settings;
    state::check_user(settings)?;
    if args.check {
        // A check that sees nothing must not pass.
        state::check_is_anything(settings)?;
    }
    let mut all = match setup.looking_engine().await? {
        None => {
            let certificates = settings.certificates.iter();
            let overviews = certificates.map(|(id, certificate)| not_obtained(id, certificate));
            let overviews = overviews.map(|overview| listed(setup, overview, None));
            overviews.collect::<Vec<_>>()
        }
        Some(mut built) => {
            let mut overviews = built.engine.overview().await?;
            // What an attempt left is no certificate.
            let is_anything = |overview: &Overview| {
                overview.wanted_by != WantedBy::Nobody || overview.current.is_some()
            };
            overviews.retain(is_anything);
            add_unusable(overviews, setup, &mut built.unusable)
        }
    };
    if output.format == Format::Json {
        add_stored(&mut all, setup).await?;
        for listed in &all {
            if let Some(damage) = &listed.damage {
                let remedy = damage.remedy.as_deref().unwrap_or_default();
                output.warning(&format!("{}: {damage}; {remedy}", listed.overview.id));
            }
        }
    }
    let check = args.check.then_some(Warn { days: args.warn });
    let state = settings.state.clone();
    Ok(Report::List(Listing::new(
        all,
        setup.clock.now(),
        state,
        check,
    )))
}

/// The certificates that the engine knows, and those in the settings that it cannot have.
fn add_unusable(
    overviews: Vec<Overview>,
    setup: &Setup,
    unusable: &mut BTreeMap<CertificateId, Failure>,
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
    for (id, failure) in std::mem::take(unusable) {
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
    Overview {
        id: id.clone(),
        names: domains
            .map(|domain| domain.identifier.to_string())
            .collect(),
        wanted_by: WantedBy::Configuration,
        directory: None,
        current: None,
        why: Some(Why::Missing),
        other: None,
        attempts: None,
        next_try: None,
        has_targets: false,
        undeployed: Vec::new(),
        is_busy: false,
        unusable: None,
    }
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
async fn add_stored(all: &mut [Listed], setup: &Setup) -> Result<(), Failure> {
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
