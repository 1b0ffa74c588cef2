//! A provider whose backend cannot be read: the authoritative servers of the zone are asked instead.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use hickory_proto::rr::RecordType;

use crate::dns::{Dns, Server};
use crate::name::DnsName;
use crate::provider::{
    Applied, BackendZone, Failure, Identity, Limits, ProviderError, Reading, TxtProvider,
};
use crate::txt::{TxtChange, TxtSets};

/// Names that one server is asked about at the same time.
const NAMES_AT_ONCE: usize = 16;

/// The provider, with values that are read at the servers.
#[derive(Debug)]
pub(super) struct AtServers {
    provider: Arc<dyn TxtProvider>,
    dns: Arc<Dns>,
}

/// What one server has, and the first name about which it did not answer.
type Found = (TxtSets, Option<String>);

impl AtServers {
    pub(super) fn new(provider: Arc<dyn TxtProvider>, dns: Arc<Dns>) -> Self {
        AtServers { provider, dns }
    }

    /// What a server has at each of the names.
    async fn at(&self, server: &Server, names: &[DnsName]) -> Found {
        let mut asked = Vec::with_capacity(names.len());
        for name in names {
            asked.push(async move {
                let answer = self.dns.ask_server(server, name, RecordType::TXT).await;
                (name, answer)
            });
        }
        let answers: Vec<_> = stream::iter(asked)
            .buffer_unordered(NAMES_AT_ONCE)
            .collect()
            .await;
        let (mut sets, mut problem) = (TxtSets::new(), None);
        for (name, answer) in answers {
            match answer {
                Ok(answer) if answer.is_authoritative() && !answer.is_error() => {
                    let set = answer.txt_set();
                    if !set.is_empty() {
                        sets.insert(name.clone(), set);
                    }
                }
                Ok(answer) => problem = Some(answer.to_string()),
                Err(error) => problem = Some(error.to_string()),
            }
        }
        (sets, problem.map(|problem| format!("{server}: {problem}")))
    }
}

#[async_trait]
impl TxtProvider for AtServers {
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        self.provider.apply(zone, changes).await
    }

    /// What any of the servers has that answer for all names. At least one of them must.
    async fn values(&self, zone: &DnsName, names: &[DnsName]) -> Result<TxtSets, ProviderError> {
        let mut all = self.provider.values(zone, names).await?;
        let unreadable = |problem: String| {
            ProviderError::new(
                Failure::Unavailable,
                format!(
                    "the TXT records in {zone} could not be read at its name servers: {problem}"
                ),
                "check that the name servers of the zone can be queried from here",
            )
        };
        let servers = self.dns.servers(zone).await;
        let servers = servers.map_err(|error| unreadable(error.to_string()))?;
        let mut asked = Vec::with_capacity(servers.len());
        for server in &servers {
            asked.push(self.at(server, names));
        }
        let found = join_all(asked).await;
        let is_readable = found.iter().any(|(_, problem)| problem.is_none());
        let mut problems = Vec::new();
        for (sets, problem) in found {
            problems.extend(problem);
            for (name, set) in sets {
                let known = all.entry(name).or_default();
                known.ttl = known.ttl.max(set.ttl);
                known.values.extend(set.values);
            }
        }
        if is_readable {
            return Ok(all);
        }
        Err(unreadable(crate::printable::few(&problems, "; ")))
    }

    async fn settle(&self, zone: &DnsName, applied: &Applied) -> Result<(), ProviderError> {
        self.provider.settle(zone, applied).await
    }

    async fn serial(&self, zone: &DnsName) -> Result<Option<u32>, ProviderError> {
        self.provider.serial(zone).await
    }

    async fn name_servers(&self, zone: &DnsName) -> Result<Option<Vec<DnsName>>, ProviderError> {
        self.provider.name_servers(zone).await
    }

    async fn choose(&self, zone: &DnsName, chosen: &BackendZone) {
        self.provider.choose(zone, chosen).await;
    }

    fn reading(&self) -> Reading {
        Reading::AtServers
    }

    fn limits(&self) -> Limits {
        self.provider.limits()
    }

    fn identity(&self) -> Identity {
        self.provider.identity()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;
    use crate::dns::stub::{ALIAS_NAME, StubServer, TTL, ZONE, name};
    use crate::dns::{Config, ZoneServers};
    use crate::testkit::memory_provider::MemoryProvider;

    async fn read(servers: &[SocketAddr]) -> Result<TxtSets, ProviderError> {
        let dns = Dns::new(Config {
            zones: vec![ZoneServers {
                zone: name(ZONE),
                servers: servers.to_vec(),
            }],
            timeout: Duration::from_millis(300),
            allow_special_addresses: true,
            ..Config::default()
        });
        let provider = Arc::new(MemoryProvider::new([name(ZONE)]));
        let provider = AtServers::new(provider, Arc::new(dns));
        let names = [name(ALIAS_NAME), name("nothing.example.com")];
        provider.values(&name(ZONE), &names).await
    }

    #[tokio::test]
    async fn one_server_that_answers_is_enough() {
        let stub = StubServer::start();
        let silent = StubServer::silent_beside(&stub);
        let sets = read(&[silent.address, stub.address]).await.unwrap();
        assert_eq!(sets.len(), 1, "{sets:?}");
        let set = &sets[&name(ALIAS_NAME)];
        assert_eq!((set.values.len(), set.ttl), (1, Some(TTL)));
    }

    #[tokio::test]
    async fn values_are_not_known_to_be_gone_if_no_server_answers() {
        let stub = StubServer::start();
        stub.fail(Some(RecordType::TXT));
        let silent = StubServer::silent_beside(&stub);
        let error = read(&[silent.address, stub.address]).await.unwrap_err();
        assert_eq!(error.failure, Failure::Unavailable);
        assert!(error.what.contains("SERVFAIL"), "{error}");
    }
}
