//! How many delegations `check` looks at in a second: in zones that are not signed, and in signed ones, where
//! every CNAME is validated. Medians, as a Markdown table; `cargo xtask bench` runs it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its table and tells how far it is"
)]

use std::time::Duration;

use acme_alias_tests::{
    Error, Profile, Program, Result, SignedTree, SignedZone, Signing, TestBed, Usage, median,
};

const DOMAINS: usize = 1_000;

fn main() -> Result {
    let runs: usize = std::env::args().nth(1).map_or(Ok(5), |runs| runs.parse())?;
    println!("\n| {DOMAINS} domains checked | wall | domains per second | CPU | peak memory |");
    println!("|---|---:|---:|---:|---:|");
    let plain: Vec<_> = (1..=DOMAINS)
        .map(|i| format!("check{i:04}.example.com"))
        .collect();
    let bed = TestBed::builder()
        .delegate_apart(&plain)
        .profile(Profile::Release)
        .start()?;
    row("not signed", &bed.program(bed.settings())?, &plain, runs)?;

    let signed: Vec<_> = (1..=DOMAINS)
        .map(|i| format!("check{i:04}.signed.test"))
        .collect();
    let cnames = signed
        .iter()
        .map(|domain| format!("_acme-challenge.{domain}. 600 IN CNAME {domain}.alias.test."));
    let zone = |apex, records| SignedZone {
        apex,
        signing: Signing::Nsec,
        records,
    };
    let tree = SignedTree::start(&[
        zone("test", Vec::new()),
        zone("signed.test", cnames.collect()),
        zone("alias.test", Vec::new()),
    ])?;
    let mut settings = bed.settings();
    settings.resolver = tree.address();
    settings.trust_anchor = Some(tree.trust_anchor());
    for apex in ["test", "signed.test"] {
        settings.zones.push((apex.to_owned(), vec![tree.address()]));
    }
    // Signed as well: the tree has nothing else.
    "alias.test".clone_into(&mut settings.alias_zones[0].zone);
    settings.alias_zones[0].servers = vec![tree.address()];
    row("signed", &bed.program(settings)?, &signed, runs)
}

fn row(title: &str, program: &Program, domains: &[String], runs: usize) -> Result {
    eprintln!("check: {title}");
    let arguments = [&["check".to_owned()][..], domains].concat();
    let run = |_| {
        let outcome = program.run(&arguments)?;
        outcome.assert_success();
        let all = format!("{DOMAINS} challenge names: {DOMAINS} good");
        if !outcome.stdout.contains(&all) {
            return Err(Error::new(&outcome));
        }
        Ok(outcome.usage)
    };
    let usages = (0..runs).map(run).collect::<Result<Vec<Usage>>>()?;
    let seconds = |duration: Duration| format!("{:.2} s", duration.as_secs_f64());
    let wall = median(&usages, |usage| usage.wall);
    println!(
        "| {title} | {} | {:.0} | {} | {} MB |",
        seconds(wall),
        f64::from(u32::try_from(DOMAINS)?) / wall.as_secs_f64(),
        seconds(median(&usages, |usage| usage.cpu)),
        median(&usages, |usage| usage.peak_memory) / 1_000_000
    );
    Ok(())
}
