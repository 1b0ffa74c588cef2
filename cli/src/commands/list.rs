//! `acme-alias list`: the certificates in the state folder.

use acme_alias_core::store::Store;

use crate::failure::Failure;
use crate::output::{Listed, Output, Report};
use crate::setup::Setup;

/// Lists what can be read. A damaged certificate is reported and does not hide the others.
pub(crate) async fn run(setup: &Setup, output: Output) -> Result<Report, Failure> {
    let mut certificates = Vec::new();
    let mut damaged = Vec::new();
    let Some((store, _)) = setup.existing_state().await? else {
        return Ok(Report::List {
            certificates,
            damaged,
        });
    };
    for entry in store.index().await? {
        let stored = match entry.current {
            None => continue,
            Some(Ok(_)) => store.certificate(&entry.id).await,
            Some(Err(error)) => Err(error),
        };
        match stored {
            Ok(stored) => {
                let is_configured = setup.settings.certificates.contains_key(&entry.id);
                let is_defined = is_configured || entry.has_settings;
                certificates.extend(stored.map(|stored| Listed::new(stored, is_defined)));
            }
            Err(error) => {
                let failure = Failure::from(error);
                let id = entry.id;
                let remedy = failure.remedy.as_deref().unwrap_or_default();
                output.warning(&format!("{id}: {failure}; {remedy}"));
                damaged.push((id, failure));
            }
        }
    }
    Ok(Report::List {
        certificates,
        damaged,
    })
}
