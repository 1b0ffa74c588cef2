//! Settings to which the certificates are added that only the state knows: they were issued by flags.

use std::collections::{BTreeMap, BTreeSet};

use acme_alias_core::store::{CertificateId, Store};

use super::aliases::AliasNames;
use super::engine::Setup;
use crate::failure::Failure;
use crate::settings::{AcmeSettings, ProviderSettings, Settings};

impl Setup {
    /// The same, with the certificates that only the state knows, and with what is stored with them. Also returns a
    /// warning for each that cannot be used.
    pub(crate) async fn with_stored(mut self) -> Result<(Self, Vec<String>), Failure> {
        let mut warnings = Vec::new();
        let Some((store, _)) = self.existing_state().await? else {
            warnings.extend(unusable(&self.settings));
            return Ok((self, warnings));
        };
        let mut merged = Merged::new(self.settings.clone());
        for entry in store.index().await? {
            let id = entry.id;
            if !entry.has_settings || self.settings.certificates.contains_key(&id) {
                continue;
            }
            let own = match store.settings(&id).await {
                Ok(None) => continue,
                Ok(Some(stored)) => self.stored(&id, &stored).map_err(Failure::from),
                Err(error) => Err(error.into()),
            };
            match own {
                Ok(own) => merged.add(&id, own),
                Err(failure) => warnings.push(format!(
                    "the certificate `{id}` is left out, because the settings stored with it cannot be used: {failure}"
                )),
            }
        }
        self.cas_by_flags = std::mem::take(&mut merged.cas);
        (self.settings, self.by_flags) = (merged.settings, merged.by_flags);
        warnings.extend(unusable(&self.settings));
        let generated = self.aliases.generated().clone();
        self.aliases = AliasNames::new(&self.settings, generated).into();
        Ok((self, warnings))
    }
}

/// A warning for each certificate that cannot be obtained.
fn unusable(settings: &Settings) -> impl Iterator<Item = String> {
    let certificates = settings.certificates.iter();
    certificates.filter_map(|(id, certificate)| {
        let error = certificate.mistakes.as_ref()?;
        Some(format!(
            "the certificate `{id}` cannot be obtained: {error}"
        ))
    })
}

/// Settings to which certificates are added.
struct Merged {
    settings: Settings,
    /// The certificates that were added.
    by_flags: BTreeSet<CertificateId>,
    /// The CA of each of them.
    cas: BTreeMap<CertificateId, AcmeSettings>,
}

impl Merged {
    fn new(settings: Settings) -> Self {
        Merged {
            settings,
            by_flags: BTreeSet::new(),
            cas: BTreeMap::new(),
        }
    }

    /// Adds a certificate from its own settings.
    fn add(&mut self, id: &CertificateId, own: Settings) {
        let Some(mut certificate) = own.certificates.get(id).cloned() else {
            return;
        };
        let ca = certificate.ca.as_ref().and_then(|ca| own.cas.get(ca));
        let ca = ca.unwrap_or(&own.acme).clone();
        self.cas.insert(id.clone(), ca);
        let mut renamed = BTreeMap::new();
        for (provider, options) in own.providers {
            let name = self.provider(id, &provider, options);
            renamed.insert(provider, name);
        }
        for mut zone in own.alias_zones {
            if self
                .settings
                .alias_zones
                .iter()
                .all(|known| known.zone != zone.zone)
            {
                if let Some(name) = renamed.get(&zone.provider) {
                    zone.provider.clone_from(name);
                }
                self.settings.alias_zones.push(zone);
            }
        }
        if let Some(name) = certificate.provider.as_ref().and_then(|id| renamed.get(id)) {
            certificate.provider = Some(name.clone());
        }
        self.by_flags.insert(id.clone());
        self.settings.certificates.insert(id.clone(), certificate);
    }

    /// Adds a provider. Returns its id, which is another one if the settings have a different provider of that id.
    fn provider(&mut self, id: &CertificateId, name: &str, options: ProviderSettings) -> String {
        let providers = &mut self.settings.providers;
        let name = match providers.get(name) {
            Some(known) if *known != options => format!("{name} of {id}"),
            _ => name.to_owned(),
        };
        providers.insert(name.clone(), options);
        name
    }
}
