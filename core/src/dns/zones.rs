//! Which zone holds a name, and which servers are authoritative for it.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use hickory_proto::rr::RecordType;

use super::message::{Referral, wire_name};
use super::question::Manner;
use super::{Answer, Dns, DnsError, Server, question};
use crate::name::DnsName;

/// How many delegations are followed downwards from the first zone found.
pub(super) const REFERRAL_MAX: usize = 16;

/// A zone and the servers to ask about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The zone's apex.
    pub apex: DnsName,
    /// Its authoritative servers.
    pub servers: Vec<Server>,
}

/// Zones met on the way. Only *where to ask* is remembered, never what was answered.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<DnsName, Arc<Zone>>>);

impl Known {
    fn closest(&self, name: &DnsName) -> Option<Arc<Zone>> {
        let zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        name.ancestors()
            .find_map(|ancestor| zones.get(&ancestor).cloned())
    }

    fn remember(&self, zone: Zone) -> Arc<Zone> {
        let zone = Arc::new(zone);
        let mut zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        zones.insert(zone.apex.clone(), Arc::clone(&zone));
        zone
    }
}

/// Servers that did not answer when they were last asked. They are asked again, after the others, so that a
/// dead server is waited for once and not at every question.
#[derive(Debug, Default)]
pub(super) struct Silent(Mutex<HashSet<SocketAddr>>);

impl Silent {
    fn remember(&self, address: SocketAddr) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(address);
    }

    fn forget(&self, address: SocketAddr) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&address);
    }

    /// The same in their order, but for the silent, which come last.
    fn last<'a, T>(&self, all: &'a [T], address: impl Fn(&T) -> SocketAddr) -> Vec<&'a T> {
        let silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<_> = all.iter().collect();
        sorted.sort_by_key(|one| silent.contains(&address(one)));
        sorted
    }
}

impl Dns {
    /// Asks the authoritative servers of the zone that holds `name`, one after the other until
    /// one answers with authority, and follows delegations to zones below on the way.
    pub async fn ask(&self, name: &DnsName, kind: RecordType) -> Result<Answer, DnsError> {
        self.in_time(name, async {
            let zone = self.enclosing_zone(name).await?;
            self.ask_from(zone, name, kind, false).await
        })
        .await
    }

    /// The same as [`ask`](Dns::ask), beginning at `zone`, with the signatures where they are wanted.
    pub(super) async fn ask_from(
        &self,
        mut zone: Arc<Zone>,
        name: &DnsName,
        kind: RecordType,
        signed: bool,
    ) -> Result<Answer, DnsError> {
        for _ in 0..REFERRAL_MAX {
            match self.ask_zone(&zone, name, kind, signed).await? {
                Reply::Answer(answer) => return Ok(answer),
                Reply::Referral(referral) => zone = self.descend(referral).await,
            }
        }
        Err(DnsError::TooDeep {
            name: name.clone(),
            limit: REFERRAL_MAX,
        })
    }

    /// The apex of the zone that holds `name`: the first ancestor, itself included, for which a
    /// server gives an authoritative SOA record whose owner is that ancestor.
    pub async fn apex(&self, name: &DnsName) -> Result<DnsName, DnsError> {
        self.cut(name).await.map(|cut| cut.apex)
    }

    /// The same, with the server that did not say whose zone it is.
    pub(crate) async fn cut(&self, name: &DnsName) -> Result<Cut, DnsError> {
        self.in_time(name, async {
            let mut silent = None;
            for candidate in name.ancestors() {
                let answer = self.ask(&candidate, RecordType::SOA).await?;
                if answer.is_apex() {
                    return Ok(Cut {
                        apex: candidate,
                        silent,
                    });
                }
                if !answer.names_its_zone() {
                    silent.get_or_insert(answer.server);
                }
            }
            Err(DnsError::NoZone { name: name.clone() })
        })
        .await
    }

    /// The authoritative servers of the zone at `apex`: those configured, or else those of the
    /// NS set that the zone itself holds.
    pub async fn servers(&self, apex: &DnsName) -> Result<Vec<Server>, DnsError> {
        if let Some(zone) = self.configured(apex).filter(|zone| zone.apex == *apex) {
            return Ok(zone.servers);
        }
        let names = self.ask(apex, RecordType::NS).await?.name_servers();
        let servers = self
            .with_addresses(names.into_iter().map(|name| (name, Vec::new())))
            .await;
        if servers.is_empty() {
            return Err(DnsError::NoZone { name: apex.clone() });
        }
        Ok(servers)
    }

    /// The same, and the primary that the zone's SOA record names, where it is another, has an address, and
    /// the settings do not say whom to ask. Updates go there (RFC 2136 §4.3).
    pub async fn servers_and_primary(&self, apex: &DnsName) -> Result<Vec<Server>, DnsError> {
        let mut servers = self.servers(apex).await?;
        if self.is_configured(apex) {
            return Ok(servers);
        }
        let primary = self.ask(apex, RecordType::SOA).await?.primary();
        let is_new = |name: &DnsName| {
            servers
                .iter()
                .all(|server| server.name.as_ref() != Some(name))
        };
        if let Some(primary) = primary.filter(is_new) {
            let primary = std::iter::once((primary, Vec::new()));
            let found = self.with_addresses(primary).await.into_iter();
            servers.extend(found.filter(|server| !server.addresses.is_empty()));
        }
        Ok(servers)
    }

    /// Asks one server, on the first of its addresses that answers.
    pub async fn ask_server(
        &self,
        server: &Server,
        name: &DnsName,
        kind: RecordType,
    ) -> Result<Answer, String> {
        self.ask_at(server, name, kind, false).await
    }

    async fn ask_at(
        &self,
        server: &Server,
        name: &DnsName,
        kind: RecordType,
        signed: bool,
    ) -> Result<Answer, String> {
        let manner = Manner {
            recursive: false,
            signed,
            timeout: self.config.timeout,
        };
        let owner = wire_name(name)?;
        let mut failure = "it has no address".to_owned();
        for address in self.silent.last(&server.addresses, |address| *address) {
            match question::ask(*address, &owner, kind, manner).await {
                Ok(message) => {
                    self.silent.forget(*address);
                    return Ok(Answer::new(*address, name.clone(), kind, message));
                }
                Err(error) => {
                    self.silent.remember(*address);
                    failure = format!("{address}: {error}");
                }
            }
        }
        Err(failure)
    }

    async fn ask_zone(
        &self,
        zone: &Zone,
        name: &DnsName,
        kind: RecordType,
        signed: bool,
    ) -> Result<Reply, DnsError> {
        let mut attempts = Vec::new();
        let servers = zone
            .servers
            .iter()
            .filter(|server| !server.addresses.is_empty());
        let servers: Vec<_> = servers.collect();
        for server in self.silent.last(&servers, |server| server.addresses[0]) {
            match self.ask_at(server, name, kind, signed).await {
                Ok(answer) if answer.is_authoritative() => return Ok(Reply::Answer(answer)),
                Ok(answer) => match answer.referral(&zone.apex) {
                    Some(referral) => return Ok(Reply::Referral(referral)),
                    None => attempts.push(format!("{server} answered {answer}")),
                },
                Err(error) => attempts.push(format!("{server}: {error}")),
            }
        }
        if attempts.is_empty() {
            attempts.push("none of its servers has an address".to_owned());
        }
        Err(DnsError::Unanswered {
            name: name.clone(),
            zone: zone.apex.clone(),
            attempts: attempts.join("; "),
        })
    }

    /// A zone from which the walk down to `name` can start.
    pub(super) async fn enclosing_zone(&self, name: &DnsName) -> Result<Arc<Zone>, DnsError> {
        if let Some(zone) = self.configured(name) {
            // A zone met below a configured one is closer to the name.
            return Ok(self
                .known
                .closest(name)
                .filter(|known| known.apex.is_within(&zone.apex))
                .unwrap_or_else(|| Arc::new(zone)));
        }
        if let Some(zone) = self.known.closest(name) {
            return Ok(zone);
        }
        // The walk starts above the name, so that no resolver learns that it is not there yet.
        let above = name.parent().unwrap_or_else(|| name.clone());
        for candidate in above.ancestors() {
            let names = self
                .resolve(&candidate, RecordType::NS)
                .await?
                .name_servers();
            if !names.is_empty() {
                let servers = self
                    .with_addresses(names.into_iter().map(|name| (name, Vec::new())))
                    .await;
                return Ok(self.known.remember(Zone {
                    apex: candidate,
                    servers,
                }));
            }
        }
        Err(DnsError::NoZone { name: name.clone() })
    }

    /// The closest configured zone that contains `name`.
    fn configured(&self, name: &DnsName) -> Option<Zone> {
        let zones = self
            .config
            .zones
            .iter()
            .filter(|zone| name.is_within(&zone.zone));
        zones
            .max_by_key(|zone| zone.zone.labels().count())
            .map(|zone| Zone {
                apex: zone.zone.clone(),
                servers: zone
                    .servers
                    .iter()
                    .map(|address| Server {
                        name: None,
                        addresses: vec![*address],
                    })
                    .collect(),
            })
    }

    /// Whether the settings say which servers to ask for this very zone.
    pub(crate) fn is_configured(&self, apex: &DnsName) -> bool {
        self.configured(apex).is_some_and(|zone| zone.apex == *apex)
    }

    /// The zone that an answer refers to, remembered with its servers.
    pub(super) async fn descend(&self, referral: Referral) -> Arc<Zone> {
        let configured = self.configured(&referral.zone);
        let servers = match configured.filter(|zone| zone.apex == referral.zone) {
            Some(zone) => zone.servers,
            None => self.with_addresses(referral.servers.into_iter()).await,
        };
        self.known.remember(Zone {
            apex: referral.zone,
            servers,
        })
    }

    /// The servers of these names, with the addresses that the resolver knows or else the glue.
    pub(super) async fn with_addresses(
        &self,
        names: impl Iterator<Item = (DnsName, Vec<IpAddr>)>,
    ) -> Vec<Server> {
        let servers = names.map(async |(name, glue)| {
            let mut addresses = self.addresses(&name).await;
            if addresses.is_empty() {
                addresses = glue;
            }
            let addresses = addresses
                .into_iter()
                .map(|address| SocketAddr::new(address, self.config.port))
                .collect();
            Server {
                name: Some(name),
                addresses,
            }
        });
        join_all(servers).await
    }

    async fn addresses(&self, name: &DnsName) -> Vec<IpAddr> {
        let (v4, v6) = futures_util::future::join(
            self.resolve(name, RecordType::A),
            self.resolve(name, RecordType::AAAA),
        )
        .await;
        let answers = [v4, v6];
        answers
            .iter()
            .flatten()
            .flat_map(Answer::addresses)
            .collect()
    }

    /// Asks the resolvers, one after the other until one has an answer.
    async fn resolve(&self, name: &DnsName, kind: RecordType) -> Result<Answer, DnsError> {
        if self.config.resolvers.is_empty() {
            return Err(DnsError::NoResolver { name: name.clone() });
        }
        let manner = Manner {
            recursive: true,
            signed: false,
            timeout: self.config.timeout,
        };
        let mut attempts = Vec::new();
        for resolver in &self.config.resolvers {
            let asked = async {
                let message = question::ask(*resolver, &wire_name(name)?, kind, manner).await?;
                Ok::<_, String>(Answer::new(*resolver, name.clone(), kind, message))
            };
            match asked.await {
                Ok(answer) if answer.has_result() => return Ok(answer),
                Ok(answer) => attempts.push(format!("{resolver} answered {answer}")),
                Err(error) => attempts.push(format!("{resolver}: {error}")),
            }
        }
        Err(DnsError::Resolver {
            name: name.clone(),
            kind: kind.into(),
            attempts: attempts.join("; "),
        })
    }
}

/// Where the zone of a name begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) apex: DnsName,
    /// A server that denied a name below the apex without an SOA record, which RFC 2308 §2 asks for.
    pub(crate) silent: Option<SocketAddr>,
}

enum Reply {
    Answer(Answer),
    Referral(Referral),
}
