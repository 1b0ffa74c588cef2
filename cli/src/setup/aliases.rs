//! Where challenge names should lead: by the settings, or else by the alias name that was generated for them.

use std::collections::BTreeMap;

use acme_alias_core::name::DnsName;
use acme_alias_core::store::CertificateId;

use crate::failure::{Failure, Part};
use crate::settings::Settings;

/// What is known of alias names, by challenge name.
pub(crate) struct AliasNames {
    /// By the settings; each with the certificate that says so.
    configured: BTreeMap<DnsName, Vec<(CertificateId, DnsName)>>,
    /// Generated, and stored in the state. Those outside the alias zones are not used.
    generated: BTreeMap<DnsName, DnsName>,
}

impl AliasNames {
    /// What the settings have, and the `generated` names that the state has.
    pub(crate) fn new(settings: &Settings, mut generated: BTreeMap<DnsName, DnsName>) -> Self {
        let mut configured: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (id, certificate) in &settings.certificates {
            for domain in &certificate.domains {
                if let Some(alias) = &domain.alias {
                    let challenge_name = domain.identifier.challenge_name().clone();
                    let entry = (id.clone(), alias.clone());
                    configured.entry(challenge_name).or_default().push(entry);
                }
            }
        }
        let zones = &settings.alias_zones;
        generated.retain(|_, name| zones.iter().any(|zone| name.is_within(&zone.zone)));
        AliasNames {
            configured,
            generated,
        }
    }

    /// The alias name, if one is wanted. Otherwise the CNAME is followed.
    pub(crate) fn wanted(&self, challenge_name: &DnsName) -> Result<Option<&DnsName>, Failure> {
        let configured = self.configured(challenge_name)?;
        Ok(configured.or_else(|| self.generated_for(challenge_name)))
    }

    /// The alias name for a certificate that has `own` in its settings. Those of other certificates do not count: they may
    /// be of others, who list whatever name they want. The CNAME is followed then.
    pub(crate) fn of_certificate<'a>(
        &'a self,
        challenge_name: &DnsName,
        own: Option<&'a DnsName>,
    ) -> Option<&'a DnsName> {
        own.or_else(|| match self.all_configured(challenge_name) {
            [] => self.generated_for(challenge_name),
            _ => None,
        })
    }

    /// The alias name in the settings. `x` and `*.x` share a challenge name, which has one CNAME.
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
                "give both the same alias: a name has one CNAME, and `x` and `*.x` share it"
                    .to_owned(),
            )),
        }
    }

    /// All alias names in the settings for a challenge name; each with the certificate that says so.
    pub(crate) fn all_configured(&self, challenge_name: &DnsName) -> &[(CertificateId, DnsName)] {
        self.configured
            .get(challenge_name)
            .map_or(&[], Vec::as_slice)
    }

    /// The alias name that was generated.
    pub(crate) fn generated_for(&self, challenge_name: &DnsName) -> Option<&DnsName> {
        self.generated.get(challenge_name)
    }

    /// All generated alias names, by challenge name.
    pub(crate) fn generated(&self) -> &BTreeMap<DnsName, DnsName> {
        &self.generated
    }
}
