//! Which names the settings need in which zones: the alias names, each with the provider that writes
//! there, and the challenge names in the main zones.

use std::collections::{BTreeMap, BTreeSet};

use acme_alias_core::dns::{Dns, DnsError};
use acme_alias_core::name::DnsName;
use acme_alias_core::rights::{MainZone, Subject};
use futures_util::{StreamExt, stream};

use super::engine::Setup;
use super::leads::{self, Leads};
use crate::failure::{Failure, Part};
use crate::settings::Settings;

/// Names that are looked up at a time.
const AT_ONCE: usize = 32;

/// What is needed where.
#[derive(Debug)]
pub(crate) struct Needs {
    /// The alias names that each key writes at in each alias zone, whether there are any or not.
    alias_zones: BTreeMap<KeyOfZone, Needed>,
    main_zones: Vec<MainZone>,
    /// Challenge names that lead nowhere yet.
    pub(crate) nowhere: BTreeSet<DnsName>,
    /// Challenge names whose alias names are unknown, because a server did not answer.
    pub(crate) unknown: BTreeMap<DnsName, DnsError>,
    /// Alias names in no zone that anybody is known to write in.
    pub(crate) outside: BTreeSet<DnsName>,
}

/// A zone, and what tells the credentials that write there from others. Providers that differ in nothing else are
/// one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct KeyOfZone {
    zone: DnsName,
    credentials: String,
}

/// What a key needs in a zone.
#[derive(Debug, Default)]
struct Needed {
    /// The ids of the providers that have the key.
    providers: BTreeSet<String>,
    alias_names: BTreeSet<DnsName>,
}

/// A zone, the providers that write there with one key, and what that key is for.
#[derive(Debug)]
pub(crate) struct KeyNeeds {
    pub(crate) zone: DnsName,
    /// The first of the providers' ids.
    pub(crate) provider: String,
    /// The ids of all of them.
    pub(crate) providers: BTreeSet<String>,
    pub(crate) subject: Subject,
}

/// A challenge name, and what the settings say of it.
struct Wanted<'a> {
    challenge_name: &'a DnsName,
    base: &'a DnsName,
    /// Where it shall lead; without that, the CNAME that is there is followed.
    alias_name: Option<&'a DnsName>,
    /// The provider of the certificate, for alias names outside every alias zone.
    fallback: Option<&'a str>,
}

impl Needs {
    /// Finds out everything that the certificates of the settings need.
    pub(crate) async fn of(setup: &Setup) -> Result<Self, Failure> {
        let environment = setup.environment()?;
        let (settings, dns) = (&setup.settings, environment.dns());
        let wanted = wanted(setup);
        let mut needs = Needs {
            alias_zones: BTreeMap::new(),
            main_zones: main_zones(&wanted, dns).await,
            nowhere: BTreeSet::new(),
            unknown: BTreeMap::new(),
            outside: BTreeSet::new(),
        };
        for zone in &settings.alias_zones {
            needs.needed(setup, zone.zone.clone(), &zone.provider)?;
        }
        let looked = stream::iter(&wanted).map(async |wanted| {
            let leads = match wanted.alias_name {
                Some(name) => Leads::To(name.clone()),
                None => Leads::of(dns, settings, wanted.challenge_name).await,
            };
            let zone = match &leads {
                Leads::To(name) => zone_of(name, wanted.fallback, settings, dns).await,
                _ => None,
            };
            (leads, zone)
        });
        let looked: Vec<_> = looked.buffered(AT_ONCE).collect().await;
        for (wanted, looked) in wanted.iter().zip(looked) {
            let challenge_name = wanted.challenge_name.clone();
            match looked {
                (Leads::Nowhere, _) => {
                    needs.nowhere.insert(challenge_name);
                }
                (Leads::Unknown(error), _) => {
                    needs.unknown.insert(challenge_name, error);
                }
                (Leads::To(name), None) => {
                    needs.outside.insert(name);
                }
                (Leads::To(name), Some((zone, provider))) => {
                    let needed = needs.needed(setup, zone, provider)?;
                    needed.alias_names.insert(name);
                }
            }
        }
        Ok(needs)
    }

    /// What the key of this provider needs in the zone.
    fn needed(
        &mut self,
        setup: &Setup,
        zone: DnsName,
        provider: &str,
    ) -> Result<&mut Needed, Failure> {
        let configured = setup.environments.provider(&setup.settings, provider)?;
        let credentials = configured.credentials().to_owned();
        let key = KeyOfZone { zone, credentials };
        let needed = self.alias_zones.entry(key).or_default();
        needed.providers.insert(provider.to_owned());
        Ok(needed)
    }

    /// Each alias zone, with what its key is for and what it is not for.
    pub(crate) fn subjects(&self) -> Result<Vec<KeyNeeds>, Failure> {
        let subjects = self.alias_zones.iter().map(|(key, needed)| {
            let zone = key.zone.clone();
            let mut alias_names: Vec<_> = needed.alias_names.iter().cloned().collect();
            if alias_names.is_empty() {
                // The usual one, where none is in use yet.
                let usual = zone.challenge_name();
                alias_names.push(usual.map_err(|e| Failure::new(Part::Settings, &e, None))?);
            }
            // An alias zone that has names of certificates in it is no main zone of its own key.
            let is_own = |main: &MainZone| {
                self.alias_zones.contains_key(&KeyOfZone {
                    zone: main.zone.clone(),
                    credentials: key.credentials.clone(),
                })
            };
            let main_zones = self.main_zones.iter().filter(|main| !is_own(main));
            let subject = Subject {
                alias_names,
                main_zones: main_zones.cloned().collect(),
                zone: zone.clone(),
            };
            Ok(KeyNeeds {
                zone,
                provider: needed.providers.first().cloned().unwrap_or_default(),
                providers: needed.providers.clone(),
                subject,
            })
        });
        subjects.collect()
    }
}

/// The challenge names of all certificates, with each alias name and each provider that they have.
fn wanted(setup: &Setup) -> Vec<Wanted<'_>> {
    let mut by_name = BTreeMap::new();
    for certificate in setup.settings.certificates.values() {
        let fallback = certificate.provider.as_deref();
        for domain in &certificate.domains {
            let challenge_name = domain.identifier.challenge_name();
            let own = certificate.alias_of(challenge_name);
            let alias_name = setup.aliases.of_certificate(challenge_name, own);
            by_name.insert(
                (challenge_name, alias_name, fallback),
                Wanted {
                    challenge_name,
                    base: domain.identifier.base(),
                    alias_name,
                    fallback,
                },
            );
        }
    }
    by_name.into_values().collect()
}

/// The zone that holds the alias name, and the id of the provider that writes there: the closest of the settings, or
/// the one that the provider of the certificate will find.
async fn zone_of<'a>(
    name: &DnsName,
    fallback: Option<&'a str>,
    settings: &'a Settings,
    dns: &Dns,
) -> Option<(DnsName, &'a str)> {
    if let Some(zone) = leads::alias_zone(settings, name) {
        return Some((zone.zone.clone(), &zone.provider));
    }
    Some((dns.apex(name).await.ok()?, fallback?))
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
                // Certificates may have different alias names for it.
                if names.last() != Some(wanted.challenge_name) {
                    names.push(wanted.challenge_name.clone());
                }
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
