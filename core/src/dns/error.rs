//! Queries that no server answered.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::answer::FROM_RESOLVER;
use super::special::SpecialAddress;
use crate::name::DnsName;

/// How the response code is shown (RFC 1035 §4.1.1).
const SERVFAIL: &str = "SERVFAIL";

/// A query that no server answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// There is no resolver that could find the servers of a zone.
    #[error("no resolver is configured, and no servers are configured for the zone of {name}")]
    NoResolver {
        /// The name queried.
        name: DnsName,
    },
    /// No resolver gave a usable answer.
    #[error("no resolver answered the query for {kind} records of {name}: {attempts}")]
    Resolver {
        /// The name queried.
        name: DnsName,
        /// The type queried.
        kind: &'static str,
        /// What each resolver did, in words.
        attempts: String,
    },
    /// No ancestor of the name is a zone that the resolver knows.
    #[error("no zone with name servers was found above {name}: the domain may not exist")]
    NoZone {
        /// The name queried.
        name: DnsName,
    },
    /// No server of the zone gave an authoritative answer.
    #[error("no server of the zone {zone} gave an authoritative answer about {name}: {attempts}")]
    Unanswered {
        /// The name queried.
        name: DnsName,
        /// The zone whose servers were queried.
        zone: DnsName,
        /// What each server did, in words.
        attempts: String,
    },
    /// The servers took too long, one query after the other.
    #[error("timed out after {limit:?} querying {name}: its servers are slow or do not answer")]
    TooSlow {
        /// The name queried.
        name: DnsName,
        /// The time limit.
        limit: Duration,
    },
    /// The zones on the way need more queries than one name may cost.
    #[error(
        "stopped after {limit} queries for {name}: too many zones, servers or CNAMEs are on its way"
    )]
    TooManyQueries {
        /// The name queried.
        name: DnsName,
        /// The number of queries.
        limit: u32,
    },
    /// Delegations lead from zone to zone without an end.
    #[error("the delegations above {name} lead through more than {limit} zones")]
    TooDeep {
        /// The name queried.
        name: DnsName,
        /// The number of zones followed.
        limit: usize,
    },
}

impl DnsError {
    /// Whether a resolver answered in place of the zone's servers: the network probably intercepts port 53.
    pub fn is_intercepted(&self) -> bool {
        matches!(self, DnsError::Unanswered { attempts, .. } if attempts.contains(FROM_RESOLVER))
    }

    /// Whether a server answered SERVFAIL: it probably has not loaded the zone.
    pub fn has_servfail(&self) -> bool {
        matches!(
            self,
            DnsError::Unanswered { attempts, .. } | DnsError::Resolver { attempts, .. }
                if attempts.contains(SERVFAIL)
        )
    }

    /// Whether a limit of time or of queries was reached.
    pub(crate) fn is_limit(&self) -> bool {
        matches!(
            self,
            DnsError::TooSlow { .. } | DnsError::TooManyQueries { .. }
        )
    }

    /// The query for `name` did not end within `limit`.
    pub(crate) fn too_slow(name: &DnsName, limit: Duration) -> Self {
        DnsError::TooSlow {
            name: name.clone(),
            limit,
        }
    }
}

/// Why one server gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Its name has no address.
    #[error("it has no address")]
    NoAddress,
    /// No query is sent to its addresses.
    #[error("no query is sent to its address {address}, which is {kind}")]
    RefusedAddress {
        /// The first of its addresses.
        address: IpAddr,
        /// What is special about it.
        kind: SpecialAddress,
    },
    /// Its addresses could not be looked up.
    #[error("its addresses could not be looked up: {0}")]
    Lookup(#[source] Box<DnsError>),
    /// The name cannot be written into a query; with the reason.
    #[error("{0}")]
    UnusableName(String),
    /// None of its addresses answered; each with the reason.
    #[error("{}", list(.0))]
    NoAnswer(Vec<(SocketAddr, String)>),
}

fn list(attempts: &[(SocketAddr, String)]) -> String {
    let attempts = attempts
        .iter()
        .map(|(address, reason)| format!("{address}: {reason}"));
    attempts.collect::<Vec<_>>().join("; ")
}
