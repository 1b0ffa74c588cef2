//! `acme-alias config`: what holds, and whether it can be used.

use crate::failure::Failure;
use crate::output::Report;
use crate::run::Run;
use crate::settings;

pub(crate) fn show(run: &Run) -> Result<Report, Failure> {
    Ok(Report::Settings(settings::show(&run.tree()?)))
}

/// Reads everything that a run would read, secrets included, and asks nothing of the network.
pub(crate) async fn check(run: &Run) -> Result<Report, Failure> {
    let settings = run.settings()?;
    for id in settings.providers.keys() {
        settings.build_provider(id).await?;
    }
    Ok(Report::SettingsGood {
        warnings: settings.warnings.len(),
    })
}
