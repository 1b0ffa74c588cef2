//! Settings to which the certificates are added that only the state knows: they were issued by flags.

use std::collections::{BTreeMap, BTreeSet};

use acme_alias_core::name::DnsName;
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
        let (settings, by_flags, contested) = merged.finish();
        (self.settings, self.by_flags) = (settings, by_flags);
        warnings.extend(contested);
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

    /// The settings, the certificates that were added, and a warning for each challenge name with different aliases.
    /// It has one CNAME: the alias in the settings files counts, or else the CNAME that is there.
    fn finish(mut self) -> (Settings, BTreeSet<CertificateId>, Vec<String>) {
        let mut aliases: BTreeMap<DnsName, BTreeMap<DnsName, Vec<CertificateId>>> = BTreeMap::new();
        for (id, certificate) in &self.settings.certificates {
            for domain in &certificate.domains {
                let Some(alias) = domain.alias.clone() else {
                    continue;
                };
                let challenge_name = domain.identifier.challenge_name().clone();
                let ids = aliases.entry(challenge_name).or_default();
                let ids = ids.entry(alias).or_default();
                if !ids.contains(id) {
                    ids.push(id.clone());
                }
            }
        }
        aliases.retain(|_, by_alias| by_alias.len() > 1);
        for id in &self.by_flags {
            let certificate = self.settings.certificates.get_mut(id);
            for domain in certificate.into_iter().flat_map(|one| &mut one.domains) {
                if aliases.contains_key(domain.identifier.challenge_name()) {
                    domain.alias = None;
                }
            }
        }
        let by_flags = |ids: &Vec<CertificateId>| ids.iter().any(|id| self.by_flags.contains(id));
        let contested = aliases.iter().filter(|(_, of)| of.values().any(by_flags));
        let warnings = contested
            .map(|(name, of)| contested_alias(name, of))
            .collect();
        (self.settings, self.by_flags, warnings)
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

/// Certificates that were issued by flags, and one that has another alias for the same challenge name.
fn contested_alias(
    challenge_name: &DnsName,
    aliases: &BTreeMap<DnsName, Vec<CertificateId>>,
) -> String {
    let each = aliases.iter().map(|(alias, ids)| {
        let ids: Vec<_> = ids.iter().map(|id| format!("`{id}`")).collect();
        format!("{alias} for {}", ids.join(", "))
    });
    let each: Vec<_> = each.collect();
    format!(
        "{challenge_name} has different aliases: {}; a name has one CNAME, so the certificates with the others \
         cannot be renewed: issue them again with the alias to which it leads, or `acme-alias forget` them",
        each.join(", and ")
    )
}
