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

/// Digests that are computed for one zone. More are not needed, and cost the time of all.
const DIGESTS_MAX: usize = 64;

/// Whether a DS record is that of one of the keys. Of keys and DS records with the same tags only some are compared:
/// anyone can make thousands (CVE-2023-50387).
pub(super) fn is_vouched_for(zone: &Name, delegations: &[&DS], keys: &Message) -> bool {
    let pairs = dnskeys(keys).flat_map(|key| {
        let tag = key.calculate_key_tag().ok();
        let delegations = delegations.iter();
        let of_key = delegations.filter(move |ds| Some(ds.key_tag()) == tag);
        of_key.map(move |ds| (ds, key))
    });
    let mut pairs = pairs.take(DIGESTS_MAX);
    pairs.any(|(ds, key)| ds.covers(zone, key).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use hickory_proto::dnssec::{Algorithm, DigestType, PublicKeyBuf};
    use hickory_proto::rr::Record;

    use super::*;

    #[test]
    fn thousands_of_keys_and_digests_with_one_tag_are_compared_in_part() {
        let zone: Name = "example.com.".parse().unwrap();
        let key = |n: u8| {
            let public = PublicKeyBuf::new(vec![n, 0, 1, 2], Algorithm::ECDSAP256SHA256);
            DNSKEY::new(true, true, false, public)
        };
        let ds = |key: &DNSKEY, digest| {
            let tag = key.calculate_key_tag().unwrap();
            DS::new(tag, Algorithm::ECDSAP256SHA256, DigestType::SHA256, digest)
        };
        let keys = |keys: &[DNSKEY]| {
            let mut message = Message::query();
            let data = keys
                .iter()
                .map(|key| RData::DNSSEC(DNSSECRData::DNSKEY(key.clone())));
            message.answers = data
                .map(|data| Record::from_rdata(zone.clone(), 60, data))
                .collect();
            message
        };
        let digest = key(7).to_digest(&zone, DigestType::SHA256).unwrap();
        let right = ds(&key(7), digest.as_ref().to_vec());
        let wrong = ds(&key(7), vec![0; 32]);
        let three = keys(&[key(6), key(7), key(8)]);
        assert!(is_vouched_for(&zone, &[&wrong, &right], &three));
        assert!(!is_vouched_for(&zone, &[&wrong], &three));
        // The right one comes after the limit.
        let (many, mut given) = (keys(&vec![key(7); 2_000]), vec![&wrong; 1_300]);
        given.push(&right);
        assert!(!is_vouched_for(&zone, &given, &many));
    }

    #[test]
    fn a_key_tag_that_is_there_five_hundred_times_is_shown_in_short() {
        assert_eq!(list(&[7; 500]), "7, 7, 7, 497 more");
    }
}
