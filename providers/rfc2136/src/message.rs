//! The messages that are sent: UPDATE (RFC 2136 §3), and the queries that read back.

use acme_alias_core::name::DnsName;
use acme_alias_core::txt::{Action, TxtChange};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

/// A TCP message has at most 65,535 octets. This leaves room for the header and the signature.
const SIZE_MAX: usize = 64_000;

/// The UPDATE messages that carry out `changes`, in their order. `ttl` is that of records which the
/// changes give none, in seconds.
pub(crate) fn updates(
    zone: &DnsName,
    changes: &[TxtChange],
    ttl: u32,
) -> Result<Vec<Message>, String> {
    let mut messages = Vec::new();
    let mut current = update(zone)?;
    let mut size = 0;
    for change in changes {
        // Without name compression: the name, ten octets of fixed fields, the length octet.
        let octets = change.name.as_str().len() + 2 + 10 + 1 + change.value.as_str().len();
        if size + octets > SIZE_MAX {
            messages.push(std::mem::replace(&mut current, update(zone)?));
            size = 0;
        }
        size += octets;
        current.add_authority(record(change, ttl)?);
    }
    messages.push(current);
    Ok(messages)
}

/// Queries for the TXT records at each of `names`. Their ids differ, so that all can be pending on
/// one connection.
pub(crate) fn txt_queries(names: &[DnsName]) -> Result<Vec<Message>, String> {
    let first = Message::query().metadata.id;
    let ids = (0..=u16::MAX).map(|i| first.wrapping_add(i));
    ids.zip(names)
        .map(|(id, name)| {
            let mut message = Message::new(id, MessageType::Query, OpCode::Query);
            message.add_query(Query::query(wire_name(name)?, RecordType::TXT));
            Ok(message)
        })
        .collect()
}

/// A query for the SOA record of `zone`.
pub(crate) fn soa_query(zone: &DnsName) -> Result<Message, String> {
    let mut message = Message::query();
    message.add_query(Query::query(wire_name(zone)?, RecordType::SOA));
    Ok(message)
}

fn update(zone: &DnsName) -> Result<Message, String> {
    let id = Message::query().metadata.id;
    let mut message = Message::new(id, MessageType::Query, OpCode::Update);
    message.add_query(Query::query(wire_name(zone)?, RecordType::SOA));
    Ok(message)
}

/// RFC 2136 §2.5.1: to add, class IN; §2.5.4: to delete one record, class NONE and TTL zero.
fn record(change: &TxtChange, ttl: u32) -> Result<Record, String> {
    let data = RData::TXT(TXT::new(vec![change.value.as_str().to_owned()]));
    let (class, ttl) = match change.action {
        Action::Add => (DNSClass::IN, change.ttl.unwrap_or(ttl)),
        Action::Remove => (DNSClass::NONE, 0),
    };
    let mut record = Record::from_rdata(wire_name(&change.name)?, ttl, data);
    record.dns_class = class;
    Ok(record)
}

pub(crate) fn wire_name(name: &DnsName) -> Result<Name, String> {
    Name::from_ascii(name.fqdn()).map_err(|error| format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn change(name: &str, value: &str, action: Action) -> TxtChange {
        TxtChange {
            name: name.parse().unwrap(),
            value: value.parse().unwrap(),
            action,
            ttl: None,
        }
    }

    fn zone() -> DnsName {
        "auth.example.net".parse().unwrap()
    }

    #[test]
    fn an_addition_is_of_class_in_and_a_removal_of_class_none() {
        let name = "_acme-challenge.auth.example.net";
        let changes = [
            change(name, "new", Action::Add),
            change(name, "old", Action::Remove),
        ];
        let messages = updates(&zone(), &changes, 60).unwrap();
        let [message] = messages.as_slice() else {
            panic!("{messages:?}")
        };
        let records: Vec<_> = message
            .authorities
            .iter()
            .map(|record| (record.dns_class, record.ttl))
            .collect();
        assert_eq!(records, [(DNSClass::IN, 60), (DNSClass::NONE, 0)]);
        assert_eq!(message.queries[0].query_type(), RecordType::SOA);
        assert_eq!(message.queries[0].name().to_ascii(), "auth.example.net.");
    }

    proptest! {
        #[test]
        fn a_split_loses_nothing_keeps_the_order_and_fits(
            lengths in proptest::collection::vec(1usize..=255, 1..1500)
        ) {
            let changes: Vec<_> = lengths
                .iter()
                .enumerate()
                .map(|(i, length)| {
                    change(&format!("h{i}.auth.example.net"), &"x".repeat(*length), Action::Add)
                })
                .collect();
            let messages = updates(&zone(), &changes, 60).unwrap();
            let sent: Vec<_> = messages.iter().flat_map(|message| &message.authorities).collect();
            prop_assert_eq!(sent.len(), changes.len());
            for (record, change) in sent.iter().zip(&changes) {
                prop_assert_eq!(record.name.to_ascii(), change.name.fqdn());
            }
            for message in &messages {
                prop_assert!(message.to_vec().unwrap().len() < 65_000);
            }
        }
    }
}
