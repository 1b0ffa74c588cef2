//! Which names the settings need in which zones: the alias names, each with the provider that writes
//! there, and the challenge names in the main zones.

use std::collections::{BTreeMap, BTreeSet};

use acme_alias_core::delegation::CnameChain;
use acme_alias_core::dns::Dns;
use acme_alias_core::name::DnsName;
use acme_alias_core::rights::{MainZone, Subject};
use futures_util::{StreamExt, stream};

use super::engine::Setup;
use crate::failure::{Failure, Part};
use crate::settings::Settings;

/// Names that are looked up at a time.
const AT_ONCE: usize = 32;

/// What is needed where.
#[derive(Debug)]
pub(crate) struct Needs {
    /// The alias names in each alias zone, whether there are any or not.
    alias_zones: BTreeMap<AliasZone, BTreeSet<DnsName>>,
    main_zones: Vec<MainZone>,
    /// Challenge names that lead nowhere yet.
    pub(crate) nowhere: Vec<DnsName>,
    /// Alias names in no zone that anybody is known to write in.
    pub(crate) outside: Vec<DnsName>,
}

/// A zone, and the id of the provider that writes there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AliasZone {
    pub(crate) zone: DnsName,
    pub(crate) provider: String,
}

/// A challenge name, and what the settings say of it.
struct Wanted<'a> {
    challenge_name: &'a DnsName,
    base: &'a DnsName,
    /// Where it shall lead; without that, the CNAME that is there is followed.
    alias_name: Option<&'a DnsName>,
    /// The provider for alias names outside every alias zone.
    fallback: Option<&'a str>,
}

impl Needs {
    /// Finds out everything that the certificates of the settings need.
    pub(crate) async fn of(setup: &Setup) -> Result<Self, Failure> {
        let environment = setup.environment()?;
        let (settings, aliases, dns) = (&setup.settings, &setup.aliases, environment.dns());
        let mut by_challenge = BTreeMap::new();
        for certificate in settings.certificates.values() {
            for domain in &certificate.domains {
                let challenge_name = domain.identifier.challenge_name();
                by_challenge.entry(challenge_name).or_insert(Wanted {
                    challenge_name,
                    base: domain.identifier.base(),
                    alias_name: aliases.wanted(challenge_name)?,
                    fallback: certificate.provider.as_deref(),
                });
            }
        }
        let wanted: Vec<_> = by_challenge.into_values().collect();
        let configured = settings.alias_zones.iter().map(|zone| AliasZone {
            zone: zone.zone.clone(),
            provider: zone.provider.clone(),
        });
        let mut needs = Needs {
            alias_zones: configured.map(|zone| (zone, BTreeSet::new())).collect(),
            main_zones: main_zones(&wanted, dns).await,
            nowhere: Vec::new(),
            outside: Vec::new(),
        };
        let looked = stream::iter(&wanted).map(async |wanted| {
            let name = alias_name(wanted, settings, dns).await?;
            let zone = alias_zone(&name, wanted.fallback, settings, dns).await;
            Some((name, zone))
        });
        let looked: Vec<_> = looked.buffered(AT_ONCE).collect().await;
        for (wanted, looked) in wanted.iter().zip(looked) {
            match looked {
                None => needs.nowhere.push(wanted.challenge_name.clone()),
                Some((name, None)) => needs.outside.push(name),
                Some((name, Some(zone))) => {
                    needs.alias_zones.entry(zone).or_default().insert(name);
                }
            }
        }
        Ok(needs)
    }

    /// Each alias zone, with what its key is for and what it is not for.
    pub(crate) fn subjects(&self) -> Result<Vec<(&AliasZone, Subject)>, Failure> {
        let subjects = self.alias_zones.iter().map(|(alias_zone, names)| {
            let zone = alias_zone.zone.clone();
            let mut alias_names: Vec<_> = names.iter().cloned().collect();
            if alias_names.is_empty() {
                // The usual one, where none is in use yet.
                let usual = zone.challenge_name();
                alias_names.push(usual.map_err(|e| Failure::new(Part::Settings, &e, None))?);
            }
            // A certificate for the alias zone itself makes it no main zone of its own key.
            let main_zones = self.main_zones.iter().filter(|main| main.zone != zone);
            let subject = Subject {
                alias_names,
                main_zones: main_zones.cloned().collect(),
                zone,
            };
            Ok((alias_zone, subject))
        });
        subjects.collect()
    }
}

/// Where the challenge name is to lead, or leads. A name in an alias zone needs no CNAME.
async fn alias_name(wanted: &Wanted<'_>, settings: &Settings, dns: &Dns) -> Option<DnsName> {
    if let Some(name) = wanted.alias_name {
        return Some(name.clone());
    }
    let chain = CnameChain::follow(dns, wanted.challenge_name).await;
    let is_direct = configured(wanted.challenge_name, settings).is_some();
    (!chain.hops.is_empty() || is_direct).then(|| chain.last().clone())
}

/// The zone that holds the alias name: the closest of the settings, or the one that the provider of the
/// certificate will find.
async fn alias_zone(
    name: &DnsName,
    fallback: Option<&str>,
    settings: &Settings,
    dns: &Dns,
) -> Option<AliasZone> {
    if let Some(zone) = configured(name, settings) {
        return Some(zone);
    }
    Some(AliasZone {
        provider: fallback?.to_owned(),
        zone: dns.apex(name).await.ok()?,
    })
}

fn configured(name: &DnsName, settings: &Settings) -> Option<AliasZone> {
    let zones = settings.alias_zones.iter();
    let closest = zones
        .filter(|zone| name.is_within(&zone.zone))
        .max_by_key(|zone| zone.zone.labels().count())?;
    Some(AliasZone {
        zone: closest.zone.clone(),
        provider: closest.provider.clone(),
    })
}

/// The zones that certificates are for, with all their servers.
async fn main_zones(wanted: &[Wanted<'_>], dns: &Dns) -> Vec<MainZone> {
    let apexes = stream::iter(wanted).map(async |wanted| (wanted, dns.apex(wanted.base).await));
    let apexes: Vec<_> = apexes.buffered(AT_ONCE).collect().await;
    let mut names: BTreeMap<DnsName, Vec<DnsName>> = BTreeMap::new();
    let mut zones = Vec::new();
    for (wanted, apex) in apexes {
        match apex {
            Ok(apex) => {
                let names = names.entry(apex).or_default();
                names.push(wanted.challenge_name.clone());
            }
            Err(error) => zones.push(MainZone {
                zone: wanted.base.clone(),
                challenge_names: vec![wanted.challenge_name.clone()],
                servers: Err(error),
            }),
        }
    }
    let found = stream::iter(names).map(async |(zone, challenge_names)| MainZone {
        servers: dns.servers_and_primary(&zone).await,
        zone,
        challenge_names,
    });
    zones.extend(found.buffered(AT_ONCE).collect::<Vec<_>>().await);
    zones
}
