//! As whom CAA records must name the authority, and us.

use acme_alias_core::acme::account_url;
use acme_alias_core::delegation::CaaIdentity;
use acme_alias_core::name::DnsName;
use acme_alias_core::store::Store;

use crate::failure::{Failure, Part};
use crate::run::open_store;
use crate::settings::Settings;

/// The domain by which each authority is named in CAA records, by its directory.
const ISSUERS: [(&str, &str); 4] = [
    ("https://acme-v02.api.letsencrypt.org/", "letsencrypt.org"),
    (
        "https://acme-staging-v02.api.letsencrypt.org/",
        "letsencrypt.org",
    ),
    ("https://acme.zerossl.com/", "sectigo.com"),
    ("https://dv.acme-v02.api.pki.goog/", "pki.goog"),
];

/// By `issuer`, or else by the settings, or else by the directory; none where that is not a known one.
pub(crate) async fn of(
    settings: &Settings,
    issuer: Option<&str>,
) -> Result<Option<CaaIdentity>, Failure> {
    let directory = &settings.acme.directory;
    let known = ISSUERS
        .iter()
        .find(|(known, _)| directory.starts_with(known));
    let issuer = issuer.or(settings.acme.caa_issuer.as_deref());
    let Some(issuer) = issuer.or(known.map(|(_, issuer)| *issuer)) else {
        return Ok(None);
    };
    let issuer: DnsName = issuer.parse().map_err(|error| {
        let remedy = "name the authority as its documents do, such as `letsencrypt.org`";
        Failure::new(Part::Settings, &error, remedy.to_owned())
    })?;
    let credentials = match open_store(&settings.state)? {
        Some(store) => store.account(directory).await?,
        None => None,
    };
    Ok(Some(CaaIdentity {
        issuer: issuer.to_string(),
        account: credentials.as_ref().and_then(account_url),
    }))
}
