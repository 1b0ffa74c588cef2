//! `acme-alias config`: what holds, and whether it can be used.

use acme_alias_core::acme::AcmeError;
use acme_alias_core::engine::Environment;

use crate::failure::Failure;
use crate::output::Report;
use crate::settings;
use crate::setup::Setup;
use crate::sources::Sources;

pub(crate) fn show(sources: &Sources) -> Result<Report, Failure> {
    Ok(Report::Settings {
        files: sources.files()?,
        settings: settings::show(&sources.tree()?),
    })
}

/// Reads everything that a run could read, the secrets of all providers included, and asks nothing of
/// the network.
pub(crate) async fn check(setup: &Setup) -> Result<Report, Failure> {
    let settings = &setup.settings;
    for id in settings.providers.keys() {
        let provider = setup.environments.provider(settings, id)?;
        provider.open().await?;
    }
    for environment in setup.environments_of_cas() {
        let environment = environment?;
        external_account(setup, &environment).await?;
    }
    if let Some(error) = settings.mistakes() {
        return Err(error.into());
    }
    Ok(Report::SettingsGood {
        warnings: settings.warnings.len(),
    })
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
