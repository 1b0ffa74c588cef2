//! The provider: reads record sets, and swaps them if they have not changed since.

use std::num::NonZeroU32;
use std::time::Duration;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{
    Applied, BackendZone, Failure, Guarantees, Identity, Limits, ProviderError, Reading,
    TxtProvider, ValueChanges, check_within,
};
use acme_alias_core::txt::{self, TxtChange, TxtSets};
use async_trait::async_trait;
use aws_config::SdkConfig;
use tokio::time::Instant;
use tracing::debug;

use crate::client::{Client, uneven};
use crate::config::{Config, clamped_pace, clamped_ttl};
use crate::error::CallError;
use crate::parameters::{EndpointUrl, HostedZoneId};
use crate::sets::{self, CHANGES_PER_REQUEST, Swap, TxtRecordSets, TxtSet};
use crate::zones::Zones;

/// The kind of this provider, as settings and flags name it.
pub const KIND: &str = "route53";

/// What Route 53 guarantees.
pub const GUARANTEES: Guarantees = Guarantees {
    atomic: true,
    values: ValueChanges::CompareAndSwap,
    reading: Reading::AtBackend,
    tells_propagation: true,
    narrowest_key: "TXT at chosen names of one hosted zone, by conditions of an IAM policy",
};

/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html>, "Quotas on records".
const VALUES_PER_NAME: usize = 400;
/// How often sets may change between reading and swapping.
const SWAP_ATTEMPTS: usize = 12;
const SWAP_PAUSE: Duration = Duration::from_millis(100);
/// Changes are usually on all servers within a minute.
const SETTLE_DEADLINE: Duration = Duration::from_mins(5);
const SETTLE_FIRST_PAUSE: Duration = Duration::from_millis(500);
const SETTLE_LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Writes TXT values in Amazon Route 53.
#[derive(Debug)]
pub struct Route53 {
    client: Client,
    zones: Zones,
}

impl Default for Route53 {
    fn default() -> Self {
        Route53::new()
    }
}

impl Route53 {
    /// A provider for all hosted zones of the account. Credentials are found as other AWS programs
    /// find them (environment, profile, role of the machine), at the first call.
    pub fn new() -> Self {
        Route53::from_config(Config::default())
    }

    /// A provider with this configuration.
    pub fn from_config(config: Config) -> Self {
        Route53 {
            client: Client::new(config),
            zones: Zones::default(),
        }
    }

    /// Sets credentials, region and HTTP client. A profile and a region that are set otherwise have no
    /// effect then.
    #[must_use]
    pub fn with_sdk_config(mut self, sdk: SdkConfig) -> Self {
        self.client.set_sdk_config(sdk);
        self
    }

    /// Sets the id of the one hosted zone. Without it, zones are looked up by name, which takes the
    /// permission `route53:ListHostedZonesByName`.
    #[must_use]
    pub fn with_hosted_zone_id(mut self, id: HostedZoneId) -> Self {
        self.client.config_mut().hosted_zone_id = Some(id);
        self
    }

    /// Sets the profile in the AWS configuration files.
    #[must_use]
    pub fn with_profile(mut self, profile: impl Into<String>) -> Self {
        self.client.config_mut().profile = Some(profile.into());
        self
    }

    /// Sets the ARN of a role to assume with the credentials.
    #[must_use]
    pub fn with_role(mut self, arn: impl Into<String>) -> Self {
        self.client.config_mut().assume_role_arn = Some(arn.into());
        self
    }

    /// Sets the region that requests are signed for. The default is `us-east-1`.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.client.config_mut().region = region.into();
        self
    }

    /// Sets the URL of the API. The default is that of AWS.
    #[must_use]
    pub fn with_endpoint_url(mut self, url: EndpointUrl) -> Self {
        self.client.config_mut().endpoint_url = Some(url);
        self
    }

    /// Sets the time to live of new record sets, in seconds: 0 to 2,147,483,647. Larger values become
    /// the largest. The default is 0: resolvers do not cache them.
    #[must_use]
    pub fn with_ttl(mut self, seconds: u32) -> Self {
        self.client.config_mut().ttl = clamped_ttl(seconds);
        self
    }

    /// Sets how long one request may take. The default is 30 seconds.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.client.config_mut().timeout = timeout;
        self
    }

    /// Sets the largest number of requests per second, up to 1,000. The default is 4; AWS allows an
    /// account ten for all its programs.
    #[must_use]
    pub fn with_requests_per_second(mut self, requests: NonZeroU32) -> Self {
        self.client.config_mut().requests_per_second = clamped_pace(requests);
        self
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn zone_id(&self, zone: &DnsName) -> Result<HostedZoneId, ProviderError> {
        self.zones.id(&self.client, zone).await
    }

    fn ttl(&self) -> i64 {
        self.client.config().ttl.into()
    }

    /// The TXT record sets at `names`.
    async fn sets(&self, id: &HostedZoneId, names: &[DnsName]) -> Result<TxtRecordSets, ReadError> {
        let mut sets = TxtRecordSets::new();
        for set in self.client.record_sets(id, names).await? {
            let Ok(name) = set.name().parse::<DnsName>() else {
                continue;
            };
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

    /// The swaps that lead from the sets that exist to those that are wanted.
    async fn swaps(
        &self,
        id: &HostedZoneId,
        changes: &[TxtChange],
    ) -> Result<Vec<Swap>, ReadError> {
        let existing = self.sets(id, &sets::names(changes)).await?;
        Ok(sets::swaps(changes, &existing, self.ttl()))
    }

    /// Carries out `swaps` in as few batches as possible. After an error, some may be carried out.
    async fn swap(
        &self,
        id: &HostedZoneId,
        swaps: &[Swap],
        applied: &mut Applied,
    ) -> Result<(), CallError> {
        let mut rest = swaps;
        while !rest.is_empty() {
            let request = sets::first_request(rest);
            let batch =
                sets::batch(request).map_err(|error| CallError::NotSent(error.to_string()))?;
            let change = self.client.change(id, batch).await?;
            applied.requests += 1;
            applied.pending.push(change);
            applied.response = applied.pending.join(", ");
            rest = &rest[request.len()..];
        }
        Ok(())
    }

    /// Waits until one change is on all servers.
    async fn wait_for(
        &self,
        zone: &DnsName,
        change: &str,
        deadline: Instant,
    ) -> Result<(), ProviderError> {
        let mut pause = SETTLE_FIRST_PAUSE;
        loop {
            let is_in_sync = self.client.is_in_sync(change).await;
            if is_in_sync.map_err(|error| error.into_provider_error(zone).of_reading())? {
                return Ok(());
            }
            if Instant::now() + pause > deadline {
                return Err(ProviderError::new(
                    Failure::Unavailable,
                    format!(
                        "Route 53 did not bring the change {change} to all its servers within \
                         {SETTLE_DEADLINE:?}"
                    ),
                    "check the AWS status page, and try again",
                ));
            }
            // Route 53 has no way to wait for a change.
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(SETTLE_LONGEST_PAUSE);
        }
    }
}

/// Why sets could not be read.
enum ReadError {
    Call(CallError),
    /// The name has several sets, chosen by a routing policy, or an alias of AWS.
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
        let mut applied = Applied {
            server: self.client.endpoint().to_owned(),
            ..Applied::default()
        };
        let mut refusal = String::new();
        for _ in 0..SWAP_ATTEMPTS {
            let swaps = self.swaps(&id, changes).await;
            let swaps = swaps.map_err(|error| error.into_provider_error(zone))?;
            let error = match self.swap(&id, &swaps, &mut applied).await {
                Ok(()) => return Ok(applied),
                Err(error) => error,
            };
            if error.is_stale() {
                debug!(%zone, %error, "the sets have changed since they were read");
                refusal = error.to_string();
                // Two writers that met here should not meet again.
                tokio::time::sleep(uneven(SWAP_PAUSE)).await;
                continue;
            }
            if error.is_unknown()
                && let Ok(swaps) = self.swaps(&id, changes).await
                && swaps.is_empty()
            {
                return Ok(applied);
            }
            return Err(error.into_provider_error(zone));
        }
        Err(ProviderError::new(
            Failure::Conflict,
            format!(
                "the sets in {zone} changed {SWAP_ATTEMPTS} times during the update: {refusal}"
            ),
            "check which other program writes at these names, and try again",
        ))
    }

    async fn values(&self, zone: &DnsName, names: &[DnsName]) -> Result<TxtSets, ProviderError> {
        let id = self.zone_id(zone).await?;
        let sets = self.sets(&id, names).await;
        let sets = sets.map_err(|error| error.into_provider_error(zone))?;
        let read = sets.into_iter().map(|(name, set)| {
            let values = set.values.iter();
            let values = values.filter_map(|value| sets::text(value).parse().ok());
            let ttl = u32::try_from(set.ttl).ok();
            (
                name,
                txt::TxtSet {
                    ttl,
                    values: values.collect(),
                },
            )
        });
        Ok(read.collect())
    }

    async fn settle(&self, zone: &DnsName, applied: &Applied) -> Result<(), ProviderError> {
        let deadline = Instant::now() + SETTLE_DEADLINE;
        for change in &applied.pending {
            self.wait_for(zone, change, deadline).await?;
        }
        Ok(())
    }

    async fn name_servers(&self, zone: &DnsName) -> Result<Option<Vec<DnsName>>, ProviderError> {
        let servers = self.zones.name_servers(&self.client, zone).await?;
        Ok(Some(servers))
    }

    async fn choose(&self, zone: &DnsName, chosen: &BackendZone) {
        self.zones.choose(zone, chosen).await;
    }

    fn limits(&self) -> Limits {
        Limits {
            changes_per_request: CHANGES_PER_REQUEST,
            values_per_name: VALUES_PER_NAME,
        }
    }

    /// The key is the role, or else the profile.
    fn identity(&self) -> Identity {
        let config = self.client.config();
        Identity {
            kind: KIND,
            key: config
                .assume_role_arn
                .clone()
                .or_else(|| config.profile.clone()),
            ttl: Some(config.ttl),
            endpoint: config
                .endpoint_url
                .as_ref()
                .map_or_else(|| "route53".to_owned(), |url| url.as_str().to_owned()),
        }
    }
}
