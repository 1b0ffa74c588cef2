//! `acme-alias config`: what holds, and whether it can be used.

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::settings::Settings;

pub(crate) fn show(cli: &Cli) -> Result<Report, Failure> {
    Ok(Report::Settings(Settings::show(cli)?))
}

/// Reads everything that a run would read, secrets included, and asks nothing of the network.
pub(crate) async fn check(cli: &Cli, output: Output) -> Result<Report, Failure> {
    let settings = Settings::load(cli, None, None)?;
    settings.warnings.iter().for_each(|warning| output.warning(warning));
    for id in settings.providers.keys() {
        settings.build_provider(id).await?;
    }
    Ok(Report::SettingsGood { warnings: settings.warnings.len() })
}
