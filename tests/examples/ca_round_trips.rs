//! How often one certificate makes the program wait for a CA that is far away, as a Markdown table. Everything
//! else is near, so the wall time grows by one round trip for each request that waits for the one before it.
//! The argument is the number of runs of each case, of which the medians are shown.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its table and reports its progress"
)]

use std::path::Path;
use std::time::Duration;

use acme_alias_tests::{BedServer, Profile, Result, Settings, TestBed, median};

const RTT: Duration = Duration::from_millis(200);
const HOSTS: usize = 50;

/// What one run needed.
struct Sample {
    near: Duration,
    far: Duration,
    requests: usize,
    connections: usize,
}

fn main() -> Result {
    let runs: usize = std::env::args().nth(1).map_or(Ok(3), |runs| runs.parse())?;
    let hosts: Vec<_> = (1..=HOSTS)
        .map(|i| format!("host{i:02}.example.com"))
        .collect();
    let delegated: Vec<_> = hosts
        .iter()
        .map(String::as_str)
        .chain(["example.com"])
        .collect();
    let cases = [
        ("1 name", vec!["example.com".to_owned()]),
        (
            "apex + wildcard",
            vec!["example.com".to_owned(), "*.example.com".to_owned()],
        ),
        ("50 names", hosts.clone()),
    ];
    let bed = TestBed::builder()
        .delegate_apart(&delegated)
        .profile(Profile::Debug)
        .start()?;
    println!("| | account | round trips at the CA | requests | connections |");
    println!("|---|---|---:|---:|---:|");
    for (title, names) in &cases {
        for is_new in [true, false] {
            let account = if is_new { "new" } else { "exists" };
            eprintln!("{title}, account: {account}");
            let samples = (0..runs)
                .map(|run| {
                    let state = bed.folder().join(format!("{title}-{account}-{run}"));
                    sample(&bed, &state, names, is_new)
                })
                .collect::<Result<Vec<_>>>()?;
            let wait = |sample: &Sample| sample.far.saturating_sub(sample.near);
            println!(
                "| {title} | {account} | {:.1} | {} | {} |",
                median(&samples, wait).as_secs_f64() / RTT.as_secs_f64(),
                median(&samples, |sample| sample.requests),
                median(&samples, |sample| sample.connections),
            );
        }
    }
    println!(
        "\nRound trips: how much longer a run takes with the CA {} ms away, divided by that. The first two open \
         the connection. Medians of {runs} runs.",
        RTT.as_millis()
    );
    Ok(())
}

fn sample(bed: &TestBed, state: &Path, names: &[String], is_new: bool) -> Result<Sample> {
    let with = |settings: Settings, place: &str| {
        let mut settings = settings.certificate("measured", &format!("domains = {names:?}"));
        settings.state = state.join(place);
        bed.program(settings)
    };
    let renew = ["renew", "--force"];
    let near = with(bed.settings(), "near")?;
    let relays = bed.far_ca(RTT)?;
    let far = with(relays.settings(), "far")?;
    if !is_new {
        for program in [&near, &far] {
            program.run(&renew)?.assert_success();
        }
    }
    let near = near.run(&renew)?;
    near.assert_success();
    let (requests, traffic) = (bed.acme_requests()?, relays.traffic());
    let far = far.run(&renew)?;
    far.assert_success();
    Ok(Sample {
        near: near.usage.wall,
        far: far.usage.wall,
        requests: bed.acme_requests()? - requests,
        connections: relays
            .traffic()
            .since(&traffic)
            .volume(BedServer::Ca)
            .connections,
    })
}
