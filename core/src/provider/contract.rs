//! What a backend does, and what it promises.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use super::error::ProviderError;
use crate::name::DnsName;
use crate::txt::{TxtChange, TxtSets};

/// Writes TXT records in the zones of one backend, with one set of credentials.
///
/// The rules, which the core relies upon:
///
/// - *By value, never by name.* Whatever else lives at a name survives every call.
/// - *Idempotent.* Adding a value that is there and removing one that is not are successes.
/// - *Batch first.* One call carries everything that waits for a zone; the backend sends it in
///   as few requests as it can. Where it cannot do so atomically, an error means that any part
///   may have been carried out, and the caller removes what it asked for, by value.
/// - *Concurrent.* The core sends one `apply` per zone at a time, but other processes and other
///   hosts write to the same zone: nothing may be lost to a read followed by a write.
/// - *Names are absolute* and lie within `zone`; a name outside it is [`Failure::Rejected`].
/// - *Bounded.* Every call ends in finite time, by timeouts of the provider's own.
/// - *Silent.* No secret appears in `Debug`, in an error or in a log.
///
/// `acme_alias_core::testkit::provider` (feature `testkit`) holds a provider to them.
#[async_trait]
pub trait TxtProvider: fmt::Debug + Send + Sync {
    /// Adds and removes exactly these values, in as few requests as the backend allows.
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError>;

    /// The values that the backend itself holds at each of `names`, in as few requests as it
    /// allows. A name without values may be left out.
    ///
    /// Asked of the place where the write went, not of the public servers, and trusted only as
    /// far as the backend authenticates its answers.
    async fn values(&self, zone: &DnsName, names: &[DnsName]) -> Result<TxtSets, ProviderError>;

    /// Waits until the backend says that `applied` is on all its servers; returns at once where
    /// the backend cannot tell. The core asks the authoritative servers afterwards anyway.
    async fn settle(&self, zone: &DnsName, applied: &Applied) -> Result<(), ProviderError>;

    /// The serial of the zone's SOA record at the place where writes go (RFC 1035 §3.3.13), where
    /// the backend has one that moves with every change. The ledger keeps it, so that changes by
    /// others show.
    async fn serial(&self, _zone: &DnsName) -> Result<Option<u32>, ProviderError> {
        Ok(None)
    }

    /// What the backend takes in one request.
    fn limits(&self) -> Limits;

    /// As whom it writes; for the ledger.
    fn identity(&self) -> Identity;
}

/// What a successful [`TxtProvider::apply`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Requests that carried changes to the backend.
    pub requests: usize,
    /// The server or endpoint that took them.
    pub server: String,
    /// What it answered, in its own terms: a response code, an HTTP status, ids of changes. Empty
    /// where nothing had to be changed.
    pub response: String,
    /// Identifiers of changes that [`TxtProvider::settle`] can wait for; empty where it cannot.
    pub pending: Vec<String>,
}

/// What a backend takes in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Changes in one request, at the least: however long names and values are.
    pub changes_per_request: usize,
}

/// As whom a provider writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The kind of the provider.
    pub kind: &'static str,
    /// The name of its key, profile or role, where it has one; never a secret.
    pub key: Option<String>,
    /// The time to live of new records, in seconds.
    pub ttl: Option<u32>,
}

/// What a kind of backend promises. The reader of `acme-alias providers` chooses by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Guarantees {
    /// Whether one request is carried out wholly or not at all.
    pub atomic: bool,
    /// How a value is changed that has others beside it.
    pub values: ValueChanges,
    /// Whether [`TxtProvider::settle`] can tell that all servers have a change.
    pub tells_propagation: bool,
    /// How little a key can be allowed to do, in words.
    pub narrowest_key: &'static str,
}

/// How a value is changed that has others beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueChanges {
    /// The backend adds and removes single values.
    PerValue,
    /// The backend replaces whole sets; a set that has changed meanwhile is refused, and read again.
    CompareAndSwap,
}
