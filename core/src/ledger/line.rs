//! One line of the ledger.

use std::fmt;

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::run_id::RunId;
use crate::lease::LeaseId;
use crate::name::DnsName;
use crate::txt::{Action, TxtValue};

/// For whom a change is made, and under which lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The id of the certificate.
    pub certificate: Option<String>,
    /// The URL of the order; none for a rehearsal.
    pub order: Option<String>,
    /// The lease under which the change is made. As long as it is held, the value is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseId>,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// It is about to be requested.
    Intent,
    /// The backend reports that it was made.
    Acknowledged,
    /// The backend reports that it was not made.
    Failed,
    /// Nobody knows whether it was made.
    Unknown,
    /// A value that was added was read back.
    Verified,
    /// A value that was removed no longer exists: it was missing when it was read back.
    Withdrawn,
    /// The operator gave the value up. It was not removed, and nobody looks for it any more.
    Forgotten,
    /// The operator knows who moved the serial of the zone. The name is that of the zone, the value is the
    /// operator's note, and no TXT record was changed.
    SerialExplained,
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
            Event::Forgotten => "forgotten",
            Event::SerialExplained => "serial-explained",
        })
    }
}

/// What happens, or happened, to one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What became of the change.
    pub event: Event,
    /// What the change does to the value.
    pub action: Action,
    /// For whom.
    #[serde(flatten)]
    pub origin: Origin,
    /// The alias zone.
    pub zone: DnsName,
    /// The kind of the provider.
    pub provider: String,
    /// The id of the provider in the configuration. Lines of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// The key, profile or role that the provider uses: its name, never its secret.
    pub key: Option<String>,
    /// A fingerprint of the provider's credentials that contains no secret. Lines of older versions
    /// have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// The alias name.
    pub name: DnsName,
    /// The value.
    pub value: TxtValue,
    /// The TTL of the record in seconds. Removals of older versions have none.
    pub ttl: Option<u32>,
    /// The server or endpoint that answered.
    pub server: Option<String>,
    /// What it answered.
    pub response: Option<String>,
    /// How the serial of the zone moved, on lines that read the change back or explain a movement.
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

/// An entry in its place in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Counts from 1 over all files.
    pub sequence: u64,
    /// When it was written.
    pub time: Timestamp,
    /// The run that wrote it.
    pub run: RunId,
    /// What was recorded.
    #[serde(flatten)]
    pub entry: Entry,
    /// The hash of the line before it; empty for the first.
    pub previous: String,
    /// The hash of this line without this field.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
}

impl Line {
    /// The line after the one with this sequence number and hash; 0 and "" before the first line.
    pub fn following(
        sequence: u64,
        previous: &str,
        time: Timestamp,
        run: &RunId,
        entry: Entry,
    ) -> Result<Self, serde_json::Error> {
        let mut line = Line {
            // Only a damaged file has a number that cannot be increased.
            sequence: sequence.saturating_add(1),
            time,
            run: run.clone(),
            entry,
            previous: previous.to_owned(),
            hash: String::new(),
        };
        line.hash = line.expected_hash()?;
        Ok(line)
    }

    /// SHA-256 of the line without its hash, in hexadecimal digits.
    pub fn expected_hash(&self) -> Result<String, serde_json::Error> {
        let bare = Line {
            hash: String::new(),
            ..self.clone()
        };
        Ok(hash(&serde_json::to_vec(&bare)?))
    }

    /// Whether it continues the line with this sequence number and hash.
    pub(super) fn follows(&self, sequence: u64, hash: &str) -> bool {
        sequence.checked_add(1) == Some(self.sequence) && self.previous == hash
    }

    /// Whether the hash is that of the content, as it is written in `text`.
    ///
    /// The octets are compared first: a line with fields of a later version has its hash as well.
    pub(super) fn is_sealed_in(&self, text: &[u8]) -> bool {
        let end = format!(",\"hash\":\"{}\"}}\n", self.hash);
        if let Some(content) = text.strip_suffix(end.as_bytes()) {
            let mut context = Context::new(&SHA256);
            context.update(content);
            context.update(b"}");
            if in_digits(&context.finish()) == self.hash {
                return true;
            }
        }
        self.expected_hash().is_ok_and(|hash| hash == self.hash)
    }
}

/// SHA-256 in hexadecimal digits.
pub(super) fn hash(octets: &[u8]) -> String {
    in_digits(&digest(&SHA256, octets))
}

fn in_digits(hash: &Digest) -> String {
    let mut digits = String::with_capacity(64);
    for octet in hash.as_ref() {
        for digit in [octet >> 4, octet & 15] {
            digits.extend(char::from_digit(digit.into(), 16));
        }
    }
    digits
}
