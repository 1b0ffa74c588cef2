//! Cached queries to resolvers. They find the servers of a zone and the addresses of servers; no resolver is
//! asked about a challenge name or an alias name, because it caches the answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};
use tokio::time::{Instant, sleep};

use super::answer::{Answer, code_name, has_result, wire_name};
use super::budget::uncharged;
use super::cache::Timed;
use super::client::{AnswerKey, Dns};
use super::error::DnsError;
use super::lifetime;
use super::query::Question;
use super::race::{race, while_running};
use super::special::SpecialAddress;
use crate::name::DnsName;

/// Addresses of one family that are used of one server.
const ADDRESSES_MAX: usize = 4;

/// The addresses of a server.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    pub(super) usable: Vec<SocketAddr>,
    /// The first one to which no query is sent, and why.
    pub(super) refused: Option<(IpAddr, SpecialAddress)>,
}

/// The records that a resolver is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResolverKind {
    /// The servers of a zone.
    Ns,
    /// The IPv4 addresses of a server.
    A,
    /// The IPv6 addresses of a server.
    Aaaa,
}

impl From<ResolverKind> for RecordType {
    fn from(kind: ResolverKind) -> Self {
        match kind {
            ResolverKind::Ns => RecordType::NS,
            ResolverKind::A => RecordType::A,
            ResolverKind::Aaaa => RecordType::AAAA,
        }
    }
}

impl Dns {
    /// The answer of a resolver, or the cached one.
    pub(super) async fn resolve(
        &self,
        name: &DnsName,
        kind: ResolverKind,
    ) -> Result<Timed<Answer>, DnsError> {
        let key = AnswerKey {
            name: name.clone(),
            kind: kind.into(),
            of_resolver: true,
            signed: false,
        };
        let kind = key.kind;
        let fetch = async {
            if self.config.resolvers.is_empty() {
                return Err(DnsError::NoResolver { name: name.clone() });
            }
            let failed = |attempts: Vec<String>| DnsError::Resolver {
                name: name.clone(),
                kind: kind.into(),
                attempts: attempts.join("; "),
            };
            let owner = wire_name(name).map_err(|error| failed(vec![error]))?;
            let asked = self.ask_resolvers(&owner, kind, false).await;
            let (resolver, message) = asked.map_err(failed)?;
            Ok(Timed {
                expires: lifetime::expiry(&message),
                value: Answer::new(resolver, name.clone(), kind, message),
            })
        };
        // In a box, so that the futures of those who ask are small.
        self.answers.get_or_fetch(&key, Box::pin(fetch)).await
    }

    /// The addresses of a server. It is an error if not all of them could be looked up and none is known.
    pub(super) async fn addresses(&self, server: &DnsName) -> Result<Timed<Addresses>, DnsError> {
        let (v4, v6) = join(
            self.first_addresses(server, ResolverKind::A),
            self.first_addresses(server, ResolverKind::Aaaa),
        )
        .await;
        let all = |found: &[Timed<Vec<IpAddr>>]| {
            let addresses = found.iter().flat_map(|found| &found.value);
            self.usable(addresses.copied())
        };
        match (v4, v6) {
            (Ok(v4), Ok(v6)) => Ok(Timed {
                expires: v4.expires.min(v6.expires),
                value: all(&[v4, v6]),
            }),
            (Ok(known), Err(error)) | (Err(error), Ok(known)) => {
                let addresses = all(&[known]);
                if addresses.usable.is_empty() {
                    return Err(error);
                }
                // The others are looked up again next time.
                Ok(Timed {
                    expires: Instant::now(),
                    value: addresses,
                })
            }
            (Err(error), Err(_)) => Err(error),
        }
    }

    /// The addresses of this kind that are used. The rest of the answer is not kept: it may be large, and the one about the
    /// other kind late.
    async fn first_addresses(
        &self,
        server: &DnsName,
        kind: ResolverKind,
    ) -> Result<Timed<Vec<IpAddr>>, DnsError> {
        let found = self.resolve(server, kind).await?;
        Ok(found.map(|answer| {
            let addresses = answer.addresses().into_iter();
            addresses.take(ADDRESSES_MAX).collect()
        }))
    }

    /// The addresses of a server that may be queried. All come from zone data.
    pub(super) fn usable(&self, addresses: impl IntoIterator<Item = IpAddr>) -> Addresses {
        let mut found = Addresses::default();
        for ip in addresses {
            let address = self.at_port(ip);
            match self.refusal(address) {
                Some(kind) => {
                    found.refused.get_or_insert((ip, kind));
                }
                None if found.usable.contains(&address) => {}
                None => found.usable.push(address),
            }
        }
        found
    }

    /// Why no query is sent to this address. Servers that the configuration names may be anywhere.
    fn refusal(&self, address: SocketAddr) -> Option<SpecialAddress> {
        let kind = SpecialAddress::of(address.ip())?;
        let is_allowed = match kind {
            SpecialAddress::Special(_) => self.config.allow_special_addresses,
            SpecialAddress::Private => self.config.allow_private_addresses,
        };
        let mut configured = self.config.zones.iter();
        let is_configured = configured.any(|zone| zone.servers.contains(&address));
        (!is_allowed && !is_configured).then_some(kind)
    }

    /// The socket of a server at this address.
    pub(super) fn at_port(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, self.config.port)
    }

    /// The first usable answer of a resolver, or what each resolver did instead.
    pub(super) async fn ask_resolvers(
        &self,
        name: &Name,
        kind: RecordType,
        signed: bool,
    ) -> Result<(SocketAddr, Arc<Message>), Vec<String>> {
        let question = Question {
            name,
            kind,
            recursive: true,
            signed,
        };
        let resolvers = self.config.resolvers.iter();
        let mut resolvers = self.unresponsive.last(resolvers, |address| Some(*address));
        resolvers.sort_by_key(|resolver| self.liveness.is_dead(**resolver));
        let attempts = resolvers.into_iter().map(|resolver| async move {
            // In a box that is made when the attempt begins.
            let asked = Box::pin(self.ask_resolver(*resolver, question));
            match asked.await {
                Ok(message) if has_result(&message) => Ok((*resolver, message)),
                Ok(message) => {
                    let code = code_name(message.metadata.response_code);
                    Err(format!("{resolver} answered {code}"))
                }
                Err(error) => Err(format!("{resolver}: {error}")),
            }
        });
        race(attempts.collect(), self.head_start(), usize::MAX).await
    }

    /// Asks one resolver, and notes whether it is dead. A dead one has little time, unless no other one is of help.
    async fn ask_resolver(
        &self,
        resolver: SocketAddr,
        question: Question<'_>,
    ) -> Result<Arc<Message>, String> {
        let mut others = self.config.resolvers.iter();
        let has_help = others.any(|other| self.liveness.searches(*other));
        let limit = if has_help && self.liveness.is_dead(resolver) {
            // If it answers again, then at once.
            self.head_start()
        } else {
            self.config.timeout
        };
        let begun = Instant::now();
        let asked = self.ask_address(resolver, question, self.head_start(), begun + limit);
        let answer = while_running(asked, self.probe(resolver, begun, limit)).await;
        match &answer {
            Ok(message) => self.liveness.heard(resolver, message),
            Err(_) => self.liveness.not_heard(resolver, begun),
        }
        answer
    }

    /// Asks a resolver that has not answered for long about the root: no owner of a zone can delay that answer.
    async fn probe(&self, resolver: SocketAddr, begun: Instant, limit: Duration) {
        if self.config.resolvers.len() == 1 {
            return;
        }
        sleep(limit / 2).await;
        if self.liveness.is_heard(resolver, begun) {
            return;
        }
        let question = Question {
            name: &Name::root(),
            kind: RecordType::NS,
            recursive: true,
            signed: false,
        };
        let asked = self.ask_address(resolver, question, self.head_start(), begun + limit);
        if let Ok(message) = uncharged(asked).await {
            self.liveness.heard(resolver, &message);
        }
    }
}

#[cfg(test)]
mod tests;
