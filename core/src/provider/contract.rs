//! The contract: what a backend does, and what it guarantees.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use super::backend_zone::BackendZone;
use super::error::ProviderError;
use crate::name::DnsName;
use crate::txt::{TxtChange, TxtSets};

/// Writes TXT records in the zones of one backend, with one set of credentials.
///
/// The core relies on these rules:
///
/// - *By value, never by name.* Other values at a name survive every call.
/// - *Idempotent.* Adding a value that exists and removing one that does not are successes.
/// - *Batch first.* One call has all changes that wait for a zone. The provider sends them in as few
///   requests as possible. If several are needed, an error means that any part may have been carried
///   out, and the caller removes its values, by value.
/// - *Concurrent.* The core makes one `apply` call per zone at a time, but other processes and hosts
///   write to the same zone. Nothing may be lost between a read and a write.
/// - *Absolute names.* Names are absolute and in `zone`. One outside it is [`Failure::Rejected`]; see
///   [`check_within`](super::check_within).
/// - *Bounded.* Every call ends in finite time, by the provider's own timeouts.
/// - *Silent.* `Debug`, errors and logs contain no secret.
///
/// `acme_alias_core::testkit::provider` (feature `testkit`) is a suite that checks them.
///
/// [`Failure::Rejected`]: super::Failure::Rejected
#[async_trait]
pub trait TxtProvider: fmt::Debug + Send + Sync {
    /// Adds and removes exactly these values. The last change of a value counts.
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError>;

    /// The values that the backend has at each of `names`. A name without values may be missing.
    ///
    /// It asks the same server as [`apply`](Self::apply), not the public ones, and returns only what
    /// that server authenticates. A backend that cannot be read ([`Reading::AtServers`]) returns nothing, and fails
    /// if it knows already that no change can be made.
    async fn values(&self, zone: &DnsName, names: &[DnsName]) -> Result<TxtSets, ProviderError>;

    /// Waits until the backend reports that `applied` is on all its servers. Returns at once if the
    /// backend does not report that. The core queries the authoritative servers in any case.
    async fn settle(&self, zone: &DnsName, applied: &Applied) -> Result<(), ProviderError>;

    /// The serial of the zone's SOA record (RFC 1035 §3.3.13) at the server that takes changes; `None`
    /// if it does not increase with every change. The ledger keeps it, to find changes by others.
    ///
    /// The core calls this and then [`apply`](Self::apply) without waiting in between. A serial that is
    /// returned before that call has ended must be the one before its changes.
    async fn serial(&self, _zone: &DnsName) -> Result<Option<u32>, ProviderError> {
        Ok(None)
    }

    /// The names of the servers that serve the zone at the backend; `None` if the backend does not report them. The
    /// core compares them with the delegation of the zone before it asks the CA for anything.
    ///
    /// The core calls this while it calls [`values`](Self::values), and again until the names agree.
    async fn name_servers(&self, _zone: &DnsName) -> Result<Option<Vec<DnsName>>, ProviderError> {
        Ok(None)
    }

    /// Changes this zone from now on, of several that have the name `zone`: one of those that an error of
    /// [`values`](Self::values) had ([`ProviderError::zones`]).
    async fn choose(&self, _zone: &DnsName, _chosen: &BackendZone) {}

    /// Where the values of a zone are read.
    fn reading(&self) -> Reading {
        Reading::AtBackend
    }

    /// What the backend accepts in one request.
    fn limits(&self) -> Limits;

    /// The account that it writes with; for the ledger.
    fn identity(&self) -> Identity;
}

/// What a successful [`TxtProvider::apply`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Requests with changes that were sent to the backend.
    pub requests: usize,
    /// The server or endpoint that accepted them.
    pub server: String,
    /// Its answer: a response code, an HTTP status, ids of changes. Empty if nothing had to change.
    pub response: String,
    /// The ids of the changes that [`TxtProvider::settle`] waits for; empty if it cannot wait.
    pub pending: Vec<String>,
    /// Whether the changes are one version of the zone: a server that has one of them has all, because zone
    /// transfers are atomic (RFC 5936 §6, RFC 1995 §2).
    pub one_version: bool,
}

/// What a backend accepts in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The number of changes that always fit into one request, however long names and values are.
    pub changes_per_request: usize,
    /// The number of values that a name may have. A backend may accept fewer: see [`Failure::TooMany`].
    ///
    /// [`Failure::TooMany`]: super::Failure::TooMany
    pub values_per_name: usize,
}

/// The account that a provider writes with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The kind of the provider, as in [`ProviderKind`](crate::registry::ProviderKind).
    pub kind: &'static str,
    /// The name of its key, profile or role, if it has one. Never a secret.
    pub key: Option<String>,
    /// The time to live of new records, in seconds.
    pub ttl: Option<u32>,
    /// The servers or the API that it sends requests to.
    pub endpoint: String,
}

/// What a kind of backend guarantees. It helps people choose a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Guarantees {
    /// Whether one request is carried out entirely or not at all.
    pub atomic: bool,
    /// How one of several values at a name is changed.
    pub values: ValueChanges,
    /// Where a change is read back.
    pub reading: Reading,
    /// Whether [`TxtProvider::settle`] waits until all servers have a change.
    pub tells_propagation: bool,
    /// The narrowest permissions that a key can have, in words.
    pub narrowest_key: &'static str,
}

/// How one of several values at a name is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueChanges {
    /// The backend adds and removes single values.
    PerValue,
    /// The backend replaces whole sets. It refuses to replace a set that has changed since it was read.
    CompareAndSwap,
    /// The backend replaces whole sets, without a condition. Sets are read again afterwards, and a change that
    /// another writer has undone is made again. What others write between reading and replacing may be lost.
    ReadBack,
    /// It depends on a program of somebody else, which may also change other values at the name.
    UpToProgram,
}

/// Where the values of a zone are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// At the backend, by [`TxtProvider::values`].
    AtBackend,
    /// At the authoritative servers of the zone, because the backend cannot be read. They may have a change later than
    /// the backend.
    AtServers,
}

/// What a kind guarantees with a certain setting of one of its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Variant {
    /// The option.
    pub option: &'static str,
    /// Its value.
    pub value: &'static str,
    /// What the kind guarantees then.
    pub guarantees: Guarantees,
}
