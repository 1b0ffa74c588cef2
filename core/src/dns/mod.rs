//! Uncached questions to authoritative servers.
//!
//! A delegation has just been put in place, or a value just been written: whatever a resolver
//! remembers about these names is the one thing that must not be believed. So every question
//! about a challenge name goes to a server that is authoritative for it. A resolver is asked for
//! the start of the walk only: which servers a zone above has, and what their addresses are.

mod delegation;
mod message;
mod question;
mod signed;
mod trust_anchors;
mod zones;

use std::net::SocketAddr;
use std::time::Duration;

pub(crate) use self::delegation::Delegation;
pub(crate) use self::message::dns_name;
pub use self::message::{Answer, Caa};
pub(crate) use self::signed::is_of_root;
pub use self::trust_anchors::TrustAnchors;
pub(crate) use self::zones::Cut;
pub use self::zones::Zone;
use crate::name::DnsName;

/// How long one search may take, in answers that are waited for in vain.
const ANSWERS_MAX: u32 = 20;

/// How questions are asked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Resolvers for the start of the walk, in order of preference.
    pub resolvers: Vec<SocketAddr>,
    /// How long to wait for one answer of one server.
    pub timeout: Duration,
    /// Servers to ask for a zone in place of its NS set.
    pub zones: Vec<ZoneServers>,
    /// The keys with which validation begins.
    pub trust_anchors: TrustAnchors,
    /// The port of servers that were found through an NS set; 53 but in tests.
    pub port: u16,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            resolvers: Vec::new(),
            timeout: Duration::from_secs(3),
            zones: Vec::new(),
            trust_anchors: TrustAnchors::default(),
            port: 53,
        }
    }
}

/// A zone, and the servers that are to be asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneServers {
    /// The zone's apex.
    pub zone: DnsName,
    /// Its servers.
    pub servers: Vec<SocketAddr>,
}

/// An authoritative server: its name where an NS record gave one, and its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The name in the NS record.
    pub name: Option<DnsName>,
    /// Where it listens; the addresses are alternatives.
    pub addresses: Vec<SocketAddr>,
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.name, self.addresses.first()) {
            (Some(name), Some(address)) => write!(f, "{name} ({address})"),
            (Some(name), None) => write!(f, "{name} (no address)"),
            (None, Some(address)) => write!(f, "{address}"),
            (None, None) => f.write_str("(no address)"),
        }
    }
}

/// Asks authoritative servers; remembers which zones have which servers, and no other answer.
#[derive(Debug)]
pub struct Dns {
    config: Config,
    known: zones::Known,
    silent: zones::Silent,
}

impl Dns {
    /// A client with this configuration.
    pub fn new(config: Config) -> Self {
        Dns {
            config,
            known: zones::Known::default(),
            silent: zones::Silent::default(),
        }
    }

    /// The keys with which validation begins.
    pub(crate) fn trust_anchors(&self) -> &TrustAnchors {
        &self.config.trust_anchors
    }

    /// How long one answer is waited for.
    pub(crate) fn timeout(&self) -> Duration {
        self.config.timeout
    }

    /// How long one search, which asks one server after the other, may take.
    pub(crate) fn patience(&self) -> Duration {
        self.config.timeout * ANSWERS_MAX
    }

    /// What a search for what is at `name` finds, within [`patience`](Dns::patience).
    async fn in_time<T>(
        &self,
        name: &DnsName,
        search: impl Future<Output = Result<T, DnsError>>,
    ) -> Result<T, DnsError> {
        let limit = self.patience();
        // Searches contain searches: in a box, or the outermost is as large as all of them.
        let found = tokio::time::timeout(limit, Box::pin(search)).await;
        found.unwrap_or_else(|_| Err(DnsError::too_slow(name, limit)))
    }
}

/// A question that no server answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// There is no resolver to start from.
    #[error(
        "no resolver is known: set `dns.resolver`, or name the servers of the zone of {name} in `dns.zones`"
    )]
    NoResolver {
        /// The name asked for.
        name: DnsName,
    },
    /// No resolver gave a usable answer.
    #[error("no resolver answered the question for {kind} records of {name}: {attempts}")]
    Resolver {
        /// The name asked for.
        name: DnsName,
        /// The type asked for.
        kind: &'static str,
        /// What each resolver did, in words.
        attempts: String,
    },
    /// No ancestor of the name is a zone that the resolver knows.
    #[error("no zone above {name} has name servers: is the domain registered and delegated?")]
    NoZone {
        /// The name asked for.
        name: DnsName,
    },
    /// No server of the zone gave an authoritative answer.
    #[error("no server of the zone {zone} gave an authoritative answer about {name}: {attempts}")]
    Unanswered {
        /// The name asked for.
        name: DnsName,
        /// The zone whose servers were asked.
        zone: DnsName,
        /// What each server did, in words.
        attempts: String,
    },
    /// The servers took too long, one question after the other.
    #[error(
        "what is at {name} was not to be found out within {limit:?}: its servers are slow or silent"
    )]
    TooSlow {
        /// The name asked for.
        name: DnsName,
        /// How long was waited.
        limit: Duration,
    },
    /// Delegations that lead from zone to zone without an end.
    #[error("the delegations above {name} lead through more than {limit} zones")]
    TooDeep {
        /// The name asked for.
        name: DnsName,
        /// The number of zones followed.
        limit: usize,
    },
}

impl DnsError {
    /// Nothing was found out about `name` within `limit`.
    pub(crate) fn too_slow(name: &DnsName, limit: Duration) -> Self {
        DnsError::TooSlow {
            name: name.clone(),
            limit,
        }
    }
}
