//! `acme-alias config`: what holds, and whether it can be used.

use acme_alias_core::acme::AcmeError;
use acme_alias_core::engine::Environment;
use acme_alias_core::ledger::GitExport;

use super::serials;
use crate::failure::{Failure, Part, git_export_remedy};
use crate::output::{FoundSecret, Report};
use crate::settings::{self, Mistake, SettingsError, local_mistakes};
use crate::setup::{Setup, state};
use crate::sources::Sources;

pub(crate) fn show(sources: &Sources) -> Result<Report, Failure> {
    Ok(Report::Settings {
        files: sources.files()?,
        settings: settings::show(&sources.tree()?),
    })
}

/// Reads everything that a run could read, the secrets of all providers included, and asks nothing of
/// the network. All mistakes are reported at once.
pub(crate) async fn check(setup: &Setup) -> Result<Report, Failure> {
    let settings = &setup.settings;
    let mut mistakes = Vec::new();
    let mut found = Vec::new();
    for id in settings.providers.keys() {
        match provider(setup, id).await {
            Ok(secrets) => found.extend(secrets),
            Err(failure) => mistakes.push(mistake(failure)?),
        }
    }
    let mut seen: Vec<String> = Vec::new();
    for environment in setup.environments_of_cas() {
        let checked = match environment {
            Ok(environment) => external_account(setup, &environment).await,
            Err(failure) => Err(failure),
        };
        // What all CAs have in common is wrong once.
        if let Err(failure) = checked
            && !seen.contains(&failure.to_string())
        {
            seen.push(failure.to_string());
            mistakes.push(mistake(failure)?);
        }
    }
    mistakes.extend(local_mistakes(&setup.tree()?, settings).await);
    mistakes.extend(audit(setup).await);
    for folder in &settings.other_ledgers {
        if let Err(failure) = serials::check_copy(folder) {
            mistakes.push(mistake(failure)?);
        }
    }
    mistakes.extend(settings.mistakes());
    if let Some(error) = SettingsError::all(mistakes.iter()) {
        return Err(error.into());
    }
    state::check_folder(settings)?;
    Ok(Report::SettingsGood {
        warnings: settings.warnings.len(),
        found,
    })
}

/// A mistake in the settings. Other failures are not to be mended there.
fn mistake(failure: Failure) -> Result<SettingsError, Failure> {
    if failure.part == Part::Store {
        return Err(failure);
    }
    if let Some(settings) = failure.settings {
        return Ok(*settings);
    }
    let mistake = Mistake::new(failure.message);
    Ok(match failure.remedy {
        Some(remedy) => mistake.help(remedy),
        None => mistake,
    }
    .into())
}

/// What the secrets of a provider are.
async fn provider(setup: &Setup, id: &str) -> Result<Vec<FoundSecret>, Failure> {
    let provider = setup.environments.provider(&setup.settings, id)?;
    let Some(local) = &provider.open().await?.local else {
        return Ok(Vec::new());
    };
    let found = local.check_locally().await.map_err(|error| {
        let message = format!("`providers.{id}`: {error}");
        Failure::new(Part::Settings, &message, error.remedy)
    })?;
    let found = found.into_iter().map(|found| FoundSecret {
        provider: id.to_owned(),
        found,
    });
    Ok(found.collect())
}

/// Whether the ledger can be exported.
async fn audit(setup: &Setup) -> Option<SettingsError> {
    let folder = setup.settings.audit_git.as_ref()?;
    let error = GitExport::new(folder.clone()).check().await.err()?;
    let mistake = Mistake::new(format!("`audit-git`: {error}")).help(git_export_remedy(&error));
    Some(mistake.into())
}

/// Fetches the key of the external account, unless the account exists: then nobody needs the key any more.
async fn external_account(setup: &Setup, environment: &Environment) -> Result<(), Failure> {
    let ca = environment.ca();
    let Some(source) = &ca.config().external_account else {
        return Ok(());
    };
    if let Some((store, _)) = setup.existing_state().await?
        && ca.account_url(&*store).await?.is_some()
    {
        return Ok(());
    }
    let fetched = source.fetch().await;
    let external = fetched.map_err(|error| AcmeError::ExternalAccount {
        source: error.into(),
    })?;
    external.hmac_key_octets()?;
    Ok(())
}
