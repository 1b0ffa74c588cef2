//! The provider: sends changes and queries to the first server that carries them out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::clock::{Clock, SystemClock};
use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{
    Applied, Failure, Guarantees, Identity, Limits, LocalCheck, ProviderError, Reading,
    TxtProvider, ValueChanges, check_within,
};
use acme_alias_core::txt::{Action, TxtChange, TxtSets};
use async_trait::async_trait;
use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use tracing::debug;

use crate::client::{Client, Take};
use crate::config::{Config, clamped_ttl};
use crate::connection::Connections;
use crate::error::{ErrorContext, all_failed, invalid_request};
use crate::found::Found;
use crate::key::TsigKey;
use crate::message;
use crate::server::ServerAddress;

/// The kind of this provider, as settings and flags name it.
pub const KIND: &str = "rfc2136";

/// What DNS UPDATE guarantees.
pub const GUARANTEES: Guarantees = Guarantees {
    atomic: true,
    values: ValueChanges::PerValue,
    reading: Reading::AtBackend,
    tells_propagation: false,
    narrowest_key: "TXT at single names of one zone (BIND: `grant KEY name NAME TXT;`)",
};

/// Changes that always fit into one message, however long names and values are.
const CHANGES_PER_MESSAGE: usize = 120;
/// BIND's default (`max-records-per-type`, since 9.18.28). The records also have to fit into an answer of
/// 65,535 octets.
const VALUES_PER_NAME: usize = 100;
/// Queries that are pending on one connection at a time.
const PENDING_QUERIES: usize = 500;

/// Writes TXT values by DNS UPDATE. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Rfc2136 {
    config: Config,
    clock: Arc<dyn Clock>,
    connections: Arc<Connections>,
}

impl Rfc2136 {
    /// A provider that sends updates to `server`, the primary of its zones, signed with `key`.
    /// Nothing is sent before the first call.
    pub fn new(server: ServerAddress, key: TsigKey) -> Self {
        Rfc2136::from_config(Config::new(server, key))
    }

    /// A provider with this configuration.
    pub fn from_config(config: Config) -> Self {
        Rfc2136 {
            config,
            clock: Arc::new(SystemClock),
            connections: Arc::default(),
        }
    }

    /// Adds a server that is tried if those before it do not carry out a request.
    #[must_use]
    pub fn with_server(mut self, server: ServerAddress) -> Self {
        self.config.servers.push(server);
        self
    }

    /// Sets the time to live of new records, in seconds: 0 to 604,800 (a week). Higher values become
    /// 604,800. The default is 0: resolvers do not cache them.
    #[must_use]
    pub fn with_ttl(mut self, seconds: u32) -> Self {
        self.config.ttl = clamped_ttl(seconds);
        self
    }

    /// Sets how long one exchange with one server may take. The default is 5 seconds.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// Sets the clock whose time is signed. The default is the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn client(&self) -> Client<'_> {
        Client {
            key: &self.config.key,
            timeout: self.config.timeout,
            clock: &*self.clock,
            connections: &self.connections,
        }
    }

    /// Whether one name would have several values with these changes: others may have some there.
    async fn gives_several(&self, zone: &DnsName, changes: &[TxtChange]) -> bool {
        let mut names = BTreeSet::new();
        let mut additions = changes.iter().filter(|change| change.action == Action::Add);
        if additions.any(|change| !names.insert(change.name.clone())) {
            return true;
        }
        let names: Vec<_> = names.into_iter().collect();
        let there = self.values(zone, &names).await.unwrap_or_default();
        there.values().any(|set| !set.is_empty())
    }

    /// Sends `messages` to the servers in order, until one answers with signed successes, and returns what `take` makes of
    /// each. A second server may receive what a first one has carried out: all messages are idempotent.
    async fn send<T: Send + 'static>(
        &self,
        zone: &DnsName,
        messages: &[Message],
        take: impl Take<T>,
    ) -> Result<(&ServerAddress, Vec<T>), ProviderError> {
        let client = self.client();
        let mut errors = Vec::new();
        for server in &self.config.servers {
            let exchange = client.exchange_for(server, messages, take.clone());
            match exchange.await {
                Ok(responses) => return Ok((server, responses)),
                Err(error) => {
                    debug!(%server, %zone, ?error, "the exchange failed");
                    let context = ErrorContext {
                        server,
                        zone,
                        key: &self.config.key,
                    };
                    errors.push(context.provider_error(&error));
                }
            }
        }
        Err(all_failed(errors))
    }
}

#[async_trait]
impl LocalCheck for Rfc2136 {
    async fn check_locally(&self) -> Result<Vec<String>, ProviderError> {
        Ok(vec![self.config().key.description()])
    }
}

#[async_trait]
impl TxtProvider for Rfc2136 {
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        check_within(zone, changes)?;
        let messages = message::updates(zone, changes, self.config.ttl).map_err(invalid_request)?;
        let mut applied = Applied::default();
        for message in messages {
            let sent = self.send(zone, &[message], drop).await;
            let (server, _) = match sent {
                Ok(sent) => sent,
                Err(mut error) => {
                    if error.failure == Failure::TooMany && !self.gives_several(zone, changes).await
                    {
                        error.failure = Failure::Unavailable;
                    }
                    return Err(error);
                }
            };
            applied.requests += 1;
            applied.server = server.to_string();
            // Every other code is an error.
            "NOERROR".clone_into(&mut applied.response);
        }
        // RFC 2136 §3.7: all of a message or nothing.
        applied.one_version = applied.requests == 1;
        Ok(applied)
    }

    async fn values(&self, zone: &DnsName, names: &[DnsName]) -> Result<TxtSets, ProviderError> {
        let mut sets = TxtSets::new();
        for names in names.chunks(PENDING_QUERIES) {
            let mut pending = message::txt_queries(names).map_err(invalid_request)?;
            let asked: Arc<BTreeSet<_>> = Arc::new(names.iter().cloned().collect());
            let take = move |response: Message| Found::in_response(&response, &asked);
            while !pending.is_empty() {
                let sent = self.send(zone, &pending, take.clone()).await;
                let (server, responses) = sent.map_err(ProviderError::of_reading)?;
                // A server may end a connection before it has answered everything (RFC 7766 §6.2.4).
                let is_pending = |query: &Message| {
                    let id = query.metadata.id;
                    responses.iter().all(|response| response.id != id)
                };
                pending.retain(is_pending);
                for found in responses {
                    found.add_to(&mut sets, server)?;
                }
            }
        }
        Ok(sets)
    }

    /// Returns at once: the protocol does not report whether the secondaries have a change.
    async fn settle(&self, _: &DnsName, _: &Applied) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn serial(&self, zone: &DnsName) -> Result<Option<u32>, ProviderError> {
        let query = message::soa_query(zone).map_err(invalid_request)?;
        let serial = |response: Message| {
            let mut answers = response.answers.iter();
            answers.find_map(|record| match &record.data {
                RData::SOA(soa) => Some(soa.serial),
                _ => None,
            })
        };
        let (_, serials) = self.send(zone, &[query], serial).await?;
        Ok(serials.into_iter().flatten().next())
    }

    fn limits(&self) -> Limits {
        Limits {
            changes_per_request: CHANGES_PER_MESSAGE,
            values_per_name: VALUES_PER_NAME,
        }
    }

    fn identity(&self) -> Identity {
        let servers = self.config.servers.iter();
        let endpoint: Vec<_> = servers.map(ToString::to_string).collect();
        Identity {
            kind: KIND,
            key: Some(self.config.key.name().to_owned()),
            ttl: Some(self.config.ttl),
            endpoint: endpoint.join(", "),
        }
    }
}
