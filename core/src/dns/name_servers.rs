//! The servers of a zone with their addresses.

use std::net::IpAddr;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::budget::uncharged;
use super::cache::Timed;
use super::client::Dns;
use super::error::DnsError;
use super::infrastructure::InfrastructureKind;
use super::lifetime;
use super::records::keep_few;
use super::resolver::Addresses;
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
        // The answer may be large, and the addresses may take long.
        let set = set.map(|answer| answer.name_servers());
        let names = set.value.into_iter().map(|name| (name, Vec::new()));
        let servers = self.servers_of(apex, names).await;
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

    /// The primary that the zone's SOA record names (MNAME, RFC 1035 §3.3.13), with the addresses that a resolver knows.
    pub(crate) async fn primary(&self, apex: &DnsName) -> Option<Server> {
        let soa = self.ask_infrastructure(apex, InfrastructureKind::Soa);
        let primary = soa.await.ok()?.value.primary()?;
        let primary = std::iter::once((primary, Vec::new()));
        let found = self.with_addresses(primary).await.value;
        found.into_iter().next()
    }

    /// The servers of the zone at `apex`, which have these names. Those of a registry are charged to no name: many
    /// names need them, and none of them chooses them.
    pub(super) async fn servers_of(
        &self,
        apex: &DnsName,
        names: impl Iterator<Item = (DnsName, Vec<IpAddr>)>,
    ) -> Timed<Vec<Server>> {
        let servers = self.with_addresses(names);
        if apex.labels().count() == 1 {
            uncharged(servers).await
        } else {
            servers.await
        }
    }

    /// The servers of these names, with the addresses that a resolver knows, or else those that came with
    /// the names (glue). Of a set that is too large, those with glue come first. If a lookup failed, the result
    /// expires at once.
    pub(super) async fn with_addresses(
        &self,
        names: impl Iterator<Item = (DnsName, Vec<IpAddr>)>,
    ) -> Timed<Vec<Server>> {
        let mut names: Vec<_> = names.collect();
        keep_few(&mut names);
        let servers = names.into_iter().map(async |(name, glue)| {
            let (mut addresses, expires) = match self.addresses(&name).await {
                Ok(found) => (found.value, found.expires),
                Err(_) => (Addresses::default(), Instant::now()),
            };
            if addresses.usable.is_empty() {
                let glue = self.usable(glue);
                let refused = addresses.refused.or(glue.refused);
                addresses = Addresses { refused, ..glue };
            }
            let server = Server {
                name: Some(name),
                addresses: addresses.usable,
                refused: addresses.refused,
            };
            (server, expires)
        });
        let found = join_all(servers).await;
        let first = found.iter().map(|(_, expires)| *expires).min();
        Timed {
            expires: first.unwrap_or_else(Instant::now),
            value: found.into_iter().map(|(server, _)| server).collect(),
        }
    }
}
