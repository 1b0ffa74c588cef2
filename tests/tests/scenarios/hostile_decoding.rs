//! Answers of name servers that take long to decode, or are long when they are shown.

use std::time::Duration;

use acme_alias_tests::{HostileAnswer, HostileServer, Result};
use hickory_proto::rr::rdata::{CNAME, NULL};
use hickory_proto::rr::{RData, Record, RecordType};

use super::hostile_answers::signed_root;
use super::hostile_zones::{GOOD, HOSTILE, Neighbours, TTL, name, none, soa, with};

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

/// An NSEC record of all types.
fn all_types(_: u16) -> Vec<u8> {
    let windows = (0..=255).flat_map(|window| [&[window, 32][..], &[255; 32]].concat());
    let data: Vec<u8> = [1, b'b', 0].into_iter().chain(windows).collect();
    let length = u16::try_from(data.len()).unwrap_or_default();
    let fixed = [0xc0, 12, 0, 47, 0, 1, 0, 0, 2, 88];
    [&fixed[..], &length.to_be_bytes(), &data].concat()
}

#[test]
fn a_hundred_signatures_of_all_types_are_not_logged() -> Result {
    // Type, algorithm, labels, TTL, end, begin and tag; then the signer.
    const SIGNATURE: [u8; 21] = [
        0, 47, 13, 3, 0, 0, 2, 88, 127, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 7, 7,
    ];
    let neighbours = Neighbours::start()?;
    let tree = signed_root()?;
    let server = HostileServer::start(|asked, kind, answer| {
        let zone = name(HOSTILE);
        if kind != RecordType::SOA || *asked != zone {
            return none(answer, &zone);
        }
        let HostileAnswer::Now(mut answer) = with(answer, asked, [soa(asked)]) else {
            return HostileAnswer::Never;
        };
        let data = RData::Unknown {
            code: RecordType::RRSIG,
            rdata: NULL::with(SIGNATURE.to_vec()),
        };
        answer.authorities = vec![Record::from_rdata(zone, TTL, data); 100];
        HostileAnswer::Longer(answer, 1, all_types)
    })?;
    let host = format!("a.{HOSTILE}");
    let mut settings = neighbours.settings(std::slice::from_ref(&host), server.address());
    settings.resolver = tree.address();
    settings.trust_anchor = Some(tree.trust_anchor());
    let program = neighbours.bed.program(settings)?;
    let said = program.run(&["check", &host, "-vv"])?.stderr.len();
    assert!(said < 100_000, "{said} octets");
    Ok(())
}
