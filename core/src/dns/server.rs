//! Authoritative servers and the zones that they serve.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::special::SpecialAddress;
use crate::name::DnsName;

/// An authoritative server: its name, if an NS record gave one, and its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// The name in the NS record.
    pub name: Option<DnsName>,
    /// Where it listens. The addresses are alternatives.
    pub addresses: Vec<SocketAddr>,
    /// Its first address to which no query is sent, and why.
    pub refused: Option<(IpAddr, SpecialAddress)>,
}

impl Server {
    /// A server that is known by its address alone.
    pub(super) fn at(address: SocketAddr) -> Self {
        Server {
            name: None,
            addresses: vec![address],
            refused: None,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.addresses.first()) {
            (Some(name), Some(address)) => write!(f, "{name} ({address})"),
            (Some(name), None) => write!(f, "{name} (no address)"),
            (None, Some(address)) => write!(f, "{address}"),
            (None, None) => f.write_str("(no address)"),
        }
    }
}

/// A zone and the servers to query about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Zone {
    /// The zone's apex.
    pub(super) apex: DnsName,
    /// Its authoritative servers.
    pub(super) servers: Vec<Server>,
}

/// Where the zone of a name begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ZoneCut {
    /// The apex of the zone.
    pub(crate) apex: DnsName,
    /// A server that denied a name below the apex without an SOA record, which RFC 2308 §2 requires.
    pub(crate) without_soa: Option<SocketAddr>,
}
