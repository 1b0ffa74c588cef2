//! Where challenge names lead by themselves, without a configured alias.

use std::collections::BTreeSet;

use acme_alias_core::delegation::{CnameChain, End};
use acme_alias_core::dns::{Dns, DnsError};
use acme_alias_core::name::DnsName;

use crate::settings::{AliasZoneSettings, Settings};

/// Where a challenge name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leads {
    /// To this name, by its CNAMEs. A name in an alias zone that has no CNAME leads to itself.
    To(DnsName),
    /// To no name at which there could be TXT records.
    Nowhere,
    /// A server that would know did not answer.
    Unknown(DnsError),
}

impl Leads {
    /// Follows the CNAMEs of a challenge name.
    pub(crate) async fn of(dns: &Dns, settings: &Settings, challenge_name: &DnsName) -> Self {
        let chain = CnameChain::follow(dns, challenge_name).await;
        let last = chain.last().clone();
        // The servers of an alias zone need not answer: TXT records are written there in any case.
        let is_in_alias_zone = alias_zone(settings, &last).is_some();
        match chain.end {
            End::At { .. } if !chain.hops.is_empty() || is_in_alias_zone => Leads::To(last),
            End::Unanswered(_) if is_in_alias_zone => Leads::To(last),
            End::Unanswered(error) => Leads::Unknown(error),
            _ => Leads::Nowhere,
        }
    }
}

/// The alias zone of the settings that holds a name: the closest one.
pub(crate) fn alias_zone<'a>(
    settings: &'a Settings,
    name: &DnsName,
) -> Option<&'a AliasZoneSettings> {
    let zones = settings.alias_zones.iter();
    zones
        .filter(|zone| name.is_within(&zone.zone))
        .max_by_key(|zone| zone.zone.labels().count())
}

/// The challenge names whose certificates have a provider for alias names outside every alias zone.
pub(crate) fn with_provider(settings: &Settings) -> BTreeSet<&DnsName> {
    let certificates = settings.certificates.values();
    let certificates = certificates.filter(|certificate| certificate.provider.is_some());
    let domains = certificates.flat_map(|certificate| &certificate.domains);
    let names = domains.map(|domain| domain.identifier.challenge_name());
    names.collect()
}
