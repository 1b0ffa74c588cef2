//! How queries are sent, and to whom.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::trust_anchors::TrustAnchors;
use crate::clock::{Clock, SystemClock};
use crate::name::DnsName;

/// Settings of a [`Dns`](super::Dns).
#[derive(Clone, Debug)]
pub struct Config {
    /// Resolvers that find the servers of a zone, in order of preference.
    pub resolvers: Vec<SocketAddr>,
    /// The time limit for one answer of one server.
    pub timeout: Duration,
    /// Servers to query for a zone instead of its NS set.
    pub zones: Vec<ZoneServers>,
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
            zones: Vec::new(),
            trust_anchors: TrustAnchors::default(),
            port: 53,
            clock: Arc::new(SystemClock),
        }
    }
}

/// A zone and the servers to query for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneServers {
    /// The zone's apex.
    pub zone: DnsName,
    /// Its servers.
    pub servers: Vec<SocketAddr>,
}
