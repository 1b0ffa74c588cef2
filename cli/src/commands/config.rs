//! `acme-alias config`: what holds, and whether it can be used.

use crate::failure::Failure;
use crate::output::Report;
use crate::settings;
use crate::setup::Setup;
use crate::sources::Sources;

pub(crate) fn show(sources: &Sources) -> Result<Report, Failure> {
    Ok(Report::Settings(settings::show(&sources.tree()?)))
}

/// Reads everything that a run could read, the secrets of all providers included, and asks nothing of
/// the network.
pub(crate) async fn check(setup: &Setup) -> Result<Report, Failure> {
    let settings = &setup.settings;
    for id in settings.providers.keys() {
        let provider = setup.environments.provider(settings, id)?;
        provider.open().await?;
    }
    setup.environment()?;
    if let Some(error) = settings.mistakes() {
        return Err(error.into());
    }
    Ok(Report::SettingsGood {
        warnings: settings.warnings.len(),
    })
}
