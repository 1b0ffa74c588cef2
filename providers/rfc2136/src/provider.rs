//! The provider: changes and questions, to the first server that carries them out.

use std::sync::Arc;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{
    Applied, Failure, Identity, Limits, ProviderError, TxtProvider, check_within,
};
use acme_alias_core::txt::{TxtChange, TxtSets};
use async_trait::async_trait;
use hickory_proto::op::Message;
use hickory_proto::rr::{RData, RecordType};
use tokio::sync::Semaphore;
use tracing::debug;

use crate::client::exchange;
use crate::config::{Config, Server};
use crate::error::{Place, all_failed};
use crate::message;

/// What fits into one message at the least: the longest name and the longest value each time.
const CHANGES_PER_MESSAGE: usize = 120;
/// Questions that are under way on one connection.
const QUESTIONS_AT_ONCE: usize = 500;

/// Connections that are open at a time. BIND lets ten wait to be taken (`tcp-listen-queue`); one
/// more waits a second for another attempt.
const CONNECTIONS: usize = 8;

/// Writes TXT values by DNS UPDATE. Clones share the limit on their connections.
#[derive(Clone, Debug)]
pub struct Rfc2136 {
    config: Config,
    connections: Arc<Semaphore>,
}

impl Rfc2136 {
    /// A provider with this configuration.
    pub fn new(config: Config) -> Self {
        Rfc2136 {
            config,
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Sends `messages` to the servers in order, until one answers with successes that are signed.
    /// What is sent is idempotent, so a second server may see what a first one did.
    async fn send(
        &self,
        zone: &DnsName,
        messages: &[Message],
    ) -> Result<(&Server, Vec<Message>), ProviderError> {
        // It is never closed, so that a permit is always to be had.
        let _permit = self.connections.acquire().await;
        let mut errors = Vec::new();
        for server in &self.config.servers {
            match exchange(server, &self.config.key, messages, self.config.timeout).await {
                Ok(responses) => return Ok((server, responses)),
                Err(error) => {
                    debug!(%server, %zone, ?error, "the exchange failed");
                    let place = Place {
                        server,
                        zone,
                        key: &self.config.key,
                    };
                    errors.push(place.error(&error));
                }
            }
        }
        Err(all_failed(errors))
    }
}

#[async_trait]
impl TxtProvider for Rfc2136 {
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        check_within(zone, changes)?;
        let messages = message::updates(zone, changes, self.config.ttl).map_err(rejected)?;
        let mut applied = Applied::default();
        for message in messages {
            let (server, _) = self.send(zone, &[message]).await?;
            applied.requests += 1;
            applied.server = server.to_string();
            // Every other code is an error.
            "NOERROR".clone_into(&mut applied.response);
        }
        Ok(applied)
    }

    async fn values(&self, zone: &DnsName, names: &[DnsName]) -> Result<TxtSets, ProviderError> {
        let mut sets = TxtSets::new();
        for names in names.chunks(QUESTIONS_AT_ONCE) {
            let mut open = message::questions(names).map_err(rejected)?;
            while !open.is_empty() {
                let (server, responses) = self.send(zone, &open).await?;
                // A server may end a connection before it has answered everything (RFC 7766 §6.2.4).
                let answered = |open: &Message| {
                    let id = open.metadata.id;
                    responses.iter().any(|response| response.metadata.id == id)
                };
                open.retain(|open| !answered(open));
                for response in &responses {
                    collect(&mut sets, server, response)?;
                }
            }
        }
        Ok(sets)
    }

    /// The protocol cannot tell whether the secondaries have a change.
    async fn settle(&self, _: &DnsName, _: &Applied) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn serial(&self, zone: &DnsName) -> Result<Option<u32>, ProviderError> {
        let question = message::soa_question(zone).map_err(rejected)?;
        let (_, responses) = self.send(zone, &[question]).await?;
        let answers = responses.iter().flat_map(|response| &response.answers);
        let mut serials = answers.filter_map(|record| match &record.data {
            RData::SOA(soa) => Some(soa.serial),
            _ => None,
        });
        Ok(serials.next())
    }

    fn limits(&self) -> Limits {
        Limits {
            changes_per_request: CHANGES_PER_MESSAGE,
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            kind: crate::KIND,
            key: Some(self.config.key.name().clone()),
            ttl: Some(self.config.ttl),
        }
    }
}

/// Adds the values in an answer to `sets`.
fn collect(sets: &mut TxtSets, server: &Server, response: &Message) -> Result<(), ProviderError> {
    for record in &response.answers {
        let Ok(name) = record.name.to_ascii().parse::<DnsName>() else {
            continue;
        };
        match &record.data {
            RData::TXT(txt) => {
                let text = txt.txt_data.concat();
                let value = std::str::from_utf8(&text).ok().and_then(|t| t.parse().ok());
                // What is no value of a challenge is somebody else's record.
                sets.entry(name).or_default().extend(value);
            }
            _ if record.record_type() == RecordType::CNAME => {
                return Err(ProviderError::new(
                    Failure::Conflict,
                    format!("{server} has a CNAME at {name}, so no TXT record can stand there"),
                    format!("remove the CNAME at {name}, or use the name that it leads to"),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

pub(crate) fn rejected(what: String) -> ProviderError {
    ProviderError::new(
        Failure::Rejected,
        what,
        "correct the zone under `[[alias-zones]]`, or the alias of the certificate",
    )
}
