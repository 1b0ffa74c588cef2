//! Where challenge names shall lead: by the settings, or else by the alias name that was made up for them.

use std::collections::BTreeMap;

use acme_alias_core::name::DnsName;
use acme_alias_core::store::{CertificateId, Store};

use crate::failure::{Failure, Part};
use crate::run::open_store;
use crate::settings::{Alias, Settings};

/// What is known of alias names, by challenge name.
pub(crate) struct AliasNames {
    /// By the settings; each with the certificate that says so.
    configured: BTreeMap<DnsName, Vec<(CertificateId, DnsName)>>,
    /// Made up, and kept in the state. Those outside the alias zones are of no use.
    kept: BTreeMap<DnsName, DnsName>,
}

impl AliasNames {
    /// What the settings and the state have.
    pub(crate) async fn of(settings: &Settings) -> Result<Self, Failure> {
        let mut configured: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (id, certificate) in &settings.certificates {
            for domain in &certificate.domains {
                if let Some(alias) = &domain.alias {
                    let challenge_name = domain.identifier.challenge_name().clone();
                    let said = (id.clone(), name(alias)?);
                    configured.entry(challenge_name).or_default().push(said);
                }
            }
        }
        let mut kept = match open_store(&settings.state)? {
            Some(store) => store.alias_names().await?,
            None => BTreeMap::new(),
        };
        let zones = &settings.alias_zones;
        kept.retain(|_, name| zones.iter().any(|zone| name.is_within(&zone.zone)));
        Ok(AliasNames { configured, kept })
    }

    /// The alias name, where one is wanted; without one, the CNAME that is there is followed.
    pub(crate) fn wanted(&self, challenge_name: &DnsName) -> Result<Option<&DnsName>, Failure> {
        let configured = self.configured(challenge_name)?;
        Ok(configured.or_else(|| self.kept(challenge_name)))
    }

    /// The alias name that the settings have. `x` and `*.x` share a challenge name, and it has one CNAME.
    pub(crate) fn configured(&self, challenge_name: &DnsName) -> Result<Option<&DnsName>, Failure> {
        let Some([(first, name), others @ ..]) =
            self.configured.get(challenge_name).map(Vec::as_slice)
        else {
            return Ok(None);
        };
        match others.iter().find(|(_, other)| other != name) {
            None => Ok(Some(name)),
            Some((second, other)) => Err(Failure::new(
                Part::Settings,
                &format!(
                    "{challenge_name} has two aliases: {name} in `[certificates.{first}]`, and {other} in \
                     `[certificates.{second}]`"
                ),
                "let both have the same: a name has one CNAME, and `x` and `*.x` share it"
                    .to_owned(),
            )),
        }
    }

    /// The alias name that was made up.
    pub(crate) fn kept(&self, challenge_name: &DnsName) -> Option<&DnsName> {
        self.kept.get(challenge_name)
    }
}

/// The alias name that an alias in the settings stands for.
pub(crate) fn name(alias: &Alias) -> Result<DnsName, Failure> {
    alias
        .name()
        .map_err(|error| Failure::new(Part::Settings, &error, None))
}
