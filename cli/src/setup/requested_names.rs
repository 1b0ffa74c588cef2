//! Requests for names of certificates that only the state knows.

use std::collections::BTreeMap;

use acme_alias_core::store::{CertificateId, Store};

use crate::failure::Failure;
use crate::settings::{CertificateSettings, ListedNames, NamesFrom};
use crate::sources::Sources;

/// Refuses the requests among `certificates` that are for names which were listed, by flags, for a certificate in
/// the store. `is_configured` says whose settings are not those in the store.
pub(super) async fn refuse_names_in(
    store: &dyn Store,
    sources: &Sources,
    is_configured: impl Fn(&CertificateId) -> bool,
    certificates: &mut BTreeMap<CertificateId, CertificateSettings>,
) -> Result<(), Failure> {
    let mut all = certificates.values();
    if all.all(|one| one.names_from == NamesFrom::Settings) {
        return Ok(());
    }
    let mut listed = ListedNames::default();
    for entry in store.index().await? {
        let is_known = is_configured(&entry.id) || certificates.contains_key(&entry.id);
        if is_known || !entry.has_settings {
            continue;
        }
        if let Some(stored) = store.settings(&entry.id).await?
            // What cannot be read is reported where that certificate is wanted.
            && let Ok(own) = sources.with_stored(&entry.id, &stored)
        {
            listed.add(&own.certificates);
        }
    }
    listed.refuse(certificates, |mistake, _| mistake);
    Ok(())
}
