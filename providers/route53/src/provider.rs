//! The provider: sets are read, and swapped if they are still what was read.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{
    Applied, Failure, Identity, Limits, ProviderError, TxtProvider, check_within,
};
use acme_alias_core::txt::{TxtChange, TxtSets};
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_route53::Client as Api;
use aws_sdk_route53::types::{
    ChangeBatch, ChangeStatus, HostedZone, HostedZoneConfig, ResourceRecordSet, RrType,
};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::debug;

use crate::client::{Client, uneven};
use crate::config::Config;
use crate::error::CallError;
use crate::sets::{self, CHANGES_PER_REQUEST, TxtRecordSets, TxtSet};

/// Up to this many names are asked for one by one; beyond, the zone is listed.
const NAMES_ASKED_SINGLY: usize = 4;
const SETS_PER_PAGE: i32 = 300;
/// How often sets may have changed between reading and swapping.
const SWAP_ATTEMPTS: usize = 12;
const SWAP_PAUSE: Duration = Duration::from_millis(100);
/// Changes are everywhere within a minute, as a rule.
const SETTLE_DEADLINE: Duration = Duration::from_mins(5);
const SETTLE_FIRST_PAUSE: Duration = Duration::from_millis(500);
const SETTLE_LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Writes TXT values in Amazon Route 53.
#[derive(Debug)]
pub struct Route53 {
    client: Client,
    /// The ids of the hosted zones met so far.
    zones: Mutex<HashMap<DnsName, String>>,
}

impl Route53 {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A provider with this configuration. Credentials are looked for at the first call.
    pub fn new(config: Config) -> Self {
        Route53 {
            client: Client::new(config, None),
            zones: Mutex::default(),
        }
    }

    /// A provider with credentials, region and HTTP client that the caller has set up; `profile` and
    /// `region` of the configuration have no effect.
    pub fn with_sdk_config(config: Config, sdk: SdkConfig) -> Self {
        Route53 {
            client: Client::new(config, Some(sdk)),
            zones: Mutex::default(),
        }
    }

    pub(crate) async fn zone_id(&self, zone: &DnsName) -> Result<String, ProviderError> {
        let mut zones = self.zones.lock().await;
        if let Some(id) = zones.get(zone) {
            return Ok(id.clone());
        }
        let id = match &self.client.config().hosted_zone_id {
            Some(id) => {
                self.check_zone_id(zone, id).await?;
                id.clone()
            }
            None => self.look_up(zone).await?,
        };
        zones.insert(zone.clone(), id.clone());
        Ok(id)
    }

    /// The name of a zone is that of its first set: sets are listed by name with the labels in
    /// reverse, and NS and SOA are always there
    /// (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html>).
    /// To ask for the zone itself would take one more permission.
    async fn check_zone_id(&self, zone: &DnsName, id: &str) -> Result<(), ProviderError> {
        let send = |api: &Api| {
            api.list_resource_record_sets()
                .hosted_zone_id(id)
                .max_items(1)
                .send()
        };
        let listed = self.client.call(send, CallError::new).await;
        let listed = listed.map_err(|error| error.into_provider_error(zone).of_reading())?;
        let sets = listed.resource_record_sets();
        let apex = sets.first().map(ResourceRecordSet::name);
        match apex {
            Some(found) if !found.eq_ignore_ascii_case(&zone.fqdn()) => Err(ProviderError::new(
                Failure::Rejected,
                format!(
                    "`hosted-zone-id` is not that of {zone}: it is that of {}",
                    found.escape_debug()
                ),
                format!(
                    "take the id from the list of hosted zones, or leave `hosted-zone-id` out: then {zone} is looked up by name"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// The ids of the public and of the private zones of this name. Private ones answer to nobody outside.
    pub(crate) async fn hosted_zones(
        &self,
        zone: &DnsName,
    ) -> Result<(Vec<String>, Vec<String>), ProviderError> {
        let listed = self
            .client
            .call(
                |api| api.list_hosted_zones_by_name().dns_name(zone.fqdn()).send(),
                CallError::new,
            )
            .await;
        let listed = listed.map_err(|error| error.into_provider_error(zone).of_reading())?;
        let is_it = |found: &&HostedZone| found.name().eq_ignore_ascii_case(&zone.fqdn());
        let is_private =
            |found: &HostedZone| found.config().is_some_and(HostedZoneConfig::private_zone);
        let (private, public): (Vec<_>, Vec<_>) = listed
            .hosted_zones()
            .iter()
            .filter(is_it)
            .partition(|found| is_private(found));
        let ids =
            |found: Vec<&HostedZone>| found.into_iter().map(|one| plain_id(one.id())).collect();
        Ok((ids(public), ids(private)))
    }

    /// The one zone of this name that the CA sees.
    async fn look_up(&self, zone: &DnsName) -> Result<String, ProviderError> {
        let (public, private) = self.hosted_zones(zone).await?;
        let rejected = |what, remedy| ProviderError::new(Failure::Rejected, what, remedy);
        match public.as_slice() {
            [only] => Ok(only.clone()),
            [] if !private.is_empty() => Err(rejected(
                format!("the hosted zone {zone} is private, and no CA sees it"),
                format!("make a public hosted zone {zone}, and delegate to it"),
            )),
            [] => Err(rejected(
                format!("there is no hosted zone {zone} in this account"),
                "correct `zone` under `[[alias-zones]]`, or the credentials: `profile`, \
                 `assume-role-arn`"
                    .to_owned(),
            )),
            several => Err(rejected(
                format!(
                    "there are {} public hosted zones {zone}: {}",
                    several.len(),
                    several.join(", ")
                ),
                "say by `hosted-zone-id` which of them the delegation leads to".to_owned(),
            )),
        }
    }

    /// The TXT record sets at `names`.
    async fn sets(&self, id: &str, names: &[DnsName]) -> Result<TxtRecordSets, ReadError> {
        let listed = if names.len() > NAMES_ASKED_SINGLY {
            self.list(id).await?
        } else {
            let mut listed = Vec::new();
            for name in names {
                listed.extend(self.list_from(id, name).await?);
            }
            listed
        };
        let asked: BTreeSet<_> = names.iter().collect();
        let mut sets = TxtRecordSets::new();
        for set in listed {
            let Ok(name) = set.name().parse::<DnsName>() else {
                continue;
            };
            if *set.r#type() != RrType::Txt || !asked.contains(&name) {
                continue;
            }
            if set.set_identifier().is_some() || set.alias_target().is_some() {
                return Err(ReadError::Routed(name));
            }
            let values = set.resource_records().iter();
            let values = values.map(|record| record.value().to_owned()).collect();
            let ttl = set.ttl().unwrap_or_default();
            sets.insert(name, TxtSet { ttl, values });
        }
        Ok(sets)
    }

    /// The set at `name`, or the one that follows.
    async fn list_from(
        &self,
        id: &str,
        name: &DnsName,
    ) -> Result<Vec<ResourceRecordSet>, CallError> {
        let send = |api: &Api| {
            api.list_resource_record_sets()
                .hosted_zone_id(id)
                .start_record_name(name.fqdn())
                .start_record_type(RrType::Txt)
                .max_items(1)
                .send()
        };
        let listed = self.client.call(send, CallError::new).await?;
        Ok(listed.resource_record_sets)
    }

    /// All sets of the zone.
    async fn list(&self, id: &str) -> Result<Vec<ResourceRecordSet>, CallError> {
        let mut sets = Vec::new();
        let mut next = (None, None, None);
        loop {
            let send = |api: &Api| {
                let (name, kind, identifier) = next.clone();
                api.list_resource_record_sets()
                    .hosted_zone_id(id)
                    .max_items(SETS_PER_PAGE)
                    .set_start_record_name(name)
                    .set_start_record_type(kind)
                    .set_start_record_identifier(identifier)
                    .send()
            };
            let page = self.client.call(send, CallError::new).await?;
            sets.extend(page.resource_record_sets);
            if !page.is_truncated {
                return Ok(sets);
            }
            next = (
                page.next_record_name,
                page.next_record_type,
                page.next_record_identifier,
            );
        }
    }

    /// Sends one batch; the id of the change.
    async fn swap(&self, id: &str, swaps: &[sets::Swap]) -> Result<String, CallError> {
        let batch = sets::batch(swaps).map_err(|error| CallError::NotSent(error.to_string()))?;
        self.change(id, batch).await
    }

    /// The id of the change.
    pub(crate) async fn change(&self, id: &str, batch: ChangeBatch) -> Result<String, CallError> {
        let send = |api: &Api| {
            api.change_resource_record_sets()
                .hosted_zone_id(id)
                .change_batch(batch.clone())
                .send()
        };
        let changed = self.client.call(send, CallError::new).await?;
        let info = changed.change_info();
        Ok(info.map(|info| info.id().to_owned()).unwrap_or_default())
    }
}

/// Why sets could not be read.
enum ReadError {
    Call(CallError),
    /// Several sets at one name, chosen between by a routing policy, or an alias of Amazon's.
    Routed(DnsName),
}

impl From<CallError> for ReadError {
    fn from(error: CallError) -> Self {
        ReadError::Call(error)
    }
}

impl ReadError {
    fn into_provider_error(self, zone: &DnsName) -> ProviderError {
        match self {
            ReadError::Call(error) => error.into_provider_error(zone).of_reading(),
            ReadError::Routed(name) => ProviderError::new(
                Failure::Conflict,
                format!("the TXT records at {name} have a routing policy"),
                format!("give {name} a simple record set, or use another alias name"),
            ),
        }
    }
}

#[async_trait]
impl TxtProvider for Route53 {
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        check_within(zone, changes)?;
        let id = self.zone_id(zone).await?;
        let names = sets::names(changes);
        let mut applied = Applied {
            server: self.client.place().to_owned(),
            ..Applied::default()
        };
        let mut refusal = None;
        for _ in 0..SWAP_ATTEMPTS {
            let there = self.sets(&id, &names).await;
            let there = there.map_err(|error| error.into_provider_error(zone))?;
            let swaps = sets::swaps(changes, &there, self.client.config().ttl);
            let mut rest = swaps.as_slice();
            loop {
                if rest.is_empty() {
                    return Ok(applied);
                }
                let request = sets::first_request(rest);
                match self.swap(&id, request).await {
                    Ok(change) => {
                        applied.requests += 1;
                        applied.pending.push(change);
                        applied.response = applied.pending.join(", ");
                        rest = &rest[request.len()..];
                    }
                    Err(error) if error.is_stale() => {
                        debug!(%zone, %error, "somebody else was faster");
                        refusal = Some(error);
                        // Two who met here should not meet again.
                        tokio::time::sleep(uneven(SWAP_PAUSE)).await;
                        break;
                    }
                    Err(error) if error.is_unknown() => {
                        let there = self.sets(&id, &names).await;
                        let done = there.is_ok_and(|there| {
                            sets::swaps(changes, &there, self.client.config().ttl).is_empty()
                        });
                        return if done {
                            Ok(applied)
                        } else {
                            Err(error.into_provider_error(zone))
                        };
                    }
                    Err(error) => return Err(error.into_provider_error(zone)),
                }
            }
        }
        let refusal = refusal.map(|error| error.to_string()).unwrap_or_default();
        Err(ProviderError::new(
            Failure::Conflict,
            format!(
                "the sets in {zone} changed {SWAP_ATTEMPTS} times before they could be swapped: {refusal}"
            ),
            "see what else writes at these names, and try again",
        ))
    }

    async fn values(&self, zone: &DnsName, names: &[DnsName]) -> Result<TxtSets, ProviderError> {
        let id = self.zone_id(zone).await?;
        let sets = self.sets(&id, names).await;
        let sets = sets.map_err(|error| error.into_provider_error(zone))?;
        let values = sets.into_iter().map(|(name, set)| {
            // What is no value of a challenge is somebody else's record.
            let values = set.values.iter();
            let values = values.filter_map(|value| sets::text(value).parse().ok());
            (name, values.collect())
        });
        Ok(values.collect())
    }

    async fn settle(&self, zone: &DnsName, applied: &Applied) -> Result<(), ProviderError> {
        let deadline = Instant::now() + SETTLE_DEADLINE;
        for id in &applied.pending {
            let mut pause = SETTLE_FIRST_PAUSE;
            loop {
                let send = |api: &Api| api.get_change().id(id).send();
                let change = self.client.call(send, CallError::new).await;
                let change = change.map_err(|e| e.into_provider_error(zone).of_reading())?;
                let status = change.change_info().map(|info| info.status().clone());
                if status == Some(ChangeStatus::Insync) {
                    break;
                }
                if Instant::now() + pause > deadline {
                    return Err(ProviderError::new(
                        Failure::Unavailable,
                        format!(
                            "Route 53 has not brought the change {id} to all its servers within \
                             {SETTLE_DEADLINE:?}"
                        ),
                        "see the AWS status page, and try again",
                    ));
                }
                // Route 53 tells nobody by itself.
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(SETTLE_LONGEST_PAUSE);
            }
        }
        Ok(())
    }

    fn limits(&self) -> Limits {
        Limits {
            changes_per_request: CHANGES_PER_REQUEST,
        }
    }

    fn identity(&self) -> Identity {
        let config = self.client.config();
        Identity {
            kind: crate::KIND,
            key: config
                .assume_role_arn
                .clone()
                .or_else(|| config.profile.clone()),
            ttl: u32::try_from(config.ttl).ok(),
        }
    }
}

fn plain_id(id: &str) -> String {
    id.trim_start_matches("/hostedzone/").to_owned()
}
