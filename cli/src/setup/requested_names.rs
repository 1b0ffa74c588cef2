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
    if has_names_of_requests(certificates) {
        let is_known = |id: &_| is_configured(id) || certificates.contains_key(id);
        let listed = names_in(store, sources, is_known).await?;
        listed.refuse(certificates, |mistake, _| mistake);
    }
    Ok(())
}

/// Whether some of these have the names of a request, whatever they are.
pub(super) fn has_names_of_requests(
    certificates: &BTreeMap<CertificateId, CertificateSettings>,
) -> bool {
    let mut all = certificates.values();
    all.any(|one| one.names_from == NamesFrom::Request)
}

/// The names that were listed, by flags, for certificates in the store, but those for which `is_known` holds.
pub(super) async fn names_in(
    store: &dyn Store,
    sources: &Sources,
    is_known: impl Fn(&CertificateId) -> bool,
) -> Result<ListedNames, Failure> {
    let mut listed = ListedNames::default();
    for entry in store.index().await? {
        if is_known(&entry.id) || !entry.has_settings {
            continue;
        }
        // What cannot be read is reported where that certificate is wanted.
        if let Ok(Some(stored)) = store.settings(&entry.id).await
            && let Ok(own) = sources.with_stored(&entry.id, &stored)
        {
            listed.add(&own.certificates);
        }
    }
    Ok(listed)
}
