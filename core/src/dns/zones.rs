//! Which zone to begin with for a name, and which servers that zone has.

use std::pin::pin;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::cache::Timed;
use super::client::Dns;
use super::error::DnsError;
use super::lifetime;
use super::records::Referral;
use super::resolver::ResolverKind;
use super::server::{Server, Zone};
use crate::name::DnsName;

/// Names above one another that are asked about at a time. A name may have more than a hundred labels, and each
/// question takes kilobytes while it is asked.
pub(crate) const ANCESTORS_AT_ONCE: usize = 8;

impl Dns {
    /// The closest known zone that holds `name`: a configured one, a cached one, or one that a resolver finds.
    pub(super) async fn enclosing_zone(&self, name: &DnsName) -> Result<Arc<Zone>, DnsError> {
        let known = name.ancestors().find_map(|apex| self.zones.get(&apex));
        if let Some(configured) = self.configured_zone(name) {
            // A zone found below a configured one is closer to the name.
            let closer = known.filter(|zone| zone.apex.is_within(&configured.apex));
            return Ok(closer.unwrap_or(configured));
        }
        match known {
            Some(zone) => Ok(zone),
            None => self.first_zone_above(name).await,
        }
    }

    /// Finds a zone by a resolver. It is asked for names above `name` only: it would cache that `name` does not
    /// exist yet.
    async fn first_zone_above(&self, name: &DnsName) -> Result<Arc<Zone>, DnsError> {
        let above = name.parent().unwrap_or_else(|| name.clone());
        // Several at once: resolvers know those of the zones above.
        let asked = above.ancestors().map(|candidate| async move {
            let set = self.resolve(&candidate, ResolverKind::Ns).await;
            (candidate, set)
        });
        let mut asked = pin!(stream::iter(asked).buffered(ANCESTORS_AT_ONCE));
        while let Some((candidate, set)) = asked.next().await {
            let set = set?;
            let names = set.value.name_servers();
            if names.is_empty() {
                continue;
            }
            let names = names.into_iter().map(|name| (name, Vec::new()));
            let mut servers = self.servers_of(&candidate, names).await;
            servers.expires = servers.expires.min(set.expires);
            return Ok(self.keep(candidate, servers));
        }
        Err(DnsError::NoZone { name: name.clone() })
    }

    /// The apex of the zone that probably holds `name`. Not that of a registry, about which nothing is asked for
    /// the sake of one name.
    pub(crate) async fn probable_zone(&self, name: &DnsName) -> Option<DnsName> {
        let zone = self.enclosing_zone(name).await.ok()?;
        let is_registry = zone.apex.labels().count() == 1;
        Some(zone.apex.clone()).filter(|_| !is_registry)
    }

    /// The zone that an answer refers to, with its servers.
    pub(super) async fn descend(&self, referral: Referral) -> Arc<Zone> {
        if let Some(zone) = self.configured.get(&referral.zone) {
            return Arc::clone(zone);
        }
        let names = referral.servers.into_iter();
        let mut servers = self.servers_of(&referral.zone, names).await;
        servers.expires = servers.expires.min(lifetime::expiry_of_ttl(referral.ttl));
        self.keep(referral.zone, servers)
    }

    /// Caches a zone if one of its servers has an address. A lookup that failed is repeated soon, and as soon
    /// as that server is asked.
    fn keep(&self, apex: DnsName, mut servers: Timed<Vec<Server>>) -> Arc<Zone> {
        let mut known = servers.value.iter();
        if known.any(|server| !server.addresses.is_empty()) {
            servers.expires = servers.expires.max(lifetime::earliest_expiry());
        }
        let zone = servers.map(|servers| {
            let apex = apex.clone();
            Arc::new(Zone { apex, servers })
        });
        self.zones.insert(apex, zone.clone());
        zone.value
    }

    /// The closest configured zone that contains `name`.
    fn configured_zone(&self, name: &DnsName) -> Option<Arc<Zone>> {
        let mut ancestors = name.ancestors();
        ancestors.find_map(|apex| self.configured.get(&apex).cloned())
    }

    /// Whether servers are configured for this very zone.
    pub(crate) fn is_configured(&self, apex: &DnsName) -> bool {
        self.configured.contains_key(apex)
    }
}
