//! Entry points for hostile input. The targets in `fuzz/` call them, and so do the tests here, with the
//! seeds of the targets.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "a broken promise must panic"
)]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use futures_util::stream::TryStreamExt;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use tokio::runtime::{Builder, Runtime};

use crate::acme;
use crate::certificate;
use crate::clock::SystemClock;
use crate::delegation;
use crate::dns::Answer;
use crate::ledger::git::RunExports;
use crate::ledger::{self, Event, FileLedger, Ledger, Line, RUN_TRAILER};
use crate::name::DnsName;

thread_local! {
    /// It keeps its threads, which cost more than what they do here.
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
}

/// Any content of a ledger is verified, reported and exported, and the ledger can be continued.
pub fn ledger(data: &[u8]) {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path().join("ledger");
    std::fs::create_dir(&folder).expect("a folder");
    // In the last month, so that it is continued in the same file.
    std::fs::write(folder.join("9999-12.jsonl"), data).expect("a file");
    RUNTIME.with(|runtime| runtime.block_on(read_ledger(&folder, data)));
}

async fn read_ledger(folder: &Path, data: &[u8]) {
    let ledger = FileLedger::open_read_only(folder);
    let found = ledger.verify().await.expect("a verification");
    let lines = data.split_inclusive(|octet| *octet == b'\n').count();
    assert!(found.lines <= lines as u64, "lines are not made up");
    assert!(found.open as u64 <= found.lines);
    for damage in &found.damage {
        assert_shown(&damage.to_string());
    }
    let open = ledger.open_values().await.expect("open values");
    assert_eq!(open.len(), found.open);
    let serials = ledger::serials(&ledger).await.expect("serials");
    for serials in serials.into_values() {
        assert!(serials.foreign.len() <= serials.steps);
    }
    let exports = RunExports::new(&ledger, HashSet::new(), |_, _| true).await;
    let mut exports = exports.expect("exports");
    while let Some(export) = exports.next().await.expect("an export") {
        assert!(!export.files.is_empty());
        for path in export.files.keys() {
            let plain = |part| matches!(part, std::path::Component::Normal(_));
            assert!(path.components().all(plain), "{}", path.display());
        }
        assert_shown(&export.message);
        let trailers = export.message.rsplit("\n\n").next();
        let runs = trailers.into_iter().flat_map(str::lines);
        let runs = runs.filter(|line| line.starts_with(RUN_TRAILER)).count();
        assert_eq!(runs, 1, "{}", export.message);
    }
    let first = ledger.lines().try_next().await.expect("lines");
    if let Some(Line { run, mut entry, .. }) = first {
        // Not an intent, which would wait for the disk.
        entry.event = Event::Acknowledged;
        let writer = FileLedger::open(folder, Arc::new(SystemClock)).await;
        let writer = writer.expect("a ledger");
        writer.record(&run, vec![entry]).await.expect("a line");
        let continued = writer.verify().await.expect("a verification");
        assert_eq!(continued.lines, found.lines + 1);
        let open = writer.open_values().await.expect("open values");
        assert_eq!(open.len(), continued.open);
    }
}

/// Any answer of a name server can be interpreted, and its text is safe to print.
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
        let answer = Answer::new(server, name.clone(), kind, Arc::new(message.clone()));
        assert_shown(&answer.to_string());
        if let Some(Err(target)) = answer.cname().map(|cname| cname.target) {
            assert_shown(&target);
        }
        if let Some(referral) = answer.referral(&zone) {
            assert!(referral.zone.is_within(&zone) && referral.zone != zone);
            assert!(
                name.is_within(&referral.zone),
                "the referral does not lead to the name"
            );
        }
        let _ = (answer.txt(), answer.addresses(), answer.name_servers());
        let _ = (answer.is_apex(), answer.is_authoritative(), answer.dname());
    }
}

/// Whatever servers answer, the check of a delegation ends in time, within its queries, and asks nothing at special
/// addresses; and its report is safe to print.
pub fn dns_walk(data: &[u8]) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    // One for each input: tasks that are left end with it.
    let shown = runtime
        .expect("a runtime")
        .block_on(delegation::fuzzing::walk(data));
    for text in shown {
        assert_shown(&text);
        assert!(text.len() < 100_000, "{} octets", text.len());
    }
}

/// Any problem that a CA reports fits on one line and is safe to print.
pub fn acme_problem(data: &[u8]) {
    assert_shown(&acme::fuzzing::transport_detail(data));
    if let Some(error) = acme::fuzzing::problem(data) {
        assert_shown(&error.to_string());
    }
}

/// Any answer of a CA can be read, and what is shown of it is short and safe to print.
pub fn acme_body(data: &[u8]) {
    for text in acme::fuzzing::body(data) {
        assert_shown(&text);
        assert!(text.len() < 100_000, "{} octets", text.len());
    }
}

/// Any chain of a CA can be verified, and what is shown of it is short and safe to print.
pub fn chain(data: &[u8]) {
    assert_short(certificate::fuzzing::chain(data), data);
}

/// Any certification request can be read, and what is shown of it is short and safe to print.
pub fn certification_request(data: &[u8]) {
    assert_short(certificate::fuzzing::request(data), data);
}

/// Any wait that a CA asks for is limited, and any link of a CA is an https:// URL.
pub fn headers(data: &[u8]) {
    acme::fuzzing::headers(data);
}

/// Names are shown as they are, so that a text may be longer than the input.
fn assert_short(shown: Vec<String>, data: &[u8]) {
    for text in shown {
        assert_shown(&text);
        assert!(
            text.len() < 10_000 + 4 * data.len(),
            "{} octets",
            text.len()
        );
    }
}

fn assert_shown(text: &str) {
    let draws = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(draws), "{text:?}");
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Runs a target with each seed, and with each prefix of it.
    fn seeds(target: &str, run: impl Fn(&[u8])) {
        beginnings_of_seeds(target, 1, run);
    }

    /// Every seed, and what it begins with, shortened by `step` octets each time.
    fn beginnings_of_seeds(target: &str, step: usize, run: impl Fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
        let mut count = 0;
        for seed in fs::read_dir(folder.join(target)).unwrap() {
            let data = fs::read(seed.unwrap().path()).unwrap();
            let lengths = (0..=data.len()).rev().step_by(step);
            lengths.for_each(|length| run(&data[..length]));
            count += 1;
        }
        assert!(count >= 3, "{target} has {count} seeds");
    }

    #[test]
    fn seeds_of_ledger() {
        // Each run reads and writes files.
        beginnings_of_seeds("ledger", 17, ledger);
    }

    #[test]
    fn seeds_of_dns_answer() {
        seeds("dns_answer", dns_answer);
    }

    #[test]
    fn seeds_of_dns_walk() {
        // Each run is a check with all its queries.
        beginnings_of_seeds("dns_walk", 7, dns_walk);
    }

    #[test]
    fn seeds_of_acme_body() {
        seeds("acme_body", acme_body);
    }

    #[test]
    fn seeds_of_acme_problem() {
        seeds("acme_problem", acme_problem);
    }

    #[test]
    fn seeds_of_chain() {
        // Each run verifies signatures.
        beginnings_of_seeds("chain", 17, chain);
    }

    #[test]
    fn seeds_of_certification_request() {
        seeds("certification_request", certification_request);
    }

    #[test]
    fn seeds_of_headers() {
        seeds("headers", headers);
    }
}
