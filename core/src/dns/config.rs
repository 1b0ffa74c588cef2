//! How queries are sent, and to whom.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::trust_anchors::TrustAnchors;
use crate::clock::{Clock, SystemClock};
use crate::name::DnsName;

/// A name with a CNAME through three zones with four servers each needs about 60 queries if nothing is cached.
const QUERIES_PER_NAME: u32 = 120;

/// Settings of a [`Dns`](super::Dns).
#[derive(Clone, Debug)]
pub struct Config {
    /// Resolvers that find the servers of a zone, in order of preference.
    pub resolvers: Vec<SocketAddr>,
    /// The time limit for one answer of one server.
    pub timeout: Duration,
    /// Queries that the check of one challenge name may send, so that no zone makes it flood others.
    pub queries_per_name: u32,
    /// Whether zones may name servers at addresses of this machine, of this network link and the like.
    pub allow_special_addresses: bool,
    /// Whether zones may name servers in private networks (RFC 1918, RFC 6598, RFC 4193).
    pub allow_private_addresses: bool,
    /// Servers to query for a zone instead of its NS set.
    pub zones: Vec<ZoneServers>,
    /// Who must have the values of a challenge before the CA is asked to validate it.
    pub propagation: Propagation,
    /// The keys with which DNSSEC validation begins.
    pub trust_anchors: TrustAnchors,
    /// The port of servers that were found through an NS set: 53, except in tests.
    pub port: u16,
    /// Tells whether a signature is expired. Time to live and time limits use tokio's monotonic time.
    pub clock: Arc<dyn Clock>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            resolvers: Vec::new(),
            timeout: Duration::from_secs(3),
            queries_per_name: QUERIES_PER_NAME,
            allow_special_addresses: false,
            allow_private_addresses: true,
            zones: Vec::new(),
            propagation: Propagation::default(),
            trust_anchors: TrustAnchors::default(),
            port: 53,
            clock: Arc::new(SystemClock),
        }
    }
}

/// Who must have the values of a challenge before the CA is asked to validate it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Propagation {
    /// Which servers of the zone count.
    pub wait_for: WaitFor,
    /// How long is waited in addition, after all of them have the values.
    pub extra_wait: Duration,
    /// Resolvers to ask in place of the zone's servers, for a network that blocks or intercepts port 53. They
    /// may cache older records.
    pub resolvers: Vec<SocketAddr>,
}

/// Which servers of a zone must have all values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitFor {
    /// Those that answer. The CA's resolver asks another server in place of one that does not.
    #[default]
    Answering,
    /// All of them.
    All,
}

/// A zone and the servers to query for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneServers {
    /// The zone's apex.
    pub zone: DnsName,
    /// Its servers.
    pub servers: Vec<SocketAddr>,
}
