//! The DNSSEC records in an answer.

use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS, RRSIG};
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, RecordType};

use crate::printable::few;

/// The signatures of the `kind` records at `name`.
pub(super) fn signatures<'a>(
    message: &'a Message,
    name: &'a Name,
    kind: RecordType,
) -> impl Iterator<Item = &'a RRSIG> {
    let records = message.answers.iter();
    records.filter_map(move |record| match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature))
            if record.name == *name && signature.input().type_covered == kind =>
        {
            Some(signature)
        }
        _ => None,
    })
}

/// The keys in an answer.
pub(super) fn dnskeys(message: &Message) -> impl Iterator<Item = &DNSKEY> {
    message
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::DNSKEY(key)) => Some(key),
            _ => None,
        })
}

/// The DS records of `zone` in an answer.
pub(super) fn ds<'a>(message: &'a Message, zone: &'a Name) -> impl Iterator<Item = &'a DS> {
    message
        .answers
        .iter()
        .filter_map(move |record| match &record.data {
            RData::DNSSEC(DNSSECRData::DS(ds)) if record.name == *zone => Some(ds),
            _ => None,
        })
}

/// The tags of the keys in an answer.
pub(super) fn key_tags(message: &Message) -> Vec<u16> {
    dnskeys(message)
        .filter_map(|key| key.calculate_key_tag().ok())
        .collect()
}

/// Key tags as text.
pub(super) fn list(tags: &[u16]) -> String {
    let tags: Vec<_> = tags.iter().map(u16::to_string).collect();
    few(&tags, ", ")
}

#[cfg(test)]
mod tests {
    use super::list;

    #[test]
    fn a_key_tag_that_is_there_five_hundred_times_is_shown_in_short() {
        assert_eq!(list(&[7; 500]), "7, 7, 7, 497 more");
    }
}
