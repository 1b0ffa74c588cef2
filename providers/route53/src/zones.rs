//! The ids of the hosted zones, checked before anything is written.

use std::collections::HashMap;

use acme_alias_core::name::DnsName;
use acme_alias_core::printable::{TEXT_MAX, few, shortened};
use acme_alias_core::provider::{BackendZone, Failure, ProviderError};
use tokio::sync::Mutex;
use tracing::debug;

use crate::client::Client;
use crate::parameters::HostedZoneId;

/// What was found out about zones so far.
#[derive(Debug, Default)]
pub(crate) struct Zones {
    /// The ids that were found or checked.
    ids: Mutex<HashMap<DnsName, HostedZoneId>>,
    /// The names of the servers of each zone.
    name_servers: Mutex<HashMap<HostedZoneId, Vec<DnsName>>>,
}

impl Zones {
    /// The id of this zone: the configured one if it is that of the zone, else that of the public
    /// hosted zone of this name.
    pub(crate) async fn id(
        &self,
        client: &Client,
        zone: &DnsName,
    ) -> Result<HostedZoneId, ProviderError> {
        let mut known = self.ids.lock().await;
        if let Some(id) = known.get(zone) {
            return Ok(id.clone());
        }
        let id = match &client.config().hosted_zone_id {
            Some(id) => {
                check_id(client, zone, id).await?;
                id.clone()
            }
            None => look_up(client, zone).await?,
        };
        known.insert(zone.clone(), id.clone());
        Ok(id)
    }

    /// The names of the servers of this zone, by its own NS records: Route 53 makes them when the zone is made.
    pub(crate) async fn name_servers(
        &self,
        client: &Client,
        zone: &DnsName,
    ) -> Result<Vec<DnsName>, ProviderError> {
        let id = self.id(client, zone).await?;
        let mut known = self.name_servers.lock().await;
        if let Some(servers) = known.get(&id) {
            return Ok(servers.clone());
        }
        let servers = client.name_servers(&id, zone).await;
        let servers = servers.map_err(|error| error.into_provider_error(zone).of_reading())?;
        known.insert(id, servers.clone());
        Ok(servers)
    }

    /// Uses this hosted zone from now on. Does nothing if it has no usable id.
    pub(crate) async fn choose(&self, zone: &DnsName, chosen: &BackendZone) {
        let Ok(id) = chosen.id.parse() else {
            return;
        };
        self.ids.lock().await.insert(zone.clone(), id);
    }
}

/// Checks that the id is that of this zone. Asking for the zone itself would take one more permission.
async fn check_id(client: &Client, zone: &DnsName, id: &HostedZoneId) -> Result<(), ProviderError> {
    let apex = client.first_name(id).await;
    let apex = apex.map_err(|error| error.into_provider_error(zone).of_reading())?;
    match apex {
        Some(apex) if !apex.eq_ignore_ascii_case(&zone.fqdn()) => Err(ProviderError::new(
            Failure::Rejected,
            format!(
                "`hosted-zone-id` is not that of {zone}: it is that of {}",
                shortened(&apex, TEXT_MAX)
            ),
            format!(
                "set `hosted-zone-id` to the id in the list of hosted zones, or remove it to look up \
                 {zone} by name"
            ),
        )),
        _ => check_public(client, zone, id).await,
    }
}

/// Refuses a private zone, which no CA sees. A user who may not list zones is not required to.
async fn check_public(
    client: &Client,
    zone: &DnsName,
    id: &HostedZoneId,
) -> Result<(), ProviderError> {
    let found = match client.hosted_zones(zone).await {
        Ok(found) => found,
        Err(error) => {
            debug!(%zone, ?error, "it is unknown whether the hosted zone is private");
            return Ok(());
        }
    };
    if !found.private.contains(id) {
        return Ok(());
    }
    let public: Vec<_> = found.public.iter().map(HostedZoneId::as_str).collect();
    let remedy = if public.is_empty() {
        format!(
            "make a public hosted zone {zone}, delegate to it, and set `hosted-zone-id` to its id"
        )
    } else {
        format!(
            "set `hosted-zone-id` to the id of the public one: {}",
            few(&public, ", ")
        )
    };
    Err(ProviderError::new(
        Failure::Rejected,
        format!("`hosted-zone-id` is that of a private hosted zone {zone}, which no CA sees"),
        remedy,
    ))
}

/// The only public zone of this name, which is the one that the CA sees.
async fn look_up(client: &Client, zone: &DnsName) -> Result<HostedZoneId, ProviderError> {
    let found = client.hosted_zones(zone).await;
    let found = found.map_err(|error| error.into_provider_error(zone).of_reading())?;
    let rejected =
        |what: String, remedy: String| ProviderError::new(Failure::Rejected, what, remedy);
    match found.public.as_slice() {
        [only] => Ok(only.clone()),
        [] if !found.private.is_empty() => Err(rejected(
            format!("the hosted zone {zone} is private, so no CA sees it"),
            format!("make a public hosted zone {zone}, and delegate to it"),
        )),
        [] => Err(rejected(
            format!("there is no hosted zone {zone} in this account"),
            "correct the name of the alias zone, or the credentials: `profile`, `assume-role-arn`"
                .to_owned(),
        )),
        several => {
            let mut zones = Vec::new();
            for id in several {
                zones.push(at_backend(client, zone, id).await);
            }
            let shown: Vec<_> = zones.iter().map(BackendZone::to_string).collect();
            let error = rejected(
                format!(
                    "there are {} public hosted zones {zone}: {}",
                    zones.len(),
                    few(&shown, ", ")
                ),
                "choose the one that is delegated to by `hosted-zone-id`".to_owned(),
            );
            Err(error.with_zones(zones))
        }
    }
}

/// A zone and the names of its servers, if they can be read.
async fn at_backend(client: &Client, zone: &DnsName, id: &HostedZoneId) -> BackendZone {
    let name_servers = client.name_servers(id, zone).await;
    if let Err(error) = &name_servers {
        debug!(%zone, ?error, "the servers of the hosted zone are unknown");
    }
    BackendZone {
        id: id.as_str().to_owned(),
        name_servers: name_servers.unwrap_or_default(),
    }
}
