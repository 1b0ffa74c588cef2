//! The records that delegate a challenge name, and the CAA records (RFC 8659), compared with those that exist.

use std::fmt;

use hickory_proto::rr::RecordType;
use serde::{Serialize, Serializer};

use super::caa_property::Property;
use super::chain::{CnameChain, End};
use crate::dns::{Caa, Dns, DnsError};
use crate::name::DnsName;
use crate::printable::{TEXT_MAX, grouped, printable, shown_of};
use crate::txt::quoting::quoted_octets;

/// TXT records at a challenge name that are named; the others are counted. What is found is kept for all names of the
/// settings at a time, and a name may have thousands of records.
const TXT_KEPT: usize = 16;
/// A name with more CAA records is left out.
const CAA_MAX: usize = 64;
/// Octets in them.
const CAA_OCTETS_MAX: usize = 4_096;

/// A record that a zone needs. `Display` prints the line for a zone file (RFC 1035 §5.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ZoneRecord {
    /// The zone that it belongs in.
    pub zone: DnsName,
    /// Its owner.
    pub name: DnsName,
    /// Its time to live, in seconds.
    pub ttl: u32,
    /// Its type and content.
    #[serde(flatten)]
    pub data: RecordData,
    /// The records that exist and must be removed before this record can exist or has any effect.
    pub replaces: Vec<Replaced>,
    /// The CAA records that exist and stay, for those who set all CAA records of a name at once.
    pub beside: Vec<Caa>,
}

/// Type and content of a record. `Display` prints them as in a zone file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "UPPERCASE")]
pub enum RecordData {
    /// The name is an alias of another.
    Cname {
        /// The other name.
        target: DnsName,
    },
    /// Who may issue certificates for the name.
    Caa(Caa),
}

/// A record that must be removed. `Display` prints type and content as in a zone file, on one line whatever the
/// server put into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// A CNAME with this target.
    Cname(String),
    /// A TXT record with this text, or with text that begins so, which cannot exist beside a CNAME (RFC 1034 §3.6.2).
    Txt(String),
    /// More TXT records, and their number.
    MoreTxt(usize),
    /// A CAA record that lets a CA issue that ours does not.
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
            Replaced::MoreTxt(count) => write!(f, "{} more TXT records", grouped(*count)),
            Replaced::Caa(caa) => caa.fmt(f),
        }
    }
}

impl Serialize for Replaced {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A record that a zone needs, compared with those that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The record.
    pub record: ZoneRecord,
    /// Whether it exists.
    pub presence: Presence,
}

/// Whether a record exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It exists and has effect.
    Present,
    /// It does not exist, or has no effect yet.
    Missing,
    /// No server answered; the record is then taken to be missing.
    Unknown(DnsError),
    /// It cannot exist, for the reason in words.
    Impossible(String),
}

impl Compared {
    /// The CNAME from `challenge_name` to `alias_name`. It counts as present if the CNAMEs lead there by more than
    /// one step, and if a challenge name that is its own alias name has none.
    pub async fn cname(
        dns: &Dns,
        challenge_name: &DnsName,
        alias_name: &DnsName,
        ttl: u32,
    ) -> Result<Self, DnsError> {
        let zone = zone_of(dns, challenge_name).await?;
        let chain = CnameChain::follow(dns, challenge_name).await;
        let (presence, replaces) = if chain.last() == alias_name {
            (Presence::Present, Vec::new())
        } else if chain.begins_at_an_apex() {
            (Presence::Impossible(apex(challenge_name)), Vec::new())
        } else {
            let replaces = in_the_way(dns, &chain).await;
            let dname = chain.hops.first().and_then(|hop| hop.dname.as_ref());
            let presence = match (dname, chain.end) {
                (Some(owner), _) => Presence::Impossible(format!(
                    "the DNAME at {} redirects all names below it, and no other record can exist there: \
                     remove it, or add the CNAME at its target",
                    owner.fqdn()
                )),
                (None, End::Unanswered(error)) if chain.hops.is_empty() => Presence::Unknown(error),
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

    /// The CAA records that `name` must have, in their order.
    pub async fn caa(
        dns: &Dns,
        name: &DnsName,
        wanted: Vec<Caa>,
        ttl: u32,
    ) -> Result<Vec<Self>, DnsError> {
        let zone = dns.apex(name).await?;
        let (mut existing, otherwise) = match dns.ask(name, RecordType::CAA).await {
            Ok(answer) => match answer.cname() {
                Some(cname) => {
                    let target = cname.target.map_or_else(|odd| odd, |target| target.fqdn());
                    (Vec::new(), Presence::Impossible(alias_of(&target)))
                }
                None => {
                    let existing = answer.caa();
                    match too_many(&existing) {
                        Some(why) => (Vec::new(), Presence::Impossible(why)),
                        None => (existing, Presence::Missing),
                    }
                }
            },
            Err(error) => (Vec::new(), Presence::Unknown(error)),
        };
        // Servers change the order from answer to answer.
        existing.sort();
        let stays = |caa: &&Caa| !wanted.iter().any(|ours| defeats(caa, ours));
        let staying: Vec<_> = existing.iter().filter(stays).cloned().collect();
        let compared = wanted.iter().map(|ours| {
            let defeating = existing.iter().filter(|caa| defeats(caa, ours)).cloned();
            let replaces: Vec<_> = defeating.map(Replaced::Caa).collect();
            let same = existing.iter().find(|caa| relate(caa, ours, Property::eq));
            let data = same.unwrap_or(ours);
            let beside = staying.iter().filter(|caa| *caa != data).cloned();
            Compared {
                presence: match same {
                    Some(_) if replaces.is_empty() => Presence::Present,
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

/// The records at the challenge name beside which the CNAME cannot exist.
async fn in_the_way(dns: &Dns, chain: &CnameChain) -> Vec<Replaced> {
    let mut replaces = Vec::new();
    match (chain.hops.first(), &chain.end) {
        (Some(hop), _) => replaces.push(Replaced::Cname(hop.target.fqdn())),
        (None, End::BadTarget(target)) => replaces.push(Replaced::Cname(target.clone())),
        _ => {}
    }
    if let Ok(answer) = dns.ask(&chain.challenge_name, RecordType::TXT).await {
        replaces.extend(replaced_txt(&answer.txt()));
    }
    replaces
}

/// The first TXT records, each with the beginning of its text, and how many more there are.
fn replaced_txt(texts: &[String]) -> Vec<Replaced> {
    let shown = shown_of(texts.len(), TXT_KEPT);
    let first = texts[..shown]
        .iter()
        .map(|text| text.chars().take(TEXT_MAX).collect());
    let more = Some(texts.len() - shown).filter(|more| *more > 0);
    let more = more.map(Replaced::MoreTxt);
    first.map(Replaced::Txt).chain(more).collect()
}

/// Why no records are printed for a name with these CAA records, if there are too many. What is printed must have all of
/// them, since most languages for zones replace the whole set.
fn too_many(existing: &[Caa]) -> Option<String> {
    let octets = existing.iter().map(|caa| caa.tag.len() + caa.value.len());
    let octets: usize = octets.sum();
    (existing.len() > CAA_MAX || octets > CAA_OCTETS_MAX).then(|| {
        format!(
            "the name has {} CAA records of {} octets, more than anybody needs: remove those that have no use first",
            grouped(existing.len()),
            grouped(octets)
        )
    })
}

fn apex(name: &DnsName) -> String {
    format!(
        "{name} is the apex of a zone of its own, where there can be no CNAME: write the TXT records in that \
         zone, or remove its NS records from the zone above first"
    )
}

fn alias_of(target: &str) -> String {
    format!(
        "its CNAME points to {}, and no other record can exist beside it: the CAA records of the target \
         count, or else those of the closest name above",
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

/// The zone that a CNAME at `challenge_name` belongs in. The name itself often does not exist yet.
async fn zone_of(dns: &Dns, challenge_name: &DnsName) -> Result<DnsName, DnsError> {
    match challenge_name.parent() {
        Some(parent) => dns.apex(&parent).await,
        None => dns.apex(challenge_name).await,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use hickory_proto::op::{Message, Query};
    use hickory_proto::rr::rdata::{SOA, TXT};
    use hickory_proto::rr::{RData, Record};

    use super::*;
    use crate::dns::test_network::network;
    use crate::dns::{Config, ZoneServers, scripted};

    fn client() -> Dns {
        Dns::new(Config {
            zones: vec![ZoneServers {
                zone: "example.com".parse().unwrap(),
                servers: vec![([192, 0, 2, 1], 53).into()],
            }],
            ..Config::default()
        })
    }

    /// Each name has so many TXT records of one octet. They fit into one packet.
    fn many(count: u8) -> impl Fn(SocketAddr, &Query, &mut Message) -> Option<Duration> {
        move |_: SocketAddr, query: &Query, answer: &mut Message| {
            answer.metadata.authoritative = true;
            let name = query.name();
            let data: Vec<_> = match query.query_type() {
                RecordType::SOA => {
                    let soa = SOA::new(name.clone(), name.clone(), 1, 1, 1, 1, 60);
                    vec![RData::SOA(soa)]
                }
                RecordType::TXT => {
                    let texts = (0..count).map(|n| char::from(b'a' + n).to_string());
                    texts.map(|text| RData::TXT(TXT::new(vec![text]))).collect()
                }
                _ => Vec::new(),
            };
            let record = |data| Record::from_rdata(name.clone(), 60, data);
            answer.answers = data.into_iter().map(record).collect();
            Some(Duration::from_millis(1))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_txt_records_few_are_kept_and_the_rest_are_counted() {
        let challenge_name = "_acme-challenge.example.com".parse().unwrap();
        let alias_name = "alias.example.net".parse().unwrap();
        let dns = client();
        for (count, kept, last) in [
            (25, 17, Replaced::MoreTxt(9)),
            (17, 17, Replaced::Txt("q".to_owned())),
        ] {
            let compared = Compared::cname(&dns, &challenge_name, &alias_name, 600);
            let network = network(many(count));
            let compared = scripted::within(network, compared).await.unwrap();
            let replaces = compared.record.replaces;
            assert_eq!(compared.presence, Presence::Missing);
            assert_eq!((replaces.len(), replaces.last()), (kept, Some(&last)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_values_at_the_end_of_a_chain_few_are_kept() {
        let challenge_name = "_acme-challenge.example.com".parse().unwrap();
        let dns = client();
        let chain = CnameChain::follow(&dns, &challenge_name);
        let chain = scripted::within(network(many(25)), chain).await;
        let End::At { txt, .. } = chain.end else {
            panic!("{chain:?}");
        };
        assert_eq!((txt.count, txt.octets), (25, 25));
        assert_eq!(txt.first.len(), 10);
    }

    #[test]
    fn a_name_with_thousands_of_caa_records_is_left_out() {
        let records = |count: usize, value: &str| {
            let caa = Caa {
                flags: 0,
                tag: "issue".to_owned(),
                value: value.into(),
            };
            vec![caa; count]
        };
        assert_eq!(too_many(&records(CAA_MAX, "ca.example")), None);
        let why = too_many(&records(4_000, ";")).unwrap();
        assert!(why.contains("4,000 CAA records of 24,000 octets"), "{why}");
        assert!(too_many(&records(1, &"c".repeat(60_000))).is_some());
    }
}
