//! The contract between the alias challenge flow and the backends that write TXT records.
//!
//! A backend lives in a crate of its own. It implements [`TxtProvider`], declares its options
//! and registers itself with [`inventory::submit!`] as a [`ProviderKind`]; nothing else in the
//! workspace names it, save the feature that links it into the program.

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "conformance")]
pub mod memory;
mod options;
mod probes;
pub mod quoting;
mod registry;
mod rights;
mod shared;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::options::{OptionError, OptionKind, OptionSpec, OptionValue, Options};
pub use self::probes::{Probe, ProbeKind};
pub use self::registry::{ProviderKind, RegistryError, find, kinds};
pub use self::rights::{
    Audit, Grade, Grant, MainZone, NewKey, Policy, Right, Scope, Subject, Verdict, Weight,
};
pub use self::shared::Shared;
use crate::name::DnsName;

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
/// `acme_alias_core::provider::conformance` (feature `conformance`) holds a provider to them.
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

    /// The grant in the words of each server that the backend may be; empty where there are none.
    fn policies(&self, _grant: &Grant) -> Vec<Policy> {
        Vec::new()
    }

    /// What its credentials can really do, found out without changing anything; empty where that
    /// cannot be.
    async fn audit(&self, _subject: &Subject) -> Result<Audit, ProviderError> {
        Ok(Audit::default())
    }
}

/// One value to be added to, or removed from, the TXT records at a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TxtChange {
    /// Where the record is: the alias name.
    pub name: DnsName,
    /// The record's whole content.
    pub value: TxtValue,
    /// What is to happen.
    pub action: Action,
}

impl TxtChange {
    /// Refuses names outside `zone`, which no backend must get to see: some take them for relative.
    pub fn all_within(zone: &DnsName, changes: &[TxtChange]) -> Result<(), ProviderError> {
        match changes.iter().find(|change| !change.name.is_within(zone)) {
            None => Ok(()),
            Some(outside) => Err(ProviderError::new(
                Failure::Rejected,
                format!("{} does not lie in the zone {zone}", outside.name),
                "correct the zone under `[[alias-zones]]`, or the alias of the certificate",
            )),
        }
    }
}

/// What is to happen to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The value is there afterwards.
    Add,
    /// The value is not there afterwards.
    Remove,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Action::Add => "add",
            Action::Remove => "remove",
        })
    }
}

/// The content of a TXT record that is one character-string: 1 to 255 octets of printable ASCII.
///
/// The values of DNS-01 are 43 characters of base64url (RFC 8555 §8.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TxtValue(String);

impl TxtValue {
    /// The text, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has the form of an answer to a challenge: SHA-256 in base64url (RFC 8555 §8.4).
    pub fn is_challenge(&self) -> bool {
        let base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        self.0.len() == 43 && self.0.bytes().all(base64url)
    }
}

impl fmt::Display for TxtValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TxtValue {
    type Err = TxtValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Err(TxtValueError::Empty),
            long if long.len() > 255 => Err(TxtValueError::TooLong(long.len())),
            odd if odd.bytes().any(|b| !(b' '..=b'~').contains(&b)) => {
                Err(TxtValueError::NotPrintable)
            }
            good => Ok(TxtValue(good.to_owned())),
        }
    }
}

impl TryFrom<String> for TxtValue {
    type Error = TxtValueError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TxtValue> for String {
    fn from(value: TxtValue) -> Self {
        value.0
    }
}

/// Values, by the name at which they are.
pub type TxtSets = BTreeMap<DnsName, BTreeSet<TxtValue>>;

/// A text that cannot be the value of a challenge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages are the documentation
pub enum TxtValueError {
    #[error("a TXT value is not empty")]
    Empty,
    #[error("a TXT value has at most 255 octets, this one has {0}")]
    TooLong(usize),
    #[error("a TXT value is printable ASCII")]
    NotPrintable,
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

/// A backend call that did not succeed: what happened, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ProviderError {
    /// Who must act, and whether trying again can help.
    pub failure: Failure,
    /// What happened, with the server and its answer.
    pub what: String,
    /// What the reader can do about it.
    pub remedy: String,
}

/// Who must act after a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The credentials are wrong or may not do this; nothing was changed.
    Denied,
    /// The backend wants fewer requests; nothing was changed.
    Throttled {
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// The backend could not be reached or cannot work now; nothing was changed.
    Unavailable,
    /// Somebody else's data stands in the way, or changed between a read and a write.
    Conflict,
    /// The backend understood the request and will never carry it out as it is.
    Rejected,
    /// The request was sent, and whether it was carried out is not known.
    UnknownOutcome,
}

impl ProviderError {
    /// An error of this kind.
    pub fn new(failure: Failure, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        ProviderError {
            failure,
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// The same error of a call that only reads: it changes nothing, so that its outcome is known.
    #[must_use]
    pub fn of_reading(self) -> Self {
        match self.failure {
            Failure::UnknownOutcome => ProviderError {
                failure: Failure::Unavailable,
                ..self
            },
            _ => self,
        }
    }
}
