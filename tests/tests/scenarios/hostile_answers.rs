//! Answers of name servers, and names of customers, that take far more memory than octets.

use std::time::Duration;

use acme_alias_tests::{
    ALIAS_ZONE, HostileAnswer, HostileServer, Outcome, Result, SignedTree, SignedZone, Signing,
};
use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{CAA, CNAME, NS};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::hostile_zones::{GOOD, GOOD_TIME, HOSTILE, Neighbours, TTL, name, none, soa, with};

/// Renews with little memory, the good certificates and those for so many names with so many labels more, whose zone
/// has this server.
pub(super) fn renew(names: usize, labels: usize, server: &HostileServer) -> Result<Outcome> {
    let neighbours = Neighbours::start()?;
    let labels = "b.".repeat(labels);
    let mut settings = neighbours.settings(&[], server.address());
    for n in 0..names {
        let domains = format!("domains = [\"{labels}a{n}.{HOSTILE}\"]");
        settings = settings.certificate(&format!("a{n}"), &domains);
    }
    let program = neighbours.bed.program(settings)?;
    let program = program.before(
        "ulimit -n 1024 && ulimit -d 262144; export ACME_ALIAS_ACME__CAA_ISSUER=ca.example ACME_ALIAS_DNS__TIMEOUT=2s",
    );
    let outcome = program.run(&["renew"])?;
    assert_eq!(neighbours.ca.certificates(), GOOD, "{outcome}");
    Ok(outcome)
}

/// Adds so many records with two long names each, which take two octets each in the answer.
fn inflated(mut answer: Message, records: usize) -> Message {
    let labels = vec!["a"; 118].join(".");
    let long = name(&format!("{labels}.{HOSTILE}"));
    let record = Record::from_rdata(long.clone(), TTL, RData::NS(NS(long)));
    answer.additionals = vec![record; records];
    answer
}

#[test]
fn answers_with_one_long_name_many_times_do_not_fill_the_cache() -> Result {
    let server = HostileServer::start(|asked, kind, answer| {
        let zone = name(HOSTILE);
        if kind == RecordType::SOA && *asked == zone {
            return with(answer, asked, [soa(asked)]);
        }
        match none(answer, &zone) {
            HostileAnswer::Now(answer) => HostileAnswer::Now(inflated(answer, 125)),
            other => other,
        }
    })?;
    renew(40, 80, &server).map(drop)
}

#[test]
fn names_with_a_hundred_labels_do_not_fill_memory() -> Result {
    let server = HostileServer::start(|asked, kind, answer| {
        let zone = name(HOSTILE);
        match kind {
            RecordType::CAA if *asked != zone => HostileAnswer::Never,
            _ => none(answer, &zone),
        }
    })?;
    renew(100, 105, &server)?.assert_peak_memory_below(200 << 20);
    Ok(())
}

#[test]
fn answers_about_wildcards_are_not_kept_while_cnames_are_followed() -> Result {
    let server = HostileServer::start(|asked, kind, mut answer| {
        let record = |data| Record::from_rdata(asked.clone(), TTL, data);
        if asked.to_ascii().starts_with('*') {
            // It has 64 KB, and takes megabytes.
            answer.answers = vec![record(RData::NS(NS(asked.clone())))];
            return HostileAnswer::Repeated(4_500, answer);
        }
        if matches!(kind, RecordType::TXT | RecordType::CNAME) {
            let target = asked.trim_to(30).prepend_label("c").unwrap_or_default();
            answer.answers = vec![record(RData::CNAME(CNAME(target)))];
            return HostileAnswer::Late(Duration::from_millis(900), answer);
        }
        none(answer, &name(HOSTILE))
    })?;
    renew(100, 80, &server).map(drop)
}

/// An answer that comes just in time.
fn late(answer: HostileAnswer) -> HostileAnswer {
    match answer {
        HostileAnswer::Now(answer) => HostileAnswer::Late(Duration::from_millis(1_800), answer),
        other => other,
    }
}

#[test]
fn answers_about_soa_records_are_not_kept_while_the_zone_is_looked_for() -> Result {
    const LABELS: usize = 80;
    let server = HostileServer::start(|asked, kind, mut answer| {
        let zone = name(HOSTILE);
        let labels = usize::from(asked.num_labels());
        match kind {
            RecordType::SOA if *asked == zone => with(answer, asked, [soa(asked)]),
            RecordType::SOA if labels == LABELS + 3 => {
                // It has 64 KB, and takes megabytes.
                let server = RData::NS(NS(asked.clone()));
                answer.answers = vec![Record::from_rdata(asked.clone(), TTL, server)];
                HostileAnswer::Repeated(4_500, answer)
            }
            RecordType::SOA => late(HostileAnswer::Now(answer)),
            // They do not name the zone.
            _ => HostileAnswer::Now(answer),
        }
    })?;
    renew(100, LABELS, &server)?.assert_peak_memory_below(200 << 20);
    Ok(())
}

/// A name that follows this one in a chain of CNAMEs.
fn next_hop(asked: &Name) -> Name {
    let text = asked.to_ascii();
    let text = text.trim_end_matches('.');
    let (first, rest) = text.split_once('.').unwrap_or_default();
    let number = first.strip_prefix("hop");
    let number: Option<usize> = number.and_then(|number| number.parse().ok());
    name(&match number {
        Some(number) => format!("hop{}.{rest}", number + 1),
        None => format!("hop1.{text}"),
    })
}

#[test]
fn thousands_of_caa_records_above_a_name_are_not_kept() -> Result {
    const LABELS: usize = 10;
    let server = HostileServer::start(|asked, kind, mut answer| {
        let zone = name(HOSTILE);
        let labels = usize::from(asked.num_labels());
        match kind {
            RecordType::SOA if *asked == zone => with(answer, asked, [soa(asked)]),
            RecordType::CAA if labels >= LABELS + 3 => {
                late(with(answer, asked, [RData::CNAME(CNAME(next_hop(asked)))]))
            }
            RecordType::CAA if *asked != zone => {
                let issuer = RData::CAA(CAA::new_issue(false, None, Vec::new()));
                answer.answers = vec![Record::from_rdata(asked.clone(), TTL, issuer)];
                HostileAnswer::Repeated(3_000, answer)
            }
            _ => none(answer, &zone),
        }
    })?;
    renew(150, LABELS, &server)?.assert_peak_memory_below(150 << 20);
    Ok(())
}

#[test]
fn thousands_of_options_in_answers_do_not_fill_the_cache() -> Result {
    let server = HostileServer::start(|asked, kind, answer| {
        let zone = name(HOSTILE);
        let answer = match kind {
            RecordType::SOA if *asked == zone => with(answer, asked, [soa(asked)]),
            _ => none(answer, &zone),
        };
        match answer {
            HostileAnswer::Now(mut answer) => {
                let mut edns = Edns::new();
                for _ in 0..3_500 {
                    let option = EdnsOption::Unknown(65_001, Vec::new());
                    edns.options_mut().insert(option);
                }
                answer.edns = Some(edns);
                HostileAnswer::Now(answer)
            }
            other => other,
        }
    })?;
    renew(80, 80, &server)?.assert_peak_memory_below(150 << 20);
    Ok(())
}

/// Sets of one record and a signature of a stranger that fit into an answer.
const SETS: u16 = 1_130;

/// These sets, at as many names below a long one.
fn sets_signed_by_a_stranger(begin: u16) -> Vec<u8> {
    const LABELS: usize = 110;
    const TTL: [u8; 4] = [0, 0, 2, 88];
    // An algorithm, no labels, and the times and the key tag of 0; then the signer.
    const SIGNATURE: [u8; 21] = [
        0, 43, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, b'x', 0,
    ];
    const DIGEST: [u8; 5] = [0, 1, 13, 2, 0];
    let [high, low] = (begin + 3).to_be_bytes();
    let pointer = [0xc0 | high, low];
    let long = [[1, b'a'].repeat(LABELS), vec![0]].concat();
    let sets = (0..SETS).flat_map(|set| {
        let [first, second] = set.to_be_bytes();
        let above = if set == 0 { &long } else { &pointer[..] };
        let data = [(43, &DIGEST[..]), (46, &SIGNATURE)];
        let records = data
            .into_iter()
            .enumerate()
            .map(|(position, (kind, data))| {
                let above = if position == 0 { above } else { &pointer };
                let fixed = [
                    &[0, kind, 0, 1][..],
                    &TTL,
                    &[0, u8::try_from(data.len()).unwrap_or(0)],
                ]
                .concat();
                [&[2, first, second][..], above, &fixed, data].concat()
            });
        records.flatten().collect::<Vec<_>>()
    });
    sets.collect()
}

/// A signed root above zones that are not signed.
pub(super) fn signed_root() -> Result<SignedTree> {
    SignedTree::start(&["com", "net", "example"].map(|apex| SignedZone {
        apex,
        signing: Signing::Unsigned,
        records: Vec::new(),
    }))
}

#[test]
fn a_thousand_signed_sets_in_an_answer_are_not_validated() -> Result {
    const NAMES: usize = 20;
    let neighbours = Neighbours::start()?;
    let tree = signed_root()?;
    let server = HostileServer::start(move |asked, kind, answer| {
        let zone = asked.trim_to(3);
        let answer = match kind {
            RecordType::SOA if *asked == zone => with(answer, asked, [soa(asked)]),
            RecordType::TXT | RecordType::CNAME if asked.num_labels() == 4 => {
                let target = name(&format!("h.{ALIAS_ZONE}"));
                return with(answer, asked, [RData::CNAME(CNAME(target))]);
            }
            _ => none(answer, &zone),
        };
        match answer {
            HostileAnswer::Now(answer) => {
                HostileAnswer::Longer(answer, 2 * SETS, sets_signed_by_a_stranger)
            }
            other => other,
        }
    })?;
    let hostile: Vec<_> = (0..NAMES).map(|n| format!("h{n}.{HOSTILE}")).collect();
    let mut settings = neighbours.settings(&hostile, server.address());
    settings.resolver = tree.address();
    settings.trust_anchor = Some(tree.trust_anchor());
    let program = neighbours.bed.program(settings)?;
    let outcome = program.run(&["renew"])?;
    println!("{:?}", outcome.usage);
    outcome.assert_success();
    assert_eq!(neighbours.ca.certificates(), GOOD + NAMES, "{outcome}");
    let check = program.run(&["check", &hostile[0]])?;
    check.assert_printed(&["DNSSEC: not known: ", "more than 128"]);
    assert!(outcome.usage.wall < GOOD_TIME, "{outcome}");
    Ok(())
}
