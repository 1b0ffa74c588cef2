//! What a server answered.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::lifetime::negative_ttl;
use super::records::{Caa, Cname, GLUE_MAX, Referral, Soa, keep_few};
use crate::name::DnsName;
use crate::printable::{TEXT_MAX, few, shortened};
use crate::txt::{TxtSet, TxtValue};

/// The words for an answer without AA and with RA (RFC 1035 §4.1.1). If all servers of a zone answer like that,
/// the network redirects queries to a resolver of its own.
pub(super) const FROM_RESOLVER: &str =
    "an answer that is not authoritative, but of a resolver (no AA, but RA)";

/// The answer of one server to one query.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The server.
    pub server: SocketAddr,
    name: DnsName,
    kind: RecordType,
    message: Arc<Message>,
}

impl Answer {
    pub(crate) fn new(
        server: SocketAddr,
        name: DnsName,
        kind: RecordType,
        message: Arc<Message>,
    ) -> Self {
        Answer {
            server,
            name,
            kind,
            message,
        }
    }

    /// The whole message.
    pub(super) fn message(&self) -> &Message {
        &self.message
    }

    /// Whether the server is authoritative for the name and reports its records or their absence.
    pub(crate) fn is_authoritative(&self) -> bool {
        self.message.metadata.authoritative && has_result(&self.message)
    }

    /// Whether the server reports neither records nor their absence: SERVFAIL, REFUSED and the like.
    pub(crate) fn is_error(&self) -> bool {
        !has_result(&self.message)
    }

    /// Whether the name exists, with records of any type (RFC 8020).
    pub(crate) fn name_exists(&self) -> bool {
        self.message.metadata.response_code != ResponseCode::NXDomain
    }

    /// The CNAME record at the name queried.
    pub(crate) fn cname(&self) -> Option<Cname> {
        self.own(RecordType::CNAME)
            .find_map(|record| match &record.data {
                RData::CNAME(cname) => Some(Cname {
                    target: dns_name(&cname.0).ok_or_else(|| cname.0.to_string()),
                    ttl: record.ttl,
                }),
                _ => None,
            })
    }

    /// The TXT values at the name queried; those behind a CNAME do not count.
    pub(crate) fn txt(&self) -> Vec<String> {
        self.own(RecordType::TXT)
            .filter_map(|record| match &record.data {
                RData::TXT(txt) => Some(
                    txt.txt_data
                        .iter()
                        .map(|part| String::from_utf8_lossy(part))
                        .collect(),
                ),
                _ => None,
            })
            .collect()
    }

    /// The TXT records at the name queried; those behind a CNAME do not count.
    pub(crate) fn txt_set(&self) -> TxtSet {
        let mut set = TxtSet::default();
        let ttls = self.own(RecordType::TXT).map(|record| record.ttl);
        for (ttl, text) in ttls.zip(self.txt()) {
            set.add(Some(ttl), text.parse().ok());
        }
        set
    }

    /// The CAA records at the name queried; those behind a CNAME do not count.
    pub(crate) fn caa(&self) -> Vec<Caa> {
        self.own(RecordType::CAA)
            .filter_map(|record| match &record.data {
                RData::CAA(caa) => Some(Caa {
                    flags: caa.flags(),
                    tag: caa.tag.clone(),
                    value: caa.value.clone(),
                }),
                _ => None,
            })
            .collect()
    }

    /// Whether all of `values` are among the TXT values at the name queried.
    pub(crate) fn has_txt<'a>(&self, values: impl IntoIterator<Item = &'a TxtValue>) -> bool {
        let found = self.txt();
        values
            .into_iter()
            .all(|value| found.iter().any(|text| text == value.as_str()))
    }

    /// Whether the name queried is the apex of a zone: it has an SOA record of its own.
    pub(crate) fn is_apex(&self) -> bool {
        self.own(RecordType::SOA).next().is_some() && self.cname().is_none()
    }

    /// Whether it has records, or an SOA record that tells which zone lacks them (RFC 2308 §2).
    pub(crate) fn names_its_zone(&self) -> bool {
        let soa = |record: &Record| record.record_type() == RecordType::SOA;
        !self.message.answers.is_empty() || self.message.authorities.iter().any(soa)
    }

    /// The apex of the zone that lacks the records, if the answer is that there are none: the owner of the SOA
    /// record in the authority section (RFC 2308 §3).
    pub(crate) fn zone_of_denial(&self) -> Option<DnsName> {
        if !self.message.answers.is_empty() {
            return None;
        }
        let mut authority = self.message.authorities.iter();
        let soa = authority.find(|record| record.record_type() == RecordType::SOA)?;
        dns_name(&soa.name).filter(|zone| self.name.is_within(zone))
    }

    /// The SOA record at the name queried.
    pub(crate) fn soa(&self) -> Option<Soa> {
        self.own(RecordType::SOA)
            .find_map(|record| match &record.data {
                RData::SOA(soa) => Some(Soa {
                    serial: soa.serial,
                    ttl: record.ttl,
                    negative_ttl: negative_ttl(record)?,
                }),
                _ => None,
            })
    }

    /// The primary that the SOA record at the name queried names (MNAME, RFC 1035 §3.3.13).
    pub(crate) fn primary(&self) -> Option<DnsName> {
        self.own(RecordType::SOA)
            .find_map(|record| match &record.data {
                RData::SOA(soa) => dns_name(&soa.mname),
                _ => None,
            })
    }

    /// The owner of the DNAME record above the name queried that makes its CNAME (RFC 6672 §3.1).
    pub(crate) fn dname(&self) -> Option<DnsName> {
        let answers = self.message.answers.iter();
        answers
            .filter(|record| record.record_type() == RecordType::DNAME)
            .filter_map(|record| dns_name(&record.name))
            .find(|owner| *owner != self.name && self.name.is_within(owner))
    }

    /// The names of the servers of the zone whose apex is the name queried.
    pub(crate) fn name_servers(&self) -> Vec<DnsName> {
        self.own(RecordType::NS).filter_map(ns_target).collect()
    }

    /// The addresses in the answer, behind a CNAME or not.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.message.answers.iter().filter_map(address).collect()
    }

    /// The delegation to a zone below `zone` that this answer refers to (RFC 1034 §4.3.2).
    pub(crate) fn referral(&self, zone: &DnsName) -> Option<Referral> {
        if self.message.metadata.authoritative || !self.message.answers.is_empty() {
            return None;
        }
        let servers = |record: &&Record| record.record_type() == RecordType::NS;
        let authority = self.message.authorities.iter().filter(servers);
        let (owner, below) = authority
            .clone()
            .filter_map(|record| Some((&record.name, dns_name(&record.name)?)))
            // A referral upwards or sideways is a lame server's, and must not be followed.
            .find(|(_, owner)| {
                owner != zone && owner.is_within(zone) && self.name.is_within(owner)
            })?;
        let mut glue: HashMap<&Name, Vec<IpAddr>> = HashMap::new();
        for record in &self.message.additionals {
            glue.entry(&record.name)
                .or_default()
                .extend(address(record));
        }
        let set = authority.filter(|record| record.name == *owner);
        let ttl = set.clone().map(|record| record.ttl).min()?;
        let servers = set.filter_map(|record| {
            let RData::NS(target) = &record.data else {
                return None;
            };
            // A server may be named thousands of times, and have thousands of addresses.
            let addresses = glue.get(&target.0).into_iter().flatten();
            let addresses = addresses.take(GLUE_MAX).copied().collect();
            Some((dns_name(&target.0)?, addresses))
        });
        let mut servers: Vec<_> = servers.collect();
        keep_few(&mut servers);
        Some(Referral {
            zone: below,
            servers,
            ttl,
        })
    }

    fn own(&self, kind: RecordType) -> impl Iterator<Item = &Record> {
        self.message.answers.iter().filter(move |record| {
            // As text: the name queried may be a wildcard, which is no `DnsName` to others.
            record.record_type() == kind
                && record
                    .name
                    .to_ascii()
                    .eq_ignore_ascii_case(&self.name.fqdn())
        })
    }
}

/// The answer in words: the records, or why there are none.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.message.metadata.response_code;
        if code == ResponseCode::NXDomain {
            return write!(f, "the name does not exist (NXDOMAIN)");
        }
        if code != ResponseCode::NoError {
            return f.write_str(&code_name(code));
        }
        if !self.message.metadata.authoritative {
            return f.write_str(if self.message.metadata.recursion_available {
                FROM_RESOLVER
            } else {
                "an answer that is not authoritative"
            });
        }
        let records: Vec<_> = self
            .message
            .answers
            .iter()
            .map(|record| shortened(&record.to_string(), TEXT_MAX))
            .collect();
        if records.is_empty() {
            write!(f, "the name exists, without {} records (NODATA)", self.kind)
        } else {
            f.write_str(&few(&records, "; "))
        }
    }
}

/// Whether the response code is one that reports records or their absence (RFC 1035 §4.1.1).
pub(super) fn has_result(message: &Message) -> bool {
    matches!(
        message.metadata.response_code,
        ResponseCode::NoError | ResponseCode::NXDomain
    )
}

/// The mnemonic of a response code (RFC 6895 §2.3), as name servers print it.
pub(super) fn code_name(code: ResponseCode) -> String {
    match code {
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        ResponseCode::NotAuth => "NOTAUTH".to_owned(),
        other => format!("{other} (RCODE {})", u16::from(other)),
    }
}

/// The name as it goes into a query.
pub(super) fn wire_name(name: &DnsName) -> Result<Name, String> {
    Name::from_ascii(name.fqdn()).map_err(|error| format!("{name}: {error}"))
}

/// The name as a [`DnsName`], if it is one that this program can use.
pub(crate) fn dns_name(name: &Name) -> Option<DnsName> {
    name.to_ascii().parse().ok()
}

fn ns_target(record: &Record) -> Option<DnsName> {
    match &record.data {
        RData::NS(ns) => dns_name(&ns.0),
        _ => None,
    }
}

fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{MessageType, OpCode};
    use hickory_proto::rr::rdata::{A, NS};

    use super::*;

    #[test]
    fn one_server_many_times_with_many_addresses_takes_little_memory() {
        const RECORDS: u16 = 2_000;
        let [owner, server] = ["a.example.", "n."].map(|name| Name::from_ascii(name).unwrap());
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        for number in 0..RECORDS {
            let [high, low] = number.to_be_bytes();
            let ns = RData::NS(NS(server.clone()));
            let address = RData::A(A::new(192, 0, high, low));
            let record = |name: &Name, data| Record::from_rdata(name.clone(), 60, data);
            message.authorities.push(record(&owner, ns));
            message.additionals.push(record(&server, address));
        }
        let at = "192.0.2.1:53".parse().unwrap();
        let name = |text: &str| text.parse::<DnsName>().unwrap();
        let answer = Answer::new(at, name("b.a.example"), RecordType::TXT, Arc::new(message));
        let referral = answer.referral(&name("example")).unwrap();
        let addresses = referral.servers.iter().map(|(_, glue)| glue.len());
        let addresses: usize = addresses.sum();
        assert!(addresses <= 20_000, "{addresses} addresses");
    }
}
