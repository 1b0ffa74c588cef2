//! What a server answered, in the terms this crate needs.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use serde::{Serialize, Serializer};

use crate::name::DnsName;
use crate::printable::printable;
use crate::txt::TxtValue;
use crate::txt::quoting::quoted_octets;

/// One server's answer to one question.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Who answered.
    pub server: SocketAddr,
    name: DnsName,
    kind: RecordType,
    message: Message,
}

/// Where a CNAME leads; a target may be a name that this program cannot use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cname {
    pub(crate) target: Result<DnsName, String>,
    /// Time to live, in seconds.
    pub(crate) ttl: u32,
}

/// What of an SOA record matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Soa {
    pub(crate) serial: u32,
    /// For how many seconds it is remembered that a name is not there (RFC 2308 §5).
    pub(crate) negative_ttl: u32,
}

/// A CAA record (RFC 8659 §4.1). `Display` is its type and content, as a zone file has them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Caa {
    /// The flags; the highest bit makes the property critical.
    pub flags: u8,
    /// What it is about: `issue`, `issuewild` or another property.
    pub tag: String,
    /// What it says of that.
    #[serde(serialize_with = "as_text")]
    pub value: Vec<u8>,
}

fn as_text<S: Serializer>(octets: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(octets))
}

impl fmt::Display for Caa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = quoted_octets(&self.value);
        write!(f, "CAA {} {} {value}", self.flags, self.tag)
    }
}

/// NS records that delegate a zone, with the addresses that came along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Referral {
    pub(crate) zone: DnsName,
    pub(crate) servers: Vec<(DnsName, Vec<IpAddr>)>,
}

impl Answer {
    pub(crate) fn new(
        server: SocketAddr,
        name: DnsName,
        kind: RecordType,
        message: Message,
    ) -> Self {
        Answer {
            server,
            name,
            kind,
            message,
        }
    }

    /// All that the server sent.
    pub(super) fn into_message(self) -> Message {
        self.message
    }

    /// Whether the server is authoritative for the name and says that it, or nothing, is there.
    pub(crate) fn is_authoritative(&self) -> bool {
        self.message.metadata.authoritative && self.has_result()
    }

    /// Whether the response code is one that says what is there (RFC 1035 §4.1.1).
    pub(crate) fn has_result(&self) -> bool {
        matches!(
            self.message.metadata.response_code,
            ResponseCode::NoError | ResponseCode::NXDomain
        )
    }

    /// Whether the name is there, with records of whatever type (RFC 8020).
    pub(crate) fn name_exists(&self) -> bool {
        self.message.metadata.response_code != ResponseCode::NXDomain
    }

    /// The CNAME record at the name asked for.
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

    /// The TXT values at the very name asked for; those behind a CNAME do not count.
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

    /// The CAA records at the very name asked for.
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

    /// Whether all of `values` are among the TXT values at the name asked for.
    pub(crate) fn has_txt<'a>(&self, values: impl IntoIterator<Item = &'a TxtValue>) -> bool {
        let there = self.txt();
        values
            .into_iter()
            .all(|value| there.iter().any(|text| text == value.as_str()))
    }

    /// Whether the name asked for is the apex of a zone: it has an SOA record of its own.
    pub(crate) fn is_apex(&self) -> bool {
        self.own(RecordType::SOA).next().is_some() && self.cname().is_none()
    }

    /// Whether it has anything to say, or says by an SOA record whose word it is that there is nothing
    /// (RFC 2308 §2).
    pub(crate) fn names_its_zone(&self) -> bool {
        let soa = |record: &Record| record.record_type() == RecordType::SOA;
        !self.message.answers.is_empty() || self.message.authorities.iter().any(soa)
    }

    /// The SOA record at the name asked for.
    pub(crate) fn soa(&self) -> Option<Soa> {
        self.own(RecordType::SOA)
            .find_map(|record| match &record.data {
                RData::SOA(soa) => Some(Soa {
                    serial: soa.serial,
                    negative_ttl: record.ttl.min(soa.minimum),
                }),
                _ => None,
            })
    }

    /// The primary that the SOA record at the name asked for names (MNAME, RFC 1035 §3.3.13).
    pub(crate) fn primary(&self) -> Option<DnsName> {
        self.own(RecordType::SOA)
            .find_map(|record| match &record.data {
                RData::SOA(soa) => dns_name(&soa.mname),
                _ => None,
            })
    }

    /// The owner of the DNAME record above the name asked for that makes its CNAME (RFC 6672 §3.1).
    pub(crate) fn dname(&self) -> Option<DnsName> {
        let answers = self.message.answers.iter();
        answers
            .filter(|record| record.record_type() == RecordType::DNAME)
            .filter_map(|record| dns_name(&record.name))
            .find(|owner| *owner != self.name && self.name.is_within(owner))
    }

    /// The names of the servers of the zone whose apex is the name asked for.
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
        let authority = &self.message.authorities;
        let below = authority
            .iter()
            .filter(|record| record.record_type() == RecordType::NS)
            .filter_map(|record| dns_name(&record.name))
            // A referral upwards or sideways is a lame server's, and must not be followed.
            .find(|owner| owner != zone && owner.is_within(zone) && self.name.is_within(owner))?;
        let servers = authority
            .iter()
            .filter(|record| dns_name(&record.name).as_ref() == Some(&below))
            .filter_map(ns_target)
            .map(|server| {
                let glue = self
                    .message
                    .additionals
                    .iter()
                    .filter(|record| dns_name(&record.name).as_ref() == Some(&server))
                    .filter_map(address)
                    .collect();
                (server, glue)
            })
            .collect();
        Some(Referral {
            zone: below,
            servers,
        })
    }

    fn own(&self, kind: RecordType) -> impl Iterator<Item = &Record> {
        self.message.answers.iter().filter(move |record| {
            // As text: the name asked for may be a wildcard, which is no `DnsName` to others.
            record.record_type() == kind
                && record
                    .name
                    .to_ascii()
                    .eq_ignore_ascii_case(&self.name.fqdn())
        })
    }
}

/// The answer in words: the records asked for, or why there are none.
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
            return f.write_str("an answer that is not authoritative");
        }
        let records: Vec<_> = self
            .message
            .answers
            .iter()
            .map(|record| printable(&record.to_string()))
            .collect();
        if records.is_empty() {
            write!(f, "the name exists, without {} records (NODATA)", self.kind)
        } else {
            f.write_str(&records.join("; "))
        }
    }
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

/// The name as it goes into a question.
pub(super) fn wire_name(name: &DnsName) -> Result<Name, String> {
    Name::from_ascii(name.fqdn()).map_err(|error| format!("{name}: {error}"))
}

/// The name as a [`DnsName`], where it is one that this program can use.
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
