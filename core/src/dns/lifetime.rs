//! How long an answer about a zone or a server is cached.
//!
//! The lifetime is the smallest TTL of the records in the answer, or the negative TTL (RFC 2308 §5) if there are
//! none. It has a lower bound, so that one run does not repeat itself for zones with a TTL of 0, and upper
//! bounds, so that a process that runs for months sees a change within the hour.

use std::time::Duration;

use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{RData, Record};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
use tokio::time::Instant;

/// The shortest lifetime.
const MIN: Duration = Duration::from_secs(5);
/// The longest lifetime of records that exist.
const MAX: Duration = Duration::from_hours(1);
/// The longest lifetime of a negative answer. It delays users who have just added a record.
const MAX_NEGATIVE: Duration = Duration::from_mins(5);

/// Memory that an answer may take that is kept, in octets. One with 13 servers and their addresses fits.
const MEMORY_MAX: usize = 16 * 1024;

/// Memory that a small part of a record takes, such as one of the texts of a TXT record, in octets.
const PART: usize = 48;

/// The moment at which `message` must be asked for again. One that is large is not kept: anyone can fill
/// answers about a zone, and thousands of them are kept.
pub(super) fn expiry(message: &Message) -> Instant {
    if is_large(message) {
        return Instant::now();
    }
    Instant::now() + lifetime(message)
}

fn is_large(message: &Message) -> bool {
    memory(message).is_none_or(|octets| octets > MEMORY_MAX)
}

/// About how much memory a message takes, in octets; `None` if that is far too much. A name that occurs again takes
/// two octets in an answer, and all its octets in memory. A text of one octet takes two there, a type less than
/// one, an option of EDNS four, and each takes [`PART`] in memory.
fn memory(message: &Message) -> Option<usize> {
    let mut octets = Vec::new();
    let mut encoder = BinEncoder::new(&mut octets);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    message.emit(&mut encoder).ok()?;
    let sections = [&message.answers, &message.authorities, &message.additionals];
    let options = message
        .edns
        .iter()
        .map(|edns| edns.options().as_ref().len());
    let mut total = octets.len() + message.queries.len() * size_of::<Query>();
    total += options.sum::<usize>() * PART;
    for record in sections.into_iter().flatten() {
        total += size_of::<Record>() + parts(&record.data)? * PART;
    }
    Some(total)
}

/// Of how many small parts a record consists; `None` if it is of a kind with parts for which nobody asks.
fn parts(data: &RData) -> Option<usize> {
    match data {
        RData::TXT(text) => Some(text.txt_data.len()),
        RData::DNSSEC(DNSSECRData::NSEC(nsec)) => Some(nsec.type_bit_maps().count()),
        RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) => Some(nsec3.type_bit_maps().count()),
        RData::SVCB(_) | RData::HTTPS(_) | RData::CSYNC(_) => None,
        _ => Some(0),
    }
}

/// The moment at which records with this TTL, in seconds, must be asked for again.
pub(super) fn expiry_of_ttl(ttl: u32) -> Instant {
    Instant::now() + seconds(ttl).clamp(MIN, MAX)
}

/// The earliest moment at which something that is cached expires.
pub(super) fn earliest_expiry() -> Instant {
    Instant::now() + MIN
}

/// The latest moment at which something that is cached expires.
pub(super) fn latest_expiry() -> Instant {
    Instant::now() + MAX
}

fn lifetime(message: &Message) -> Duration {
    let smallest = message.answers.iter().map(|record| record.ttl).min();
    if let Some(ttl) = smallest {
        return seconds(ttl).clamp(MIN, MAX);
    }
    let negative = message.authorities.iter().find_map(negative_ttl);
    seconds(negative.unwrap_or(0)).clamp(MIN, MAX_NEGATIVE)
}

/// The negative TTL that an SOA record gives (RFC 2308 §5), in seconds.
pub(super) fn negative_ttl(record: &Record) -> Option<u32> {
    match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    }
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}

#[cfg(test)]
mod tests {
    use hickory_proto::dnssec::rdata::NSEC;
    use hickory_proto::op::Edns;
    use hickory_proto::rr::rdata::opt::EdnsOption;
    use hickory_proto::rr::rdata::{A, CSYNC, NS, SOA, TXT};
    use hickory_proto::rr::{Name, RData, Record, RecordType};

    use super::*;

    fn name() -> Name {
        "example.com.".parse().unwrap()
    }

    fn addresses(ttls: &[u32]) -> Message {
        let mut message = Message::query();
        let record = |ttl: &u32| Record::from_rdata(name(), *ttl, RData::A(A::new(192, 0, 2, 1)));
        message.answers = ttls.iter().map(record).collect();
        message
    }

    fn negative(ttl: u32, minimum: u32) -> Message {
        let mut message = Message::query();
        let soa = SOA::new(name(), name(), 1, 1, 1, 1, minimum);
        message.authorities = vec![Record::from_rdata(name(), ttl, RData::SOA(soa))];
        message
    }

    #[test]
    fn records_are_cached_for_their_smallest_ttl_within_bounds() {
        for (ttls, expected) in [(&[300, 60, 600][..], 60), (&[0], 5), (&[86_400], 3_600)] {
            let expected = Duration::from_secs(expected);
            assert_eq!(lifetime(&addresses(ttls)), expected, "{ttls:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_answer_is_not_kept() {
        let is_kept = |message| expiry(&message) > Instant::now();
        assert!(is_kept(addresses(&[60; 39])));
        assert!(!is_kept(addresses(&[60; 100])));
        let text = |count| {
            let mut message = Message::query();
            let data = RData::TXT(TXT::new(vec!["x".repeat(250); count]));
            message.answers = vec![Record::from_rdata(name(), 60, data)];
            message
        };
        assert!(is_kept(text(50)));
        assert!(!is_kept(text(60)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_many_small_parts_is_not_kept() {
        let is_kept = |data| {
            let mut message = Message::query();
            message.answers = vec![Record::from_rdata(name(), 60, data)];
            expiry(&message) > Instant::now()
        };
        let text = |count| RData::TXT(TXT::new(vec!["x".to_owned(); count]));
        assert!(is_kept(text(100)));
        assert!(!is_kept(text(500)));
        let types = |count: u16| {
            let types = (1..=count).map(RecordType::from);
            RData::DNSSEC(DNSSECRData::NSEC(NSEC::new(name(), types)))
        };
        assert!(is_kept(types(100)));
        assert!(!is_kept(types(500)));
        let types = (0..500).map(RecordType::from);
        assert!(!is_kept(RData::CSYNC(CSYNC::new(1, false, false, types))));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_with_many_options_or_questions_is_not_kept() {
        let is_kept = |options, questions| {
            let mut message = addresses(&[60]);
            let mut edns = Edns::new();
            for _ in 0..options {
                let option = EdnsOption::Unknown(65_001, Vec::new());
                edns.options_mut().insert(option);
            }
            message.edns = Some(edns);
            message.queries = vec![Query::query(name(), RecordType::A); questions];
            expiry(&message) > Instant::now()
        };
        assert!(is_kept(100, 1));
        assert!(!is_kept(500, 1));
        assert!(!is_kept(0, 200));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_which_long_names_are_repeated_is_not_kept() {
        let long: Name = format!("{}.example.com.", ["a"; 110].join("."))
            .parse()
            .unwrap();
        let servers = |count| {
            let mut message = Message::query();
            let record = Record::from_rdata(long.clone(), 60, RData::NS(NS(long.clone())));
            message.answers = vec![record; count];
            message
        };
        assert!(servers(38).to_vec().unwrap().len() < 1_024);
        assert!(expiry(&servers(10)) > Instant::now());
        assert!(expiry(&servers(38)) <= Instant::now());
    }

    #[test]
    fn their_absence_is_cached_for_the_negative_ttl_within_bounds() {
        for (ttl, minimum, expected) in
            [(900, 60, 60), (30, 60, 30), (0, 0, 5), (3_600, 3_600, 300)]
        {
            let expected = Duration::from_secs(expected);
            assert_eq!(lifetime(&negative(ttl, minimum)), expected);
        }
        assert_eq!(lifetime(&Message::query()), Duration::from_secs(5));
    }
}
