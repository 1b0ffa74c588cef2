//! One line of the ledger.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::run::RunId;
use crate::name::DnsName;
use crate::txt::{Action, TxtValue};

/// For whom a change is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The id of the certificate.
    pub certificate: Option<String>,
    /// The URL of the order; none for a rehearsal.
    pub order: Option<String>,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// It is about to be asked for.
    Intent,
    /// The backend says that it was made.
    Acknowledged,
    /// The backend says that it was not made.
    Failed,
    /// Whether it was made is not known.
    Unknown,
    /// A value that was added was read back.
    Verified,
    /// A value that was removed was not there any more when it was read back.
    Withdrawn,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Event::Intent => "intent",
            Event::Acknowledged => "acknowledged",
            Event::Failed => "failed",
            Event::Unknown => "unknown",
            Event::Verified => "verified",
            Event::Withdrawn => "withdrawn",
        })
    }
}

/// Something to be written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What became of the change.
    pub event: Event,
    /// What was to happen to the value.
    pub action: Action,
    /// For whom.
    #[serde(flatten)]
    pub origin: Origin,
    /// The alias zone.
    pub zone: DnsName,
    /// The kind of the provider.
    pub provider: String,
    /// The key, profile or role that the provider uses: its name, never its secret.
    pub key: Option<String>,
    /// The alias name.
    pub name: DnsName,
    /// The value.
    pub value: TxtValue,
    /// Seconds that the record may be kept elsewhere; none for a removal.
    pub ttl: Option<u32>,
    /// The server or endpoint that answered.
    pub server: Option<String>,
    /// What it answered.
    pub response: Option<String>,
    /// How the serial of the zone moved, on lines that read the change back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<SerialStep>,
}

/// The SOA serial of a zone around one of our changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialStep {
    /// Before the request was sent.
    pub before: u32,
    /// When the change was read back.
    pub after: u32,
}

/// A line: an entry in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Counts from 1 over all files.
    pub sequence: u64,
    /// When it was written.
    pub time: Timestamp,
    /// The run that wrote it.
    pub run: RunId,
    /// What was written down.
    #[serde(flatten)]
    pub entry: Entry,
    /// The hash of the line before it; empty for the first.
    pub previous: String,
    /// The hash of this line without this field.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
}

impl Line {
    /// The line with its hash.
    pub(super) fn sealed(mut self) -> Result<Self, serde_json::Error> {
        self.hash = self.expected_hash()?;
        Ok(self)
    }

    /// SHA-256 of the line without its hash, in hexadecimal digits.
    pub(super) fn expected_hash(&self) -> Result<String, serde_json::Error> {
        let bare = Line {
            hash: String::new(),
            ..self.clone()
        };
        let hash = digest(&SHA256, &serde_json::to_vec(&bare)?);
        let digits = hash.as_ref().iter().map(|octet| format!("{octet:02x}"));
        Ok(digits.collect::<Vec<_>>().concat())
    }
}
