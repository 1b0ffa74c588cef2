//! The provider: reads the records, and changes what differs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{
    Applied, BackendZone, Failure, Guarantees, Identity, Limits, ProviderError, Reading,
    TxtProvider, ValueChanges, check_within,
};
use acme_alias_core::txt::{TxtChange, TxtSets};
use async_trait::async_trait;
use tracing::info;

use crate::api::{Batch, Record, RecordId};
use crate::client::Client;
use crate::config::{Config, clamped_batch_size, clamped_ttl};
use crate::error::RequestError;
use crate::parameters::{ApiToken, BaseUrl, ZoneId};
use crate::plan::Wanted;
use crate::zones::{Zones, wrong_zone};

/// The kind of this provider, as settings and flags name it.
pub const KIND: &str = "cloudflare";

/// Cloudflare documents no limit. So many values fit into an answer of 65,535 octets.
const VALUES_PER_NAME: usize = 1_000;

/// What Cloudflare guarantees.
pub const GUARANTEES: Guarantees = Guarantees {
    atomic: true,
    values: ValueChanges::PerValue,
    reading: Reading::AtBackend,
    tells_propagation: false,
    narrowest_key: "all records of one zone (`DNS:Edit`); give the alias zone a zone of its own",
};

/// How often the records may change between reading and writing.
const ATTEMPTS: usize = 5;
/// The answer that the ledger keeps.
const OK: &str = "success";

/// Writes TXT values through Cloudflare's API.
#[derive(Debug)]
pub struct Cloudflare {
    client: Client,
    zones: Zones,
    /// Whether batches were refused, so that changes are made one by one.
    one_by_one: AtomicBool,
}

/// Why a batch was not carried out.
enum WriteError {
    Request(RequestError),
    /// The records were made under another name, in another zone, and removed again.
    WrongZone {
        made: String,
    },
}

impl From<RequestError> for WriteError {
    fn from(error: RequestError) -> Self {
        WriteError::Request(error)
    }
}

impl Cloudflare {
    /// A provider with this token, for all zones that the token may edit. Nothing is sent before the
    /// first call.
    pub fn new(token: ApiToken) -> Self {
        Cloudflare::from_config(Config::new(token))
    }

    /// A provider with this configuration.
    pub fn from_config(config: Config) -> Self {
        Cloudflare {
            client: Client::new(config),
            zones: Zones::default(),
            one_by_one: AtomicBool::new(false),
        }
    }

    /// Sets the id of the one zone. Without it, zones are looked up by name, and the token needs
    /// Zone:Read.
    #[must_use]
    pub fn with_zone_id(mut self, id: ZoneId) -> Self {
        self.client.config_mut().zone_id = Some(id);
        self
    }

    /// Sets the largest number of changes in one call: 1 to 3,500. Other values become the nearest of
    /// these. The default is 200, the limit of the Free plan.
    #[must_use]
    pub fn with_batch_size(mut self, size: usize) -> Self {
        self.client.config_mut().batch_size = clamped_batch_size(size);
        self
    }

    /// Sets the time to live of new records, in seconds: 60 to 86,400 (a day). Other values become the
    /// nearest of these. The default is 60.
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

    /// Sets the URL of the API. The default is [`BaseUrl::CLOUDFLARE`].
    #[must_use]
    pub fn with_base_url(mut self, url: BaseUrl) -> Self {
        self.client.config_mut().base_url = url;
        self
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn zone_id(&self, zone: &DnsName) -> Result<ZoneId, ProviderError> {
        self.zones.id(&self.client, zone).await
    }

    /// What is wanted and not so yet.
    async fn missing(
        &self,
        id: &ZoneId,
        names: &[DnsName],
        wanted: &Wanted<'_>,
    ) -> Result<Batch, RequestError> {
        let existing = self.client.txt_records(id, names).await?;
        Ok(wanted.missing_from(&existing, self.client.config().ttl))
    }

    async fn write(
        &self,
        id: &ZoneId,
        batch: Batch,
        applied: &mut Applied,
    ) -> Result<(), WriteError> {
        let size = self.client.config().batch_size;
        let mut parts = batch.split(size).into_iter();
        if !self.one_by_one.load(Ordering::Relaxed) {
            for part in parts.by_ref() {
                match self.client.batch(id, &part).await {
                    Ok(made) => {
                        applied.requests += 1;
                        OK.clone_into(&mut applied.response);
                        self.check_names(id, &part, made).await?;
                    }
                    Err(error) if error.refuses_batches() => {
                        info!("batches are refused; changes are made one by one");
                        self.one_by_one.store(true, Ordering::Relaxed);
                        self.write_one_by_one(id, part, applied).await?;
                        break;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        for part in parts {
            self.write_one_by_one(id, part, applied).await?;
        }
        Ok(())
    }

    async fn write_one_by_one(
        &self,
        id: &ZoneId,
        batch: Batch,
        applied: &mut Applied,
    ) -> Result<(), WriteError> {
        for record in &batch.deletes {
            applied.requests += 1;
            match self.client.remove(&id.to_string(), &record.id).await {
                Err(error) if !error.is_stale() => return Err(error.into()),
                _ => OK.clone_into(&mut applied.response),
            }
        }
        for post in &batch.posts {
            applied.requests += 1;
            match self.client.create(id, post).await {
                Ok(made) => {
                    OK.clone_into(&mut applied.response);
                    let made = made.into_iter().collect();
                    self.check_names(id, &batch, made).await?;
                }
                Err(error) if error.is_stale() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Removes records that were made under another name than asked for.
    async fn check_names(
        &self,
        id: &ZoneId,
        batch: &Batch,
        made: Vec<Record>,
    ) -> Result<(), WriteError> {
        let misplaced = batch.misplaced(made);
        let Some(first) = misplaced.first() else {
            return Ok(());
        };
        let made = first.name.clone();
        let deletes = misplaced
            .into_iter()
            .map(|record| RecordId { id: record.id });
        let undo = Batch {
            deletes: deletes.collect(),
            posts: Vec::new(),
        };
        self.client.batch(id, &undo).await?;
        Err(WriteError::WrongZone { made })
    }
}

#[async_trait]
impl TxtProvider for Cloudflare {
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        check_within(zone, changes)?;
        let wanted = Wanted::new(changes);
        let names = wanted.names();
        let id = self.zone_id(zone).await?;
        let mut applied = Applied {
            server: self.client.host().to_owned(),
            ..Applied::default()
        };
        for _ in 0..ATTEMPTS {
            let batch = match self.missing(&id, &names, &wanted).await {
                Ok(batch) => batch,
                Err(error) => {
                    return Err(self.client.provider_error(error, zone).await.of_reading());
                }
            };
            let error = match self.write(&id, batch, &mut applied).await {
                Ok(()) => return Ok(applied),
                Err(WriteError::WrongZone { made }) => {
                    self.zones.forget(zone).await;
                    return Err(wrong_zone(zone, &made));
                }
                Err(WriteError::Request(error)) => error,
            };
            // The records have changed since they were read: read them again.
            if error.is_stale() {
                continue;
            }
            if error.is_unknown()
                && let Ok(batch) = self.missing(&id, &names, &wanted).await
                && batch.is_empty()
            {
                return Ok(applied);
            }
            return Err(self.client.provider_error(error, zone).await);
        }
        Err(ProviderError::new(
            Failure::Conflict,
            format!("the records in {zone} changed {ATTEMPTS} times during the update"),
            "check Cloudflare's audit log for other programs that write at these names, and try again",
        ))
    }

    async fn values(&self, zone: &DnsName, names: &[DnsName]) -> Result<TxtSets, ProviderError> {
        let id = self.zone_id(zone).await?;
        let records = match self.client.txt_records(&id, names).await {
            Ok(records) => records,
            Err(error) => return Err(self.client.provider_error(error, zone).await.of_reading()),
        };
        let mut sets = TxtSets::new();
        for record in records {
            let Ok(name) = record.name.parse() else {
                continue;
            };
            let value = record.text().parse().ok();
            sets.entry(name)
                .or_default()
                .add(record.cache_time(), value);
        }
        Ok(sets)
    }

    /// Returns at once: Cloudflare does not report which of its servers have a change.
    async fn settle(&self, _: &DnsName, _: &Applied) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn name_servers(&self, zone: &DnsName) -> Result<Option<Vec<DnsName>>, ProviderError> {
        self.zones.name_servers(&self.client, zone).await
    }

    async fn choose(&self, zone: &DnsName, chosen: &BackendZone) {
        self.zones.choose(zone, chosen).await;
    }

    fn limits(&self) -> Limits {
        Limits {
            changes_per_request: if self.one_by_one.load(Ordering::Relaxed) {
                1
            } else {
                self.client.config().batch_size
            },
            values_per_name: VALUES_PER_NAME,
        }
    }

    /// Without a key: the API does not report a token's name.
    fn identity(&self) -> Identity {
        Identity {
            kind: KIND,
            key: None,
            ttl: Some(self.client.config().ttl),
            endpoint: self.client.config().base_url.to_string(),
        }
    }
}
