//! Writing what was found: secrets, accounts, certificates and settings, in this order. If it ends in between, the next
//! import does the rest, and nothing is ordered meanwhile: what the settings want is in the store already.

mod accounts;
mod certificates;
mod outcome;

use std::io;
use std::sync::Arc;

use acme_alias_core::clock::Clock;
use acme_alias_core::store::Store;
use secrecy::ExposeSecret;

pub(crate) use self::outcome::{AccountOutcome, Applied, CertificateOutcome};
use super::draft::Draft;
use super::existing::Existing;
use super::model::Found;
use super::new_file;
use crate::failure::{Failure, Part};
use crate::setup::{Environments, Setup, state};

/// Writes everything that is not there yet.
pub(crate) async fn apply(
    found: Found,
    draft: &Draft,
    existing: &Existing,
    clock: &Arc<dyn Clock>,
) -> Result<Applied, Failure> {
    let mut applied = Applied::default();
    // The key of an account may be replaced at the CA: what can be known before is checked before.
    if !draft.text.is_empty() {
        new_file::check(&existing.file).map_err(|error| not_written(existing, &error))?;
    }
    let (store, _) = state::open(&draft.settings, clock).await?;
    let store: Arc<dyn Store> = store;
    store.check().await?;
    for (path, secret) in &draft.secrets {
        let created = new_file::create(path, secret.expose_secret());
        created.map_err(|error| {
            let message = format!("the file {} cannot be written: {error}", path.display());
            Failure::new(Part::Settings, &message, None)
        })?;
        applied.secrets.push(path.clone());
    }
    let environments = Environments::new(Arc::clone(clock));
    let Found {
        accounts,
        certificates,
        ..
    } = found;
    accounts::store(
        accounts,
        &certificates,
        draft,
        &environments,
        &*store,
        &mut applied,
    )
    .await?;
    let stored = certificates::store(certificates, draft, &store, &mut applied).await?;
    if !draft.text.is_empty() {
        let text = existing.extended(&draft.text);
        let replaced = new_file::replace(&existing.file, &text);
        replaced.map_err(|error| not_written(existing, &error))?;
        applied.has_settings = true;
    }
    let setup = Setup::new(existing.sources()).await?;
    certificates::mark_deployed(&stored, &setup, &store).await?;
    Ok(applied)
}

fn not_written(existing: &Existing, error: &io::Error) -> Failure {
    let file = existing.file.display();
    let message = format!("the settings file {file} cannot be written: {error}");
    let remedy = "make its folder writable for this user only, or name another file with `--config`, and run the same \
                  command again";
    Failure::new(Part::Settings, &message, remedy.to_owned())
}
