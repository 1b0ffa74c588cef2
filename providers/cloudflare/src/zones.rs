//! The ids of the zones, checked before anything is written.

use std::collections::HashMap;

use acme_alias_core::name::DnsName;
use acme_alias_core::printable::{TEXT_MAX, shortened};
use acme_alias_core::provider::{BackendZone, Failure, ProviderError};
use tokio::sync::Mutex;
use tracing::debug;

use crate::api::Zone;
use crate::client::Client;
use crate::error::RequestError;
use crate::parameters::ZoneId;

/// The zones that were found or checked so far.
#[derive(Debug, Default)]
pub(crate) struct Zones(Mutex<HashMap<DnsName, KnownZone>>);

/// A zone of which the id was checked.
#[derive(Clone, Debug)]
struct KnownZone {
    id: ZoneId,
    /// Its servers, if the token may read them.
    name_servers: Option<Vec<DnsName>>,
}

impl Zones {
    /// The id of this zone: the configured one if it is that of the zone, else the one that the API
    /// has for its name.
    pub(crate) async fn id(
        &self,
        client: &Client,
        zone: &DnsName,
    ) -> Result<ZoneId, ProviderError> {
        self.get(client, zone).await.map(|known| known.id)
    }

    /// The names of the servers of this zone, if the token may read them.
    pub(crate) async fn name_servers(
        &self,
        client: &Client,
        zone: &DnsName,
    ) -> Result<Option<Vec<DnsName>>, ProviderError> {
        let known = self.get(client, zone).await?;
        Ok(known.name_servers)
    }

    async fn get(&self, client: &Client, zone: &DnsName) -> Result<KnownZone, ProviderError> {
        let mut known = self.0.lock().await;
        if let Some(known) = known.get(zone) {
            return Ok(known.clone());
        }
        let found = match &client.config().zone_id {
            Some(id) => KnownZone {
                name_servers: check_id(client, zone, id).await?,
                id: id.clone(),
            },
            None => look_up(client, zone).await?,
        };
        known.insert(zone.clone(), found.clone());
        Ok(found)
    }

    /// Uses this zone from now on. Does nothing if it has no usable id.
    pub(crate) async fn choose(&self, zone: &DnsName, chosen: &BackendZone) {
        let Ok(id) = chosen.id.parse() else {
            return;
        };
        let name_servers = Some(chosen.name_servers.clone());
        let chosen = KnownZone { id, name_servers };
        self.0.lock().await.insert(zone.clone(), chosen);
    }

    /// Forgets the id of a zone, because it was wrong.
    pub(crate) async fn forget(&self, zone: &DnsName) {
        self.0.lock().await.remove(zone);
    }
}

/// Checks that the id is that of this zone. Cloudflare takes a name outside a zone as relative to
/// it, so a wrong `zone-id` would go unnoticed (`https://github.com/NewFuture/DDNS/issues/21`). Returns the servers
/// of the zone, if the token may read them.
async fn check_id(
    client: &Client,
    zone: &DnsName,
    id: &ZoneId,
) -> Result<Option<Vec<DnsName>>, ProviderError> {
    let mut servers = None;
    let found = match client.zone(id).await {
        Err(error) if error.is_about_the_token() => {
            debug!(%zone, "the token may not read the zone's name");
            name_by_records(client, zone, id).await
        }
        Ok(Some(found)) if found.name.eq_ignore_ascii_case(zone.as_str()) && !found.is_active() => {
            return Err(inactive(zone, &[found]));
        }
        found => found.map(|found| {
            servers = found.as_ref().map(Zone::servers);
            found.map(|found| found.name)
        }),
    };
    match found {
        Ok(Some(found)) if !found.eq_ignore_ascii_case(zone.as_str()) => {
            Err(wrong_zone(zone, &found))
        }
        Ok(_) => Ok(servers),
        Err(error) => Err(client.provider_error(error, zone).await.of_reading()),
    }
}

/// The zone's name, as far as a token without Zone:Read can find it out. A record outside `zone`
/// shows that the id is that of another zone. A zone without records has a short export, which begins
/// with its name.
async fn name_by_records(
    client: &Client,
    zone: &DnsName,
    id: &ZoneId,
) -> Result<Option<String>, RequestError> {
    let Some(record) = client.any_record(id).await? else {
        return client.exported_name(id).await;
    };
    let is_within = record
        .name
        .parse()
        .is_ok_and(|n: DnsName| n.is_within(zone));
    Ok(Some(record.name).filter(|_| !is_within))
}

async fn look_up(client: &Client, zone: &DnsName) -> Result<KnownZone, ProviderError> {
    let found = match client.zones_named(zone).await {
        Ok(found) => found,
        Err(error) => return Err(client.provider_error(error, zone).await.of_reading()),
    };
    let rejected =
        |what: String, remedy: String| ProviderError::new(Failure::Rejected, what, remedy);
    let is_named = |found: &Zone| found.name.eq_ignore_ascii_case(zone.as_str());
    let (active, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .filter(is_named)
        .partition(Zone::is_active);
    if active.is_empty() && !others.is_empty() {
        return Err(inactive(zone, &others));
    }
    match active.as_slice() {
        [only] => match only.id.parse() {
            Ok(id) => Ok(KnownZone {
                id,
                name_servers: Some(only.servers()),
            }),
            Err(_) => Err(rejected(
                format!("{} has an unusable id for the zone {zone}", client.host()),
                "check `base-url`".to_owned(),
            )),
        },
        [] => Err(rejected(
            format!("the token sees no zone {zone} at {}", client.host()),
            format!(
                "correct the name of the alias zone, add {zone} to the token's zone resources, or set \
                 `zone-id`"
            ),
        )),
        several => {
            let zones: Vec<_> = several.iter().map(Zone::at_backend).collect();
            let shown: Vec<_> = zones.iter().map(BackendZone::to_string).collect();
            let error = rejected(
                format!(
                    "the token sees {} zones {zone}: {}",
                    zones.len(),
                    shown.join(", ")
                ),
                "choose one of them by `zone-id`".to_owned(),
            );
            Err(error.with_zones(zones))
        }
    }
}

/// Nothing that is written in these zones is seen: resolvers ask other servers.
fn inactive(zone: &DnsName, found: &[Zone]) -> ProviderError {
    let each = found.iter().map(|found| {
        let status = found.status.as_deref().unwrap_or("unknown");
        format!("{} is {}", found.id.escape_debug(), status.escape_debug())
    });
    let each: Vec<_> = each.collect();
    let servers = found
        .iter()
        .filter_map(|found| found.name_servers.as_deref())
        .flatten();
    let servers: Vec<_> = servers
        .map(|server| server.escape_debug().to_string())
        .collect();
    let servers = if servers.is_empty() {
        "the servers that Cloudflare has assigned to it".to_owned()
    } else {
        servers.join(" and ")
    };
    ProviderError::new(
        Failure::Rejected,
        format!(
            "the zone {zone} is not active at Cloudflare (status of the zone {}), so no CA sees what is written there",
            each.join(", ")
        ),
        format!(
            "delegate {zone} to {servers}, and wait until Cloudflare shows the zone as active; or name the provider \
             that serves it now"
        ),
    )
}

/// The id is that of the zone `found`, or of a zone that contains it.
pub(crate) fn wrong_zone(zone: &DnsName, found: &str) -> ProviderError {
    let found = shortened(found, TEXT_MAX);
    ProviderError::new(
        Failure::Rejected,
        format!("`zone-id` is not that of {zone}: that zone contains {found}"),
        format!("set `zone-id` to the id on the overview page of {zone}, or remove it"),
    )
}
