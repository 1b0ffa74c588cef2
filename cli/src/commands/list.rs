//! `acme-alias list`: the certificates in the state folder.

use acme_alias_core::store::Store;

use crate::failure::Failure;
use crate::output::{Listed, Report};
use crate::run::{Run, open_store};

pub(crate) async fn run(run: &Run) -> Result<Report, Failure> {
    let mut all = Vec::new();
    if let Some(store) = open_store(&run.settings()?.state)? {
        for id in store.certificates().await? {
            all.extend(store.certificate(&id).await?.map(Listed::new));
        }
    }
    Ok(Report::List(all))
}
