//! The records that delegate a challenge name, and those that say who may issue (CAA, RFC 8659), beside what
//! is there.

use std::fmt;

use hickory_proto::rr::RecordType;
use serde::{Serialize, Serializer};

use super::property::Property;
use super::{CnameChain, End};
use crate::dns::{Caa, Dns, DnsError};
use crate::name::DnsName;
use crate::printable::printable;
use crate::txt::quoting::quoted_octets;

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
    /// What is there now, and has to go before this record can stand there or is of any use.
    pub replaces: Vec<Replaced>,
    /// The CAA records that are there and stay. Who sets all CAA records of a name at once needs them.
    pub beside: Vec<Caa>,
}

/// What a record says. `Display` is type and content, as a zone file has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "UPPERCASE")]
pub enum RecordData {
    /// The name is an alias of another.
    Cname {
        /// Of which.
        target: DnsName,
    },
    /// Who may issue certificates for the name.
    Caa(Caa),
}

/// A record that is there and has to go. `Display` is type and content, as a zone file has them: nothing that
/// a server put into it ends the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// A CNAME with this target.
    Cname(String),
    /// A TXT record with this text, which cannot stand beside a CNAME (RFC 1034 §3.6.2).
    Txt(String),
    /// A CAA record that lets somebody issue whom ours keeps from it.
    Caa(Caa),
}

impl fmt::Display for ZoneRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} IN {}", self.name.fqdn(), self.ttl, self.data)
    }
}

impl fmt::Display for RecordData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordData::Cname { target } => write!(f, "CNAME {}", target.fqdn()),
            RecordData::Caa(caa) => caa.fmt(f),
        }
    }
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Replaced::Cname(target) => write!(f, "CNAME {}", printable(target)),
            Replaced::Txt(text) => write!(f, "TXT {}", quoted_octets(text.as_bytes())),
            Replaced::Caa(caa) => caa.fmt(f),
        }
    }
}

impl Serialize for Replaced {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A record beside what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The record.
    pub record: ZoneRecord,
    /// Whether it is there.
    pub presence: Presence,
}

/// Whether a record is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is, and nothing stands in its way.
    There,
    /// It is not.
    Missing,
    /// Nobody told; the record is then taken to be missing.
    Unknown(DnsError),
    /// It cannot be there, for the reason in words.
    Barred(String),
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
        let walk = CnameChain::follow(dns, challenge_name).await;
        let (presence, replaces) = if !walk.hops.is_empty() && walk.last() == alias_name {
            (Presence::There, Vec::new())
        } else {
            let replaces = in_the_way(dns, &walk).await;
            let dname = walk.hops.first().and_then(|hop| hop.dname.as_ref());
            let presence = match (dname, walk.end) {
                (Some(owner), _) => Presence::Barred(format!(
                    "the DNAME at {} renames all names below it, and no other record can stand \
                     there: remove it, or let its target have the CNAME",
                    owner.fqdn()
                )),
                (None, End::Unanswered(error)) if walk.hops.is_empty() => Presence::Unknown(error),
                _ => Presence::Missing,
            };
            (presence, replaces)
        };
        Ok(Compared {
            record: ZoneRecord {
                zone,
                name: challenge_name.clone(),
                ttl,
                data: RecordData::Cname {
                    target: alias_name.clone(),
                },
                replaces,
                beside: Vec::new(),
            },
            presence,
        })
    }

    /// The CAA records that `name` shall have, in their order.
    pub async fn caa(
        dns: &Dns,
        name: &DnsName,
        wanted: Vec<Caa>,
        ttl: u32,
    ) -> Result<Vec<Self>, DnsError> {
        let zone = dns.apex(name).await?;
        let (mut there, otherwise) = match dns.ask(name, RecordType::CAA).await {
            Ok(answer) => match answer.cname() {
                Some(cname) => {
                    let target = cname.target.map_or_else(|odd| odd, |target| target.fqdn());
                    (Vec::new(), Presence::Barred(alias_of(&target)))
                }
                None => (answer.caa(), Presence::Missing),
            },
            Err(error) => (Vec::new(), Presence::Unknown(error)),
        };
        // Servers change the order from answer to answer.
        there.sort();
        let stays = |caa: &&Caa| !wanted.iter().any(|ours| defeats(caa, ours));
        let staying: Vec<_> = there.iter().filter(stays).cloned().collect();
        let compared = wanted.iter().map(|ours| {
            let defeating = there.iter().filter(|caa| defeats(caa, ours)).cloned();
            let replaces: Vec<_> = defeating.map(Replaced::Caa).collect();
            let same = there.iter().find(|caa| relate(caa, ours, Property::eq));
            let data = same.unwrap_or(ours);
            let beside = staying.iter().filter(|caa| *caa != data).cloned();
            Compared {
                presence: match same {
                    Some(_) if replaces.is_empty() => Presence::There,
                    Some(_) => Presence::Missing,
                    None => otherwise.clone(),
                },
                record: ZoneRecord {
                    zone: zone.clone(),
                    name: name.clone(),
                    ttl,
                    data: RecordData::Caa(data.clone()),
                    beside: beside.collect(),
                    replaces,
                },
            }
        });
        Ok(compared.collect())
    }
}

/// What stands where a walk began, and lets no CNAME stand there.
async fn in_the_way(dns: &Dns, walk: &CnameChain) -> Vec<Replaced> {
    let mut replaces = Vec::new();
    match (walk.hops.first(), &walk.end) {
        (Some(hop), _) => replaces.push(Replaced::Cname(hop.target.fqdn())),
        (None, End::BadTarget(target)) => replaces.push(Replaced::Cname(target.clone())),
        _ => {}
    }
    if let Ok(answer) = dns.ask(&walk.challenge_name, RecordType::TXT).await {
        replaces.extend(answer.txt().into_iter().map(Replaced::Txt));
    }
    replaces
}

fn alias_of(target: &str) -> String {
    format!(
        "its CNAME leads to {}, and no other record can stand beside that: the CAA records of that name \
         count, and where it has none, those of the closest name above",
        printable(target)
    )
}

/// Whether two records are of one tag, and their properties in this relation.
fn relate(there: &Caa, ours: &Caa, relation: impl Fn(&Property, &Property) -> bool) -> bool {
    let there_of = Property::parse(&there.value);
    let ours_of = Property::parse(&ours.value);
    there.tag.eq_ignore_ascii_case(&ours.tag)
        && matches!((there_of, ours_of), (Some(there), Some(ours)) if relation(&there, &ours))
}

fn defeats(there: &Caa, ours: &Caa) -> bool {
    relate(there, ours, Property::defeats)
}

/// The zone that a CNAME at `challenge_name` belongs in. The name itself is not there as a rule.
async fn zone_of(dns: &Dns, challenge_name: &DnsName) -> Result<DnsName, DnsError> {
    match challenge_name.parent() {
        Some(parent) => dns.apex(&parent).await,
        None => dns.apex(challenge_name).await,
    }
}
