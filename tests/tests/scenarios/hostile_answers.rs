//! Answers of name servers, and names of customers, that take far more memory than octets.

use std::time::Duration;

use acme_alias_tests::{HostileAnswer, HostileServer, Outcome, Result};
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::{CNAME, NS};
use hickory_proto::rr::{RData, Record, RecordType};

use super::hostile_zones::{GOOD, HOSTILE, Neighbours, TTL, name, none, soa, with};

/// Renews with little memory, the good certificates and those for so many names with so many labels more, whose zone
/// has this server.
fn renew(names: usize, labels: usize, server: &HostileServer) -> Result<Outcome> {
    let neighbours = Neighbours::start()?;
    let labels = vec!["b"; labels].join(".");
    let mut settings = neighbours.settings(&[], server.address());
    for n in 0..names {
        let domains = format!("domains = [\"{labels}.a{n}.{HOSTILE}\"]");
        settings = settings.certificate(&format!("a{n}"), &domains);
    }
    let program = neighbours.bed.program(settings)?;
    let program = program.before(
        "ulimit -n 1024 && ulimit -d 262144; export ACME_ALIAS_ACME__CAA_ISSUER=ca.example",
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
    let peak = renew(100, 105, &server)?.usage.peak_memory;
    assert!(peak < 200 << 20, "{peak} octets");
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
