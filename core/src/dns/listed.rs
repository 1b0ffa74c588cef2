//! Whether servers are among those that a delegation lists.

use std::net::SocketAddr;

use super::client::Dns;
use super::server::Server;
use crate::name::DnsName;

impl Dns {
    /// The servers that the zone itself lists, or else those that the zone above lists; `None` if servers are
    /// configured for the zone, so that its NS records do not count, or if none are found.
    pub(crate) async fn listed_servers(&self, zone: &DnsName) -> Option<Vec<Server>> {
        if self.is_configured(zone) {
            return None;
        }
        let own = self.servers(zone).await.unwrap_or_default();
        if !own.is_empty() {
            return Some(own);
        }
        let above = self.delegation(zone).await.servers;
        (!above.is_empty()).then_some(above)
    }

    /// Whether any server with one of these names is among those that `zone` or the zone above lists. Other names with
    /// the address of a listed server count. `listed` is what [`listed_servers`](Self::listed_servers) returned.
    pub(crate) async fn is_listed(
        &self,
        names: &[DnsName],
        zone: &DnsName,
        listed: &[Server],
    ) -> bool {
        if has_name(listed, names) {
            return true;
        }
        let above = self.delegation(zone).await.servers;
        if has_name(&above, names) {
            return true;
        }
        let named = names.iter().map(|name| (name.clone(), Vec::new()));
        let named = self.with_addresses(named).await.value;
        let addresses: Vec<_> = named.iter().flat_map(|server| &server.addresses).collect();
        let has_address = |address: &SocketAddr| addresses.contains(&address);
        let mut listed = listed.iter().chain(&above);
        listed.any(|server| server.addresses.iter().any(has_address))
    }
}

fn has_name(servers: &[Server], names: &[DnsName]) -> bool {
    let mut found = servers.iter().filter_map(|server| server.name.as_ref());
    found.any(|name| names.contains(name))
}
