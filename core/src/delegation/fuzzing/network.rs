//! Servers that follow a script, and a record of what they are asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, NULL, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinEncodable;

use super::script::{
    Answer, DataScript, NameScript, Reaction, RecordScript, Rule, Script, address_at,
};
use super::world::{NAMES, RESOLVER, complete, wire};
use crate::dns::scripted::{Network, Payer, Reply, Route, Transport};

/// What is larger goes over TCP.
const UDP_MAX: usize = 1_232;
/// A message is not larger. Records that do not fit are left out.
const MESSAGE_MAX: usize = 65_535;
const DNS_PORT: u16 = 53;

/// Servers of all addresses.
pub(super) struct ScriptedNetwork {
    rules: Vec<Rule>,
    allow_private: bool,
    seen: Mutex<Seen>,
}

/// What was asked.
#[derive(Default)]
pub(super) struct Seen {
    /// What was sent, by who pays for it.
    pub(super) traffic: Vec<(Option<Payer>, Traffic)>,
    /// Rules that were broken, in words.
    pub(super) violations: Vec<String>,
    /// How often each rule was applied.
    applied: Vec<u8>,
    /// Names that were made up.
    fresh: usize,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) queries: usize,
    /// Packets, and requests over TCP.
    pub(super) messages: usize,
}

impl Seen {
    fn traffic_of(&mut self, payer: Option<&Payer>) -> &mut Traffic {
        let known = self
            .traffic
            .iter()
            .position(|(known, _)| known.as_ref() == payer);
        let position = known.unwrap_or_else(|| {
            self.traffic.push((payer.cloned(), Traffic::default()));
            self.traffic.len() - 1
        });
        &mut self.traffic[position].1
    }
}

impl ScriptedNetwork {
    pub(super) fn new(script: Script) -> Self {
        let seen = Seen {
            applied: vec![0; script.rules.len()],
            ..Seen::default()
        };
        ScriptedNetwork {
            rules: script.rules,
            allow_private: script.options.allow_private,
            seen: Mutex::new(seen),
        }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first rule for the question that is not used up.
    fn rule(&self, seen: &mut Seen, server: IpAddr, question: &Query) -> Option<&Rule> {
        let mut rules = self.rules.iter().zip(&mut seen.applied);
        let found = rules.find(|(rule, applied)| {
            (rule.times == 0 || **applied < rule.times) && is_for(rule, server, question)
        });
        let (rule, applied) = found?;
        *applied = applied.saturating_add(1);
        Some(rule)
    }
}

impl Network for ScriptedNetwork {
    fn query_begins(&self, route: &Route) {
        let mut seen = self.seen();
        let server = route.server;
        let is_allowed = server.ip() == RESOLVER || !is_special(server.ip(), self.allow_private);
        if server.port() != DNS_PORT || !is_allowed {
            seen.violations.push(format!("a query to {server}"));
        }
        seen.traffic_of(route.payer.as_ref()).queries += 1;
    }

    fn replies(&self, route: &Route, transport: Transport, query: &[u8]) -> Vec<Reply> {
        let mut seen = self.seen();
        let server = route.server;
        seen.traffic_of(route.payer.as_ref()).messages += 1;
        let Ok(query) = Message::from_vec(query) else {
            seen.violations.push("a query that is not one".to_owned());
            return Vec::new();
        };
        let Some(question) = query.queries.first() else {
            seen.violations
                .push("a query without a question".to_owned());
            return Vec::new();
        };
        if query.metadata.recursion_desired != (server.ip() == RESOLVER) {
            let question = question.to_string();
            seen.violations
                .push(format!("RD in {question} to {server}"));
        }
        let mut default = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        default.add_query(question.clone());
        let rule = self.rule(&mut seen, server.ip(), question);
        let reaction = rule.map(|rule| &rule.reaction);
        let mut message = |script: &Answer| scripted(&mut seen, &default, script, server.ip());
        let mut after = Duration::ZERO;
        let messages = match reaction {
            None => {
                complete(
                    &mut default,
                    server.ip(),
                    question.name(),
                    question.query_type(),
                );
                vec![encoded(&default)]
            }
            Some(Reaction::Silent) => Vec::new(),
            Some(Reaction::Octets(octets)) => {
                vec![[&query.metadata.id.to_be_bytes()[..], octets].concat()]
            }
            Some(Reaction::Answer(script)) => vec![message(script)],
            Some(Reaction::Late(late, script)) => {
                after = *late;
                vec![message(script)]
            }
            Some(Reaction::Forged(script)) => forged(&default, message(script), server.ip()),
            Some(Reaction::Truncated) => {
                default.metadata.truncation = true;
                vec![encoded(&default)]
            }
        };
        let messages = messages.into_iter().map(|octets| match transport {
            Transport::Udp => over_udp(octets),
            Transport::Tcp => over_tcp(&octets),
        });
        messages.map(|octets| Reply { after, octets }).collect()
    }
}

/// Whether no query may go there, found in another way than by the code that is tested.
fn is_special(address: IpAddr, allow_private: bool) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_special_v4(address, allow_private),
        IpAddr::V6(address) => {
            let octets = address.octets();
            let embedded = |at: usize| {
                let octets = [octets[at], octets[at + 1], octets[at + 2], octets[at + 3]];
                is_special_v4(Ipv4Addr::from(octets), allow_private)
            };
            let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0).octets();
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unicast_link_local()
                || address.is_unique_local() && !allow_private
                || octets[..12] == nat64[..12] && embedded(12)
                || octets[..12] == [0; 12] && embedded(12)
                || octets[..2] == [0x20, 0x02] && embedded(2)
        }
    }
}

fn is_special_v4(address: Ipv4Addr, allow_private: bool) -> bool {
    address.is_loopback()
        || address.is_unspecified()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_private() && !allow_private
}

fn is_for(rule: &Rule, server: IpAddr, question: &Query) -> bool {
    let is_server = match rule.server {
        None => true,
        Some(0) => server == RESOLVER,
        Some(1) => server != RESOLVER,
        Some(position) => server == address_at(position.into()),
    };
    let is_name = rule.name.is_none_or(|position| {
        let name = wire(NAMES[usize::from(position) % NAMES.len()]);
        name == *question.name() || rule.with_names_below && name.zone_of(question.name())
    });
    is_server && is_name && rule.kind.is_none_or(|kind| kind == question.query_type())
}

/// The answer that a script describes.
fn scripted(seen: &mut Seen, empty: &Message, script: &Answer, server: IpAddr) -> Vec<u8> {
    let mut answer = empty.clone();
    let has = |bit: u8| script.flags >> bit & 1 == 1;
    let Some(question) = empty.queries.first() else {
        return Vec::new();
    };
    if has(4) {
        complete(&mut answer, server, question.name(), question.query_type());
    }
    answer.metadata.authoritative |= has(0);
    answer.metadata.truncation = has(1) && has(5);
    answer.metadata.recursion_available |= has(2);
    if has(3) && has(6) {
        answer.metadata.message_type = MessageType::Query;
    }
    if script.code != 0 {
        answer.metadata.response_code = ResponseCode::from(0, script.code % 24);
    }
    seen.fresh += 1;
    for record in &script.records {
        for copy in 0..record.copies {
            let naming = Naming {
                asked: question.name(),
                serial: seen.fresh,
                copy,
            };
            let Some(made) = naming.record(record) else {
                continue;
            };
            match record.section {
                0 | 3 => answer.answers.push(made),
                1 => answer.authorities.push(made),
                _ => answer.additionals.push(made),
            }
        }
    }
    let mut octets = encoded(&answer);
    for (position, change) in &script.noise {
        let length = octets.len().max(1);
        // The id stays, so that the message is read.
        if let Some(octet) = octets.get_mut(2 + usize::from(*position) % length) {
            *octet ^= change;
        }
    }
    octets
}

/// Answers with a wrong id and for a wrong question before the one that counts.
fn forged(empty: &Message, real: Vec<u8>, server: IpAddr) -> Vec<Vec<u8>> {
    let mut other = empty.clone();
    complete(&mut other, server, &wire("com"), RecordType::NS);
    other.metadata.id ^= 1;
    let wrong_id = encoded(&other);
    other.metadata.id ^= 1;
    other.queries = vec![Query::query(wire("victim.test"), RecordType::A)];
    vec![wrong_id, encoded(&other), real]
}

/// The message, without the records that have no room or cannot be encoded.
fn encoded(message: &Message) -> Vec<u8> {
    let mut message = message.clone();
    loop {
        match message.to_vec() {
            Ok(octets) if octets.len() <= MESSAGE_MAX => return octets,
            _ => {}
        }
        let sections = [
            &mut message.additionals,
            &mut message.authorities,
            &mut message.answers,
        ];
        let Some(section) = sections.into_iter().find(|section| !section.is_empty()) else {
            return Vec::new();
        };
        section.truncate(section.len() / 2);
    }
}

/// Only the header and the question if the message is too large, and that it is truncated.
fn over_udp(mut octets: Vec<u8>) -> Vec<u8> {
    if octets.len() > UDP_MAX
        && let Ok(mut message) = Message::from_vec(&octets)
    {
        message.metadata.truncation = true;
        message.answers.clear();
        message.authorities.clear();
        message.additionals.clear();
        octets = encoded(&message);
    }
    octets.truncate(UDP_MAX);
    octets
}

fn over_tcp(octets: &[u8]) -> Vec<u8> {
    let length = u16::try_from(octets.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], octets].concat()
}

/// What the names in a record depend on.
struct Naming<'a> {
    asked: &'a Name,
    serial: usize,
    copy: u8,
}

impl Naming<'_> {
    fn record(&self, script: &RecordScript) -> Option<Record> {
        let data = self.data(&script.data)?;
        Some(Record::from_rdata(
            self.name(&script.owner)?,
            script.ttl,
            data,
        ))
    }

    fn name(&self, script: &NameScript) -> Option<Name> {
        let (serial, copy) = (self.serial, self.copy);
        let below = |name: &Name, label: String| name.prepend_label(label.as_bytes()).ok();
        match script {
            NameScript::Known(name) => Some(wire(name)),
            NameScript::Asked => Some(self.asked.clone()),
            NameScript::AboveAsked => Some(self.asked.base_name()),
            NameScript::BelowAsked(label) => below(self.asked, format!("x{label}-{copy}")),
            NameScript::FreshBelow(name) => below(&wire(name), format!("f{serial}-{copy}")),
            NameScript::FreshBelowAsked => below(self.asked, format!("f{serial}-{copy}")),
            NameScript::Odd(octets) => {
                let labels = octets.split(|octet| *octet == 0);
                Name::from_labels(labels.filter(|label| !label.is_empty())).ok()
            }
            NameScript::Longest(name) => {
                let mut name = wire(name);
                while let Some(longer) = [63, 9, 1]
                    .into_iter()
                    .find_map(|length| name.prepend_label("x".repeat(length).as_bytes()).ok())
                {
                    name = longer;
                }
                Some(name)
            }
        }
    }

    fn data(&self, script: &DataScript) -> Option<RData> {
        let other = |code: RecordType, octets: Vec<u8>| {
            if octets.is_empty() {
                return RData::Update0(code);
            }
            let rdata = NULL::with(octets);
            RData::Unknown { code, rdata }
        };
        Some(match script {
            DataScript::Address(IpAddr::V4(address)) => RData::A(A(*address)),
            DataScript::Address(IpAddr::V6(address)) => RData::AAAA(AAAA(*address)),
            DataScript::Ns(name) => RData::NS(NS(self.name(name)?)),
            DataScript::Cname(name) => RData::CNAME(CNAME(self.name(name)?)),
            DataScript::Dname(name) => other(RecordType::DNAME, self.name(name)?.to_bytes().ok()?),
            DataScript::Txt(octets) => {
                let parts = octets.split(|octet| *octet == 0);
                RData::TXT(TXT::from_bytes(parts.collect()))
            }
            DataScript::Caa { flags, tag, value } => {
                let length = u8::try_from(tag.len()).ok()?;
                let octets = [&[*flags, length], tag.as_bytes(), value].concat();
                other(RecordType::CAA, octets)
            }
            DataScript::Soa { primary, minimum } => {
                let name = self.name(primary)?;
                RData::SOA(SOA::new(name.clone(), name, 1, 1, 1, 1, *minimum))
            }
            DataScript::Other(kind, octets) => other(*kind, octets.clone()),
        })
    }
}
