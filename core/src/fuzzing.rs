//! What hostile input goes through: by the targets in `fuzz/`, and with their seeds by a test here.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "each panics where a promise is broken"
)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

use crate::acme;
use crate::dns::Answer;
use crate::ledger::{self, Reading};
use crate::name::DnsName;

/// Whatever is in a ledger is read, told of as damage, compared and exported.
pub fn ledger(data: &[u8]) {
    let mut reading = Reading::default();
    reading.take_in(Path::new("2026-01.jsonl"), data, true);
    let lines = data.split_inclusive(|octet| *octet == b'\n').count();
    assert!(reading.lines.len() <= lines, "lines are not made up");
    assert!(reading.open().len() <= reading.lines.len());
    for serials in ledger::serials(&reading.lines).into_values() {
        assert!(serials.foreign.len() <= serials.steps);
    }
    for export in ledger::exports(&reading.lines, &BTreeSet::default(), |_| true) {
        for path in export.files.keys() {
            let plain = |part| matches!(part, std::path::Component::Normal(_));
            assert!(path.components().all(plain), "{}", path.display());
        }
        assert_shown(&export.message);
    }
}

/// Whatever a name server answers means something or nothing, and draws nothing.
pub fn dns_answer(data: &[u8]) {
    let Ok(message) = Message::from_vec(data) else {
        return;
    };
    let zone: DnsName = "example.com".parse().expect("a name");
    let name = zone.challenge_name().expect("a name");
    let server = SocketAddr::from(([192, 0, 2, 53], 53));
    for kind in [
        RecordType::CNAME,
        RecordType::TXT,
        RecordType::SOA,
        RecordType::NS,
    ] {
        let answer = Answer::new(server, name.clone(), kind, message.clone());
        assert_shown(&answer.to_string());
        if let Some(Err(target)) = answer.cname().map(|cname| cname.target) {
            assert_shown(&target);
        }
        if let Some(referral) = answer.referral(&zone) {
            assert!(referral.zone.is_within(&zone) && referral.zone != zone);
            assert!(name.is_within(&referral.zone), "it leads towards the name");
        }
        let _ = (answer.txt(), answer.addresses(), answer.name_servers());
        let _ = (answer.is_apex(), answer.is_authoritative(), answer.dname());
    }
}

/// Whatever a CA complains of is told on one line, and draws nothing.
pub fn acme_problem(data: &[u8]) {
    assert_shown(&acme::fuzzing::transport_detail(data));
    if let Some(error) = acme::fuzzing::problem(data) {
        assert_shown(&error.to_string());
        assert_shown(&error.remedy());
    }
}

/// Whatever a CA asks to be waited is a time that is bounded; whatever it links to is an https:// URL.
pub fn headers(data: &[u8]) {
    acme::fuzzing::headers(data);
}

fn assert_shown(text: &str) {
    let draws = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(draws), "{text:?}");
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Every seed, and everything that it begins with.
    fn seeds(target: &str, run: impl Fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
        let mut count = 0;
        for seed in fs::read_dir(folder.join(target)).unwrap() {
            let data = fs::read(seed.unwrap().path()).unwrap();
            (0..=data.len()).for_each(|length| run(&data[..length]));
            count += 1;
        }
        assert!(count >= 3, "{target} has {count} seeds");
    }

    #[test]
    fn seeds_of_ledger() {
        seeds("ledger", ledger);
    }

    #[test]
    fn seeds_of_dns_answer() {
        seeds("dns_answer", dns_answer);
    }

    #[test]
    fn seeds_of_acme_problem() {
        seeds("acme_problem", acme_problem);
    }

    #[test]
    fn seeds_of_headers() {
        seeds("headers", headers);
    }
}
