//! The servers of a zone with their addresses.

use std::net::IpAddr;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::cache::Timed;
use super::client::Dns;
use super::error::DnsError;
use super::infrastructure::InfrastructureKind;
use super::lifetime;
use super::server::Server;
use crate::name::DnsName;

impl Dns {
    /// The authoritative servers of the zone at `apex`: those configured, or else those of the NS set that the
    /// zone itself has. The NS set and the addresses are cached.
    pub async fn servers(&self, apex: &DnsName) -> Result<Vec<Server>, DnsError> {
        self.servers_and_expiry(apex).await.map(|timed| timed.value)
    }

    /// The same, with the moment at which they must be asked for again.
    pub(crate) async fn servers_and_expiry(
        &self,
        apex: &DnsName,
    ) -> Result<Timed<Vec<Server>>, DnsError> {
        if let Some(zone) = self.configured.get(apex) {
            return Ok(Timed {
                value: zone.servers.clone(),
                expires: lifetime::latest_expiry(),
            });
        }
        let set = self
            .ask_infrastructure(apex, InfrastructureKind::Ns)
            .await?;
        let names = set.value.name_servers().into_iter();
        let servers = self
            .with_addresses(names.map(|name| (name, Vec::new())))
            .await;
        if servers.value.is_empty() {
            return Err(DnsError::NoZone { name: apex.clone() });
        }
        Ok(Timed {
            expires: set.expires.min(servers.expires),
            value: servers.value,
        })
    }

    /// The same servers and the primary that the zone's SOA record names, if it is another server, has an
    /// address, and no servers are configured for the zone. Updates go there (RFC 2136 §4.3).
    pub async fn servers_and_primary(&self, apex: &DnsName) -> Result<Vec<Server>, DnsError> {
        let mut servers = self.servers(apex).await?;
        if self.is_configured(apex) {
            return Ok(servers);
        }
        let soa = self
            .ask_infrastructure(apex, InfrastructureKind::Soa)
            .await?;
        let is_new = |name: &DnsName| {
            let mut servers = servers.iter();
            servers.all(|server| server.name.as_ref() != Some(name))
        };
        if let Some(primary) = soa.value.primary().filter(is_new) {
            let primary = std::iter::once((primary, Vec::new()));
            let found = self.with_addresses(primary).await.value.into_iter();
            servers.extend(found.filter(|server| !server.addresses.is_empty()));
        }
        Ok(servers)
    }

    /// The servers of these names, with the addresses that a resolver knows, or else those that came with
    /// the names (glue). If a lookup failed, the result expires at once.
    pub(super) async fn with_addresses(
        &self,
        names: impl Iterator<Item = (DnsName, Vec<IpAddr>)>,
    ) -> Timed<Vec<Server>> {
        let servers = names.map(async |(name, glue)| {
            let (mut addresses, expires) = match self.addresses(&name).await {
                Ok(found) => (found.value, found.expires),
                Err(_) => (Vec::new(), Instant::now()),
            };
            if addresses.is_empty() {
                addresses = glue.into_iter().map(|ip| self.at_port(ip)).collect();
            }
            let name = Some(name);
            (Server { name, addresses }, expires)
        });
        let found = join_all(servers).await;
        let first = found.iter().map(|(_, expires)| *expires).min();
        Timed {
            expires: first.unwrap_or_else(Instant::now),
            value: found.into_iter().map(|(server, _)| server).collect(),
        }
    }
}
