//! What the program sends while it obtains a certificate from servers that are 40 ms away, and when, as a
//! Markdown table. Rows are round trips: what is sent in one of them does not wait for the others in it. The
//! arguments are the names; the default is one.

#![expect(clippy::print_stdout, reason = "an example prints its table")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use acme_alias_tests::{Profile, Result, Sent, TestBed};

const RTT: Duration = Duration::from_millis(40);

fn main() -> Result {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names.push("example.com".to_owned());
    }
    let delegated: Vec<_> = names
        .iter()
        .map(|name| name.trim_start_matches("*."))
        .collect();
    let bed = TestBed::builder()
        .delegate_apart(&delegated)
        .profile(Profile::Release)
        .start()?;
    let far = bed.far(RTT)?;
    let settings = far
        .settings()
        .certificate("measured", &format!("domains = {names:?}"));
    let program = bed.program(settings)?;
    let renew = ["renew", "--force"];
    // The first run makes the account.
    program.run(&renew)?.assert_success();
    let before = far.traffic();
    let started = Instant::now();
    let outcome = program.run(&renew)?;
    outcome.assert_success();
    let traffic = far.traffic().since(&before);
    println!("| ms | round trips | sent |\n|---:|---:|---|");
    let mut rows: BTreeMap<u128, BTreeMap<String, usize>> = BTreeMap::new();
    for (at, sent) in traffic.timeline() {
        // What leaves within a few milliseconds leaves together.
        let at = at.duration_since(started).as_millis() / 5 * 5;
        *rows.entry(at).or_default().entry(words(sent)).or_default() += 1;
    }
    for (at, sent) in rows {
        let sent: Vec<_> = sent
            .into_iter()
            .map(|(words, times)| match times {
                1 => words,
                times => format!("{times} × {words}"),
            })
            .collect();
        let trips = Duration::from_millis(u64::try_from(at).unwrap_or(u64::MAX)).as_secs_f64()
            / RTT.as_secs_f64();
        println!("| {at} | {trips:.1} | {} |", sent.join("; "));
    }
    println!(
        "\n{:.0} ms are {:.1} round trips, with {} DNS queries.",
        outcome.usage.wall.as_secs_f64() * 1000.0,
        outcome.usage.wall.as_secs_f64() / RTT.as_secs_f64(),
        traffic.dns_queries()
    );
    Ok(())
}

fn words(sent: &Sent) -> String {
    match sent {
        Sent::Dns(request) if request.is_update => format!("UPDATE to {:?}", request.server),
        Sent::Dns(request) => format!(
            "{} {} to {:?} ({:?})",
            request.name, request.kind, request.server, request.protocol
        ),
        Sent::Connection(server) => format!("connection to {server:?}"),
        Sent::ToCa(octets) => format!("{octets} octets to the CA"),
    }
}
