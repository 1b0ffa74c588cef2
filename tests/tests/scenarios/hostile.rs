//! Servers that answer as no server should: what comes of it is a finding, and no panic and no hang.

use acme_alias_tests::{QueryProxy, Result, TestBed};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, NS};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::checks::{is_about, kinds};

/// A server of `example.com` that answers as it should not, and what is to be said of it.
type Hostile = (&'static str, fn(&[u8], &[u8]) -> Vec<Vec<u8>>, &'static str);

/// Changes an answer as a message.
fn changed(answer: &[u8], change: impl FnOnce(&mut Message)) -> Vec<Vec<u8>> {
    let mut message = Message::from_vec(answer).unwrap_or_else(|_| Message::query());
    change(&mut message);
    message.to_vec().into_iter().collect()
}

/// Where the first record of an answer begins: after the header and the name, type and class asked for.
fn first_record(answer: &[u8]) -> usize {
    let mut at = 12;
    while answer[at] != 0 {
        at += usize::from(answer[at]) + 1;
    }
    at + 5
}

const HOSTILE: [Hostile; 11] = [
    (
        "a name that points at itself",
        |_, answer| {
            let mut bytes = answer.to_vec();
            let at = first_record(answer);
            if bytes.len() > at + 1 {
                let pointer = 0xc000 | u16::try_from(at).unwrap_or_default();
                bytes[at..at + 2].copy_from_slice(&pointer.to_be_bytes());
            }
            vec![bytes]
        },
        "unanswered",
    ),
    (
        "records of other names",
        |_, answer| {
            changed(answer, |message| {
                for record in &mut message.answers {
                    record.name = "www.example.org.".parse().unwrap_or_default();
                }
            })
        },
        "missing-cname",
    ),
    (
        "half an answer",
        |_, answer| vec![answer[..answer.len() / 2].to_vec()],
        "unanswered",
    ),
    (
        "nothing but a header",
        |_, answer| vec![answer[..12].to_vec()],
        "unanswered",
    ),
    ("not one octet", |_, _| vec![Vec::new()], "unanswered"),
    ("noise", |_, _| vec![(0..=255).collect()], "unanswered"),
    ("nothing", |_, _| Vec::new(), "unanswered"),
    (
        "SERVFAIL",
        |_, answer| {
            changed(answer, |message| {
                message.answers.clear();
                message.metadata.response_code = ResponseCode::ServFail;
            })
        },
        "unanswered",
    ),
    (
        "a zone without an SOA record",
        |question, answer| {
            changed(answer, |message| {
                let question = Message::from_vec(question).unwrap_or_else(|_| Message::query());
                if is_about(&question, RecordType::SOA) {
                    message.answers.clear();
                }
                message.authorities.clear();
            })
        },
        "no-soa",
    ),
    (
        "a chain without an end",
        |question, answer| {
            changed(answer, |message| {
                let question = Message::from_vec(question).unwrap_or_else(|_| Message::query());
                let kinds = [RecordType::CNAME, RecordType::TXT];
                if kinds.iter().any(|kind| is_about(&question, *kind)) {
                    let name = question.queries[0].name().clone();
                    let target = name.prepend_label("a").unwrap_or_default();
                    message.metadata.response_code = ResponseCode::NoError;
                    message.answers =
                        vec![Record::from_rdata(name, 60, RData::CNAME(CNAME(target)))];
                }
            })
        },
        "too-many-hops",
    ),
    (
        "a delegation to itself",
        |question, answer| {
            changed(answer, |message| {
                let question = Message::from_vec(question).unwrap_or_else(|_| Message::query());
                let zone: Name = "example.com.".parse().unwrap_or_default();
                let ns = RData::NS(NS(question.queries[0].name().clone()));
                message.metadata.authoritative = false;
                message.answers.clear();
                message.authorities = vec![Record::from_rdata(zone, 60, ns)];
            })
        },
        "unanswered",
    ),
];

#[test]
fn hostile_answers_are_findings() -> Result {
    let bed = TestBed::start()?;
    for (what, spoil, kind) in HOSTILE {
        let hostile = QueryProxy::start_raw(bed.main_server(), spoil)?;
        let mut settings = bed.settings();
        settings.zones.retain(|(zone, _)| zone != "example.com");
        let zone = ("example.com".to_owned(), vec![hostile.address()]);
        settings.zones.push(zone);
        let outcome = bed
            .program(settings)?
            .run(&["check", "example.com", "--output", "json"])?;
        let code = if kind == "no-soa" { 0 } else { 3 };
        assert_eq!(outcome.code, Some(code), "{what}: {outcome}");
        let kinds = kinds(&outcome, "example.com")?;
        assert!(kinds.contains(kind), "{what}: {outcome}");
    }
    Ok(())
}
