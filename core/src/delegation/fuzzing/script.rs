//! What servers do, as a fuzz input describes it. Each choice takes one octet, so that a change of one octet changes
//! one choice, and an input that ends early ends with zeros.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};
use hickory_proto::rr::RecordType;

use super::world::NAMES;

/// Rules of one script.
const RULES_MAX: usize = 32;
/// Records that one rule describes.
const RECORDS_MAX: u8 = 8;
/// The types to which a rule can be limited, and those of records without a form of their own.
const KINDS: [RecordType; 12] = [
    RecordType::NS,
    RecordType::A,
    RecordType::AAAA,
    RecordType::TXT,
    RecordType::CNAME,
    RecordType::SOA,
    RecordType::CAA,
    RecordType::DS,
    RecordType::DNSKEY,
    RecordType::RRSIG,
    RecordType::NSEC,
    RecordType::NSEC3,
];
/// Addresses in zone data: those of the servers, others, and special ones in all their forms.
const ADDRESSES: [&str; 20] = [
    "9.1.0.1",
    "9.2.0.1",
    "9.2.0.2",
    "9.2.0.3",
    "9.3.0.1",
    "9.9.9.9",
    "2620:fe::fe",
    "127.0.0.1",
    "127.0.0.53",
    "0.0.0.0",
    "169.254.169.254",
    "224.0.0.251",
    "255.255.255.255",
    "10.0.0.1",
    "192.0.2.1",
    "::1",
    "fe80::1",
    "fd00::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
];

/// An input of the target.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) options: Options,
    pub(super) rules: Vec<Rule>,
}

/// What is checked, and with which settings.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each of them is one bit of the input"
)]
pub(super) struct Options {
    pub(super) allow_private: bool,
    pub(super) second_name: bool,
    pub(super) second_check: bool,
    pub(super) with_caa: bool,
    pub(super) with_values: bool,
    pub(super) with_alias_name: bool,
    pub(super) any_zone: bool,
    pub(super) small_budget: bool,
}

/// Which queries get an answer that is not the default one, and which answer.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// The address of the server; none for all of them.
    pub(super) server: Option<u8>,
    /// The name, or one above it; none for all names.
    pub(super) name: Option<u8>,
    pub(super) with_names_below: bool,
    pub(super) kind: Option<RecordType>,
    /// For how many queries; 0 for all.
    pub(super) times: u8,
    pub(super) reaction: Reaction,
}

/// What a server does with a query.
#[derive(Clone, Debug)]
pub(super) enum Reaction {
    Silent,
    Octets(Vec<u8>),
    Answer(Answer),
    /// A late answer.
    Late(Duration, Answer),
    /// A forged answer first, with a wrong id or for another question.
    Forged(Answer),
    /// Each message is truncated, over TCP too.
    Truncated,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// AA, TC, RA, no QR, and whether the default records come first.
    pub(super) flags: u8,
    pub(super) code: u8,
    pub(super) records: Vec<RecordScript>,
    /// Octets of the message that are changed, with their positions.
    pub(super) noise: Vec<(u16, u8)>,
}

/// One record, or many that differ in their names.
#[derive(Clone, Debug)]
pub(super) struct RecordScript {
    pub(super) section: u8,
    pub(super) owner: NameScript,
    pub(super) data: DataScript,
    pub(super) ttl: u32,
    pub(super) copies: u8,
}

/// A name in a record.
#[derive(Clone, Debug)]
pub(super) enum NameScript {
    Known(&'static str),
    Asked,
    AboveAsked,
    BelowAsked(u8),
    /// Another one in each answer and each copy of a record.
    FreshBelow(&'static str),
    FreshBelowAsked,
    /// One whose labels have these octets.
    Odd(Vec<u8>),
    /// The longest name that ends like this.
    Longest(&'static str),
}

/// The data of a record.
#[derive(Clone, Debug)]
pub(super) enum DataScript {
    Address(IpAddr),
    Ns(NameScript),
    Cname(NameScript),
    Dname(NameScript),
    Txt(Vec<u8>),
    Caa {
        flags: u8,
        tag: &'static str,
        value: Vec<u8>,
    },
    Soa {
        primary: NameScript,
        minimum: u32,
    },
    Other(RecordType, Vec<u8>),
}

impl<'a> Arbitrary<'a> for Script {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let options = Options::from(u8::arbitrary(u)?);
        let mut rules = Vec::new();
        while !u.is_empty() && rules.len() < RULES_MAX {
            rules.push(Rule::arbitrary(u)?);
        }
        Ok(Script { options, rules })
    }
}

impl From<u8> for Options {
    fn from(bits: u8) -> Self {
        let is_set = |bit: u8| bits >> bit & 1 == 1;
        Options {
            allow_private: is_set(0),
            second_name: is_set(1),
            second_check: is_set(2),
            with_caa: is_set(3),
            with_values: is_set(4),
            with_alias_name: is_set(5),
            any_zone: is_set(6),
            small_budget: is_set(7),
        }
    }
}

impl<'a> Arbitrary<'a> for Rule {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (server, name, kind) = (u8::arbitrary(u)?, u8::arbitrary(u)?, u8::arbitrary(u)?);
        Ok(Rule {
            server: server.checked_sub(1),
            name: (name & 0x7f).checked_sub(1),
            with_names_below: name & 0x80 != 0,
            kind: usize::from(kind).checked_sub(1).map(kind_at),
            times: u8::arbitrary(u)? % 8,
            reaction: Reaction::arbitrary(u)?,
        })
    }
}

fn kind_at(position: usize) -> RecordType {
    KINDS[position % KINDS.len()]
}

impl<'a> Arbitrary<'a> for Reaction {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u8::arbitrary(u)? % 16 {
            0 => Reaction::Silent,
            1 => Reaction::Octets(octets(u)?),
            2 => Reaction::Late(
                Duration::from_millis(50) * u32::from(u8::arbitrary(u)?),
                Answer::arbitrary(u)?,
            ),
            3 => Reaction::Forged(Answer::arbitrary(u)?),
            4 => Reaction::Truncated,
            _ => Reaction::Answer(Answer::arbitrary(u)?),
        })
    }
}

impl<'a> Arbitrary<'a> for Answer {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (flags, code) = (u8::arbitrary(u)?, u8::arbitrary(u)?);
        let (records, noise) = (u8::arbitrary(u)? % (RECORDS_MAX + 1), u8::arbitrary(u)? % 4);
        Ok(Answer {
            flags,
            code,
            records: (0..records)
                .map(|_| RecordScript::arbitrary(u))
                .collect::<Result<_>>()?,
            noise: (0..noise)
                .map(|_| Arbitrary::arbitrary(u))
                .collect::<Result<_>>()?,
        })
    }
}

impl<'a> Arbitrary<'a> for RecordScript {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let form = u8::arbitrary(u)?;
        Ok(RecordScript {
            section: form % 4,
            ttl: [0, 60, 86_400, u32::MAX][usize::from(form >> 2) % 4],
            copies: [1, 2, 20, 200][usize::from(form >> 4) % 4],
            owner: NameScript::arbitrary(u)?,
            data: DataScript::arbitrary(u)?,
        })
    }
}

impl<'a> Arbitrary<'a> for NameScript {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let choice = u8::arbitrary(u)?;
        let known = NAMES[usize::from(choice) % NAMES.len()];
        Ok(match choice >> 4 {
            0..=4 => NameScript::Known(known),
            5..=7 => NameScript::Asked,
            8 => NameScript::AboveAsked,
            9 => NameScript::BelowAsked(choice % 16),
            10 | 11 => NameScript::FreshBelow(known),
            12 => NameScript::FreshBelowAsked,
            13 => NameScript::Longest(known),
            _ => NameScript::Odd(octets(u)?),
        })
    }
}

impl<'a> Arbitrary<'a> for DataScript {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u8::arbitrary(u)? % 16 {
            0..=3 => DataScript::Address(address(u)?),
            4..=6 => DataScript::Ns(NameScript::arbitrary(u)?),
            7 | 8 => DataScript::Cname(NameScript::arbitrary(u)?),
            9 => DataScript::Dname(NameScript::arbitrary(u)?),
            10 => DataScript::Txt(octets(u)?),
            11 => DataScript::Caa {
                flags: u8::arbitrary(u)?,
                tag: ["issue", "issuewild", "iodef", "ISSUE", "", "x-1"]
                    [usize::from(u8::arbitrary(u)? % 6)],
                value: octets(u)?,
            },
            12 => DataScript::Soa {
                primary: NameScript::arbitrary(u)?,
                minimum: u32::from(u8::arbitrary(u)?) << 8,
            },
            _ => DataScript::Other(kind_at(u8::arbitrary(u)?.into()), octets(u)?),
        })
    }
}

fn octets(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let length = usize::from(u8::arbitrary(u)?).min(u.len());
    u.bytes(length).map(<[u8]>::to_vec)
}

fn address(u: &mut Unstructured<'_>) -> Result<IpAddr> {
    Ok(match usize::from(u8::arbitrary(u)?) {
        0xff => Ipv6Addr::from(<[u8; 16]>::arbitrary(u)?).into(),
        0xfe => Ipv4Addr::from(<[u8; 4]>::arbitrary(u)?).into(),
        position => address_at(position),
    })
}

/// One of the addresses of the pool.
pub(super) fn address_at(position: usize) -> IpAddr {
    let text = ADDRESSES[position % ADDRESSES.len()];
    text.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}
