//! Whether a backend serves a zone as its delegation says.

use tracing::{debug, info};

use super::error::ZoneError;
use crate::dns::{Dns, Server};
use crate::name::DnsName;
use crate::printable::few;
use crate::provider::{BackendZone, ProviderError, TxtProvider};

/// Chooses, of several zones of one name, the one that the delegation leads to. `error` has them, and is returned
/// with what the delegation lists if it leads to none.
pub(super) async fn choose(
    dns: &Dns,
    zone: &DnsName,
    provider: &dyn TxtProvider,
    mut error: ProviderError,
) -> Result<(), ProviderError> {
    let Some(listed) = dns.listed_servers(zone).await else {
        return Err(error);
    };
    let mut found = Vec::new();
    for candidate in error.zones.iter() {
        if dns.is_listed(&candidate.name_servers, zone, &listed).await {
            found.push(candidate);
        }
    }
    if let [BackendZone { id, .. }] = found.as_slice() {
        info!(%zone, id, "of several zones, the one that is delegated to is used");
        provider.choose(zone, found[0]).await;
        return Ok(());
    }
    let listed = names(&listed);
    let found = if found.is_empty() {
        "none of them has"
    } else {
        "several of them have"
    };
    error.what = format!(
        "{}; {zone} is delegated to {listed}, which {found}",
        error.what
    );
    Err(error)
}

/// Lets the provider use, of several zones of one name, the one that the delegation leads to, before something else than
/// a writer asks it about the zone. Fails if the provider cannot use the zone.
pub async fn use_delegated_zone(
    dns: &Dns,
    zone: &DnsName,
    provider: &dyn TxtProvider,
) -> Result<(), ProviderError> {
    match provider.values(zone, &[]).await {
        Err(error) if !error.zones.is_empty() => choose(dns, zone, provider, error).await,
        read => read.map(drop),
    }
}

/// The failure that the delegation leads to other servers than those of the backend.
pub(super) async fn served_elsewhere(
    dns: &Dns,
    zone: &DnsName,
    provider: &dyn TxtProvider,
) -> Result<(), ZoneError> {
    let servers = match provider.name_servers(zone).await {
        Ok(Some(servers)) if !servers.is_empty() => servers,
        Ok(_) => return Ok(()),
        // Whether the zone can be changed is found out by reading its records.
        Err(error) => {
            debug!(%zone, %error, "the servers of the zone at the backend are unknown");
            return Ok(());
        }
    };
    let Some(listed) = dns.listed_servers(zone).await else {
        return Ok(());
    };
    if dns.is_listed(&servers, zone, &listed).await {
        return Ok(());
    }
    let servers: Vec<_> = servers.iter().map(DnsName::to_string).collect();
    Err(ZoneError::ServedElsewhere {
        zone: zone.clone(),
        delegated_to: names(&listed),
        at_backend: few(&servers, " and "),
        backend: provider.identity().endpoint,
    })
}

fn names(servers: &[Server]) -> String {
    let names = servers.iter().map(|server| match &server.name {
        Some(name) => name.to_string(),
        None => server.to_string(),
    });
    few(&names.collect::<Vec<_>>(), " and ")
}
