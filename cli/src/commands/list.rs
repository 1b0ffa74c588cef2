//! `acme-alias list`: the certificates in the state folder.

use acme_alias_core::store::{FileStore, Store};

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output::{Listed, Report};
use crate::settings::Settings;

pub(crate) async fn run(cli: &Cli) -> Result<Report, Failure> {
    let settings = Settings::load(cli, None, None)?;
    let mut all = Vec::new();
    // Where there is no state folder yet, looking must not make one.
    if settings.state.is_dir() {
        let store = FileStore::open(&settings.state)?;
        for id in store.certificates().await? {
            all.extend(store.certificate(&id).await?.map(Listed::new));
        }
    }
    Ok(Report::List(all))
}
