//! Settings to which the certificates are added that only the state knows: they were issued by flags.

use std::collections::BTreeMap;

use acme_alias_core::name::DnsName;
use acme_alias_core::store::{CertificateId, Store};

use super::aliases::AliasNames;
use super::engine::Setup;
use crate::failure::Failure;
use crate::settings::{CertificateSettings, ProviderSettings, Settings};

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
        self.settings = merged.settings;
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

/// Settings, and the alias names in them by challenge name.
struct Merged {
    settings: Settings,
    aliases: BTreeMap<DnsName, DnsName>,
}

impl Merged {
    fn new(settings: Settings) -> Self {
        let mut aliases = BTreeMap::new();
        for certificate in settings.certificates.values() {
            add_aliases(&mut aliases, certificate);
        }
        Merged { settings, aliases }
    }

    /// Adds a certificate from its own settings.
    fn add(&mut self, id: &CertificateId, own: Settings) {
        let Some(mut certificate) = own.certificates.get(id).cloned() else {
            return;
        };
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
        // A challenge name has one CNAME: where both say where it leads, the settings files are right.
        for domain in &mut certificate.domains {
            if let Some(alias) = &domain.alias {
                let known = self.aliases.get(domain.identifier.challenge_name());
                if known.is_some_and(|known| known != alias) {
                    domain.alias = None;
                }
            }
        }
        add_aliases(&mut self.aliases, &certificate);
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

fn add_aliases(aliases: &mut BTreeMap<DnsName, DnsName>, certificate: &CertificateSettings) {
    for domain in &certificate.domains {
        if let Some(alias) = &domain.alias {
            let challenge_name = domain.identifier.challenge_name().clone();
            aliases
                .entry(challenge_name)
                .or_insert_with(|| alias.clone());
        }
    }
}
