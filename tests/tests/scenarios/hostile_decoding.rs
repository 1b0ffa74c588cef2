//! Answers of name servers that take long to decode, or are long when they are shown.

use std::time::Duration;

use acme_alias_tests::{HostileAnswer, HostileServer, Result};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{RData, RecordType};

use super::hostile_zones::{GOOD, HOSTILE, Neighbours, name, none, soa, with};

/// NS records that have two names behind pointers.
const RECORDS: u16 = 3_500;

/// These records, and before them a record with a chain of pointers, to the end of which they point.
fn names_behind_pointers(begin: u16) -> Vec<u8> {
    const POINTERS: u16 = 8_100;
    const FIXED: [u8; 8] = [0, 1, 0, 0, 2, 88, 0, 2];
    let pointer = |to: u16| (0xc000 | to).to_be_bytes();
    let mut octets = vec![0xc0, 12, 0xff, 1, 0, 1, 0, 0, 2, 88];
    octets.extend((2 * POINTERS).to_be_bytes());
    let first = begin + 12;
    octets.extend(pointer(12));
    octets.extend((1..POINTERS).flat_map(|number| pointer(first + 2 * (number - 1))));
    let last = pointer(first + 2 * (POINTERS - 1));
    let record = [&last[..], &[0, 2], &FIXED, &last].concat();
    octets.extend(record.repeat(usize::from(RECORDS) - 1));
    octets
}

#[test]
fn answers_with_names_behind_thousands_of_pointers_harm_no_good_certificate() -> Result {
    const NAMES: usize = 400;
    let neighbours = Neighbours::start()?;
    let server = HostileServer::start(|asked, kind, answer| {
        let zone = name(HOSTILE);
        let answer = match kind {
            RecordType::TXT | RecordType::CNAME if asked.num_labels() < 40 => {
                let target = asked.prepend_label("a").unwrap_or_default();
                with(answer, asked, [RData::CNAME(CNAME(target))])
            }
            RecordType::SOA if *asked == zone => with(answer, asked, [soa(asked)]),
            _ => none(answer, &zone),
        };
        match answer {
            HostileAnswer::Now(answer) => {
                HostileAnswer::Longer(answer, RECORDS, names_behind_pointers)
            }
            other => other,
        }
    })?;
    let hostile: Vec<_> = (0..NAMES).map(|n| format!("a{n}.{HOSTILE}")).collect();
    let program = neighbours
        .bed
        .program(neighbours.settings(&hostile, server.address()))?;
    let program = program.limit(Duration::from_mins(5));
    let outcome = program.run(&["renew"])?;
    println!("{:?}, {} queries", outcome.usage, server.queries());
    assert_eq!(neighbours.ca.certificates(), GOOD, "{outcome}");
    Ok(())
}
