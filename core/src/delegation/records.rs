//! The records that delegate a challenge name, and those that say who may issue (CAA, RFC 8659).

use std::fmt;

use hickory_proto::rr::RecordType;
use serde::Serialize;

use super::Walk;
use crate::dns::{Dns, DnsError};
use crate::name::DnsName;

/// A record that a zone needs. `Display` is the line for a zone file (RFC 1035 §5.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ZoneRecord {
    /// The zone that it belongs in.
    pub zone: DnsName,
    /// Its owner.
    pub name: DnsName,
    /// Its time to live, in seconds.
    pub ttl: u32,
    /// What it says.
    #[serde(flatten)]
    pub data: RecordData,
    /// The target of the CNAME that is there now, and has to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<DnsName>,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "UPPERCASE")]
pub enum RecordData {
    /// The name is an alias of another.
    Cname {
        /// Of which.
        target: DnsName,
    },
    /// Who may issue certificates for the name.
    Caa {
        /// `issue` or `issuewild`.
        tag: &'static str,
        /// The authority's domain with its parameters (RFC 8657); `;` stands for nobody.
        value: String,
    },
}

impl fmt::Display for ZoneRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} IN {}", self.name.fqdn(), self.ttl, self.data)
    }
}

/// Type and content, as a zone file has them.
impl fmt::Display for RecordData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordData::Cname { target } => write!(f, "CNAME {}", target.fqdn()),
            RecordData::Caa { tag, value } => write!(f, "CAA 0 {tag} \"{value}\""),
        }
    }
}

/// A record beside what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The record.
    pub record: ZoneRecord,
    /// Whether it is there already.
    pub is_there: bool,
    /// Why that is not known; the record is then taken to be missing.
    pub unknown: Option<DnsError>,
}

impl Compared {
    /// The CNAME from `challenge_name` to `alias_name`. It counts as there where the CNAMEs lead
    /// there by more than one step.
    pub async fn cname(
        dns: &Dns,
        challenge_name: &DnsName,
        alias_name: &DnsName,
        ttl: u32,
    ) -> Result<Self, DnsError> {
        let zone = zone_of(dns, challenge_name).await?;
        let walk = Walk::follow(dns, challenge_name).await;
        let is_there = !walk.hops.is_empty() && walk.last() == alias_name;
        let replaces = walk.hops.first().map(|hop| hop.target.clone());
        Ok(Compared {
            record: ZoneRecord {
                zone,
                name: challenge_name.clone(),
                ttl,
                data: RecordData::Cname {
                    target: alias_name.clone(),
                },
                replaces: replaces.filter(|_| !is_there),
            },
            is_there,
            unknown: match walk.end {
                super::End::Unanswered(error) if walk.hops.is_empty() => Some(error),
                _ => None,
            },
        })
    }

    /// A CAA record at `name`.
    pub async fn caa(
        dns: &Dns,
        name: &DnsName,
        tag: &'static str,
        value: String,
        ttl: u32,
    ) -> Result<Self, DnsError> {
        let zone = dns.apex(name).await?;
        let (is_there, unknown) = match dns.ask(name, RecordType::CAA).await {
            Ok(answer) => {
                let there = |(known, content): &(String, String)| known == tag && *content == value;
                (answer.caa().iter().any(there), None)
            }
            Err(error) => (false, Some(error)),
        };
        Ok(Compared {
            record: ZoneRecord {
                zone,
                name: name.clone(),
                ttl,
                data: RecordData::Caa { tag, value },
                replaces: None,
            },
            is_there,
            unknown,
        })
    }
}

/// The zone that a CNAME at `challenge_name` belongs in. The name itself is not there as a rule.
async fn zone_of(dns: &Dns, challenge_name: &DnsName) -> Result<DnsName, DnsError> {
    match challenge_name.parent() {
        Some(parent) => dns.apex(&parent).await,
        None => dns.apex(challenge_name).await,
    }
}
