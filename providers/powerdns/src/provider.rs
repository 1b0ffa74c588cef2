//! The provider: reads the zone, changes what differs, and reads it again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use acme_alias_core::name::DnsName;
use acme_alias_core::printable::{TEXT_MAX, shortened};
use acme_alias_core::provider::{
    Applied, Failure, Guarantees, Identity, Limits, ProviderError, Reading, TxtProvider,
    ValueChanges, check_within,
};
use acme_alias_core::txt::{TxtChange, TxtSets};
use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::api::{Change, Zone};
use crate::client::Client;
use crate::config::{Config, clamped_ttl};
use crate::error::{RequestError, conflict_remedy};
use crate::parameters::{ApiKey, ApiUrl, ServerId};
use crate::plan::{CHANGES_PER_REQUEST, Manner, Wanted, first_request, txt_sets};
use crate::turns::Turn;

/// The kind of this provider, as settings and flags name it.
pub const KIND: &str = "powerdns";

/// What PowerDNS guarantees.
pub const GUARANTEES: Guarantees = Guarantees {
    atomic: true,
    values: ValueChanges::ReadBack,
    reading: Reading::AtBackend,
    tells_propagation: false,
    narrowest_key: "everything on the server: PowerDNS has one API key; a TSIG key for `rfc2136` is narrower",
};

/// PowerDNS documents no limit. So many values fit into an answer of 65,535 octets.
const VALUES_PER_NAME: usize = 1_000;
/// How often the zone is read, and changed if that is necessary.
const ATTEMPTS: usize = 8;
/// The shortest pause before a replaced set is read back.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The answer that the ledger keeps.
const OK: &str = "success";

/// Writes TXT values through the HTTP API of PowerDNS.
#[derive(Debug)]
pub struct PowerDns {
    client: Client,
    /// Whether the server cannot add and remove single values.
    only_whole_sets: AtomicBool,
}

impl PowerDns {
    /// A provider with this key, for all zones of the server on this machine. Nothing is sent before the
    /// first call.
    pub fn new(key: ApiKey) -> Self {
        PowerDns::from_config(Config::new(key))
    }

    /// A provider with this configuration.
    pub fn from_config(config: Config) -> Self {
        PowerDns {
            client: Client::new(config),
            only_whole_sets: AtomicBool::new(false),
        }
    }

    /// Sets the URL of the web server. The default is `http://127.0.0.1:8081`.
    #[must_use]
    pub fn with_url(mut self, url: ApiUrl) -> Self {
        self.client.config_mut().url = url;
        self
    }

    /// Sets the id of the server. The default is `localhost`.
    #[must_use]
    pub fn with_server_id(mut self, id: ServerId) -> Self {
        self.client.config_mut().server_id = id;
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

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The zone, which must be one that can be written.
    async fn writable(&self, zone: &DnsName, wanted: &Wanted<'_>) -> Result<Zone, ProviderError> {
        let found = match self.client.zone(zone, &wanted.names()).await {
            Ok(found) => found,
            Err(error) => return Err(self.client.provider_error(error, zone).await.of_reading()),
        };
        // PowerDNS would accept the change, and the next transfer would undo it.
        if found.is_secondary() {
            return Err(ProviderError::new(
                Failure::Rejected,
                format!(
                    "{zone} is a secondary zone at {} (kind {})",
                    self.client.config().url,
                    shortened(&found.kind, TEXT_MAX)
                ),
                "set `url` to the API of its primary",
            ));
        }
        Ok(found)
    }

    /// Sends the changes in as few requests as possible. After an error, some may be carried out.
    async fn write(
        &self,
        zone: &DnsName,
        changes: &[Change],
        applied: &mut Applied,
    ) -> Result<(), RequestError> {
        let mut rest = changes;
        while !rest.is_empty() {
            let request = first_request(rest);
            self.client.patch(zone, request).await?;
            applied.requests += 1;
            OK.clone_into(&mut applied.response);
            rest = &rest[request.len()..];
        }
        Ok(())
    }

    /// Sends the changes; returns an error that may be over when the zone is read again.
    async fn attempt(
        &self,
        zone: &DnsName,
        changes: &[Change],
        manner: Manner,
        applied: &mut Applied,
    ) -> Result<Option<RequestError>, ProviderError> {
        let Err(error) = self.write(zone, changes, applied).await else {
            return Ok(None);
        };
        if error.refuses_single_values() && !self.only_whole_sets.swap(true, Ordering::Relaxed) {
            info!(%zone, "this version of PowerDNS cannot change single values; sets are replaced");
        }
        // Single values are also refused if the TTL of their set has changed since it was read.
        let can_be_replaced = manner == Manner::Single && error.is_about_the_change();
        if error.is_unknown() || can_be_replaced {
            return Ok(Some(error));
        }
        Err(self.client.provider_error(error, zone).await)
    }

    /// The NOTIFY for the secondaries, if there are any, and the wait for other writers, if it is needed.
    async fn after_write(&self, zone: &DnsName, found: &Zone, manner: Manner, start: Instant) {
        let notify = async {
            if found.is_primary() {
                if found.soa_edit_api.is_empty() {
                    warn!(%zone, "no SOA-EDIT-API: the serial stays, and secondaries do not get the change");
                }
                self.client.notify(zone).await;
            }
        };
        let wait = async {
            if manner == Manner::Whole {
                wait_for_other_writers(start).await;
            }
        };
        tokio::join!(notify, wait);
    }

    /// Changes what differs until nothing does.
    async fn read_and_write(
        &self,
        zone: &DnsName,
        wanted: &Wanted<'_>,
        applied: &mut Applied,
    ) -> Result<(), ProviderError> {
        let mut manner = if self.only_whole_sets.load(Ordering::Relaxed) {
            Manner::Whole
        } else {
            Manner::Single
        };
        let (mut last, mut is_sent) = (None, false);
        for attempt in 0..ATTEMPTS {
            let start = Instant::now();
            let found = self.writable(zone, wanted).await.map_err(|mut error| {
                // What was sent and cannot be read back is neither done nor undone.
                if is_sent {
                    error.failure = Failure::UnknownOutcome;
                }
                error
            })?;
            let changes = wanted.missing_from(&found, self.client.config().ttl, manner);
            if changes.is_empty() {
                return Ok(());
            }
            if let Some(error @ RequestError::NoAnswer(_)) = last {
                return Err(self.client.provider_error(error, zone).await);
            }
            if let Some(name) = wanted.conflict(&found) {
                return Err(ProviderError::new(
                    Failure::Conflict,
                    format!("{name} has a CNAME record"),
                    conflict_remedy(),
                ));
            }
            debug!(%zone, attempt, ?manner, changes = changes.len(), "writing");
            last = self.attempt(zone, &changes, manner, applied).await?;
            is_sent = is_sent || last.as_ref().is_none_or(RequestError::is_unknown);
            match &last {
                None => self.after_write(zone, &found, manner, start).await,
                // Its database may be locked by another writer.
                Some(error) if error.is_of_the_server() => wait_for_other_writers(start).await,
                Some(_) => {}
            }
            // If single values do not do it, the server writes them in another form than it reads.
            manner = Manner::Whole;
        }
        Err(match last {
            Some(error) => self.client.provider_error(error, zone).await,
            None => ProviderError::new(
                Failure::Conflict,
                format!("the TXT records in {zone} changed {ATTEMPTS} times during the update"),
                "check which other program writes at these names, and try again",
            ),
        })
    }
}

/// Another writer may have read a set before it was replaced here, and replace it after that. The pause is
/// longer than reading and replacing took here, so that the next reading shows it.
async fn wait_for_other_writers(start: Instant) {
    let window = start.elapsed() * 2;
    let pause = window.clamp(PAUSE, LONGEST_PAUSE);
    // Two writers that met here should not meet again.
    tokio::time::sleep(pause.mul_f64(rand::random_range(1.0..=1.5))).await;
}

#[async_trait]
impl TxtProvider for PowerDns {
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        check_within(zone, changes)?;
        let wanted = Wanted::new(changes);
        let endpoint = self.client.config().endpoint();
        let _turn = Turn::at(endpoint.clone(), zone).await;
        let mut applied = Applied {
            server: endpoint,
            ..Applied::default()
        };
        self.read_and_write(zone, &wanted, &mut applied).await?;
        Ok(applied)
    }

    async fn values(&self, zone: &DnsName, names: &[DnsName]) -> Result<TxtSets, ProviderError> {
        let found = match self.client.zone(zone, &names.iter().collect()).await {
            Ok(found) => found,
            Err(error) => return Err(self.client.provider_error(error, zone).await.of_reading()),
        };
        let existing = txt_sets(&found);
        let mut sets = TxtSets::new();
        for name in names {
            let Some(set) = existing.get(name) else {
                continue;
            };
            for record in set.records.iter().filter(|record| !record.disabled) {
                let value = record.text().parse().ok();
                let values = sets.entry(name.clone()).or_default();
                values.add(Some(set.ttl), value);
            }
        }
        Ok(sets)
    }

    /// Returns at once: PowerDNS does not report which secondaries have a change.
    async fn settle(&self, _: &DnsName, _: &Applied) -> Result<(), ProviderError> {
        Ok(())
    }

    /// `None` unless the zone has `SOA-EDIT-API` with `DEFAULT` or `INCREASE`.
    async fn serial(&self, zone: &DnsName) -> Result<Option<u32>, ProviderError> {
        // In turn, so that a serial from before a change is asked for before it is made.
        let _turn = Turn::at(self.client.config().endpoint(), zone).await;
        match self.client.zone_alone(zone).await {
            Ok(found) => Ok(found.increasing_serial()),
            Err(error) => Err(self.client.provider_error(error, zone).await.of_reading()),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            changes_per_request: CHANGES_PER_REQUEST,
            values_per_name: VALUES_PER_NAME,
        }
    }

    /// Without a key: PowerDNS has only one, without a name.
    fn identity(&self) -> Identity {
        Identity {
            kind: KIND,
            key: None,
            ttl: Some(self.client.config().ttl),
            endpoint: self.client.config().endpoint(),
        }
    }
}
