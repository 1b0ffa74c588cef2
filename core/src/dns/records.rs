//! The records of an answer that this program reads.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use crate::name::DnsName;
use crate::txt::quoting::quoted_octets;

/// Addresses that come with the name of one server and are used.
pub(super) const GLUE_MAX: usize = 8;
/// Servers of one zone that are used. The root and the large registries have 13, and few zones have more than 8.
const SERVERS_MAX: usize = 16;

/// A CNAME record. Its target may be a name that this program cannot use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cname {
    /// The target, or its text if it is not usable.
    pub(crate) target: Result<DnsName, String>,
    /// Time to live, in seconds.
    pub(crate) ttl: u32,
}

/// An SOA record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Soa {
    pub(crate) serial: u32,
    /// Time to live, in seconds.
    pub(crate) ttl: u32,
    /// For how many seconds resolvers cache that a name does not exist (RFC 2308 §5).
    pub(crate) negative_ttl: u32,
}

/// A CAA record (RFC 8659 §4.1). `Display` prints its type and content as in a zone file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Caa {
    /// The flags; the highest bit makes the property critical.
    pub flags: u8,
    /// The property: `issue`, `issuewild` or another one.
    pub tag: String,
    /// The value of the property.
    #[serde(serialize_with = "as_text")]
    pub value: Vec<u8>,
}

fn as_text<S: Serializer>(octets: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(octets))
}

impl fmt::Display for Caa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = quoted_octets(&self.value);
        write!(f, "CAA {} {} {value}", self.flags, self.tag)
    }
}

/// NS records that delegate a zone, with the addresses that came with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Referral {
    pub(crate) zone: DnsName,
    pub(crate) servers: Vec<(DnsName, Vec<IpAddr>)>,
    /// Time to live of the NS records, in seconds.
    pub(crate) ttl: u32,
}

/// Keeps as many servers as are used. Those with glue come first.
pub(super) fn keep_few(names: &mut Vec<(DnsName, Vec<IpAddr>)>) {
    names.sort_by_key(|(_, glue)| glue.is_empty());
    names.truncate(SERVERS_MAX);
    names.shrink_to_fit();
}
