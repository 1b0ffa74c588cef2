//! One certificate for an apex and its wildcard through an alias, and the way it took.
//! `cargo xtask demo` runs it.

#![expect(
    clippy::print_stdout,
    reason = "the demo is what it prints to the terminal"
)]

use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Change, Error, Result, TestBed};

const MAIN_ZONE: &str = "example.com";
const ARGUMENTS: [&str; 5] = [
    "issue",
    MAIN_ZONE,
    "*.example.com",
    "--challenge-alias",
    ALIAS_ZONE,
];

fn main() -> Result {
    let bed = TestBed::builder().delegate(&[MAIN_ZONE]).start()?;
    let serial = bed.serial(MAIN_ZONE)?;
    print_servers(&bed);
    print_delegation(&bed)?;

    let quoted = ARGUMENTS.map(|argument| {
        if argument.contains('*') {
            format!("'{argument}'")
        } else {
            argument.to_owned()
        }
    });
    println!("\n$ acme-alias {}", quoted.join(" "));
    let outcome = bed.run(&ARGUMENTS)?;
    print!("{}{}", outcome.stderr, outcome.stdout);
    if outcome.code != Some(0) {
        return Err(Error::new("no certificate was obtained"));
    }

    print_updates(&bed)?;
    println!("TXT records left at {ALIAS_NAME}: {}", bed.txt()?.len());
    println!(
        "Serial number of {MAIN_ZONE} before and after: {serial}, {}",
        bed.serial(MAIN_ZONE)?
    );
    let certificate = bed.certificate("example-com")?;
    println!("\nThe certificate:");
    println!("  names   {}", certificate.names.join(", "));
    println!("  from    {}", certificate.not_before);
    println!("  until   {}", certificate.not_after);
    println!(
        "  took    {:.2} s, in a debug build",
        outcome.usage.wall.as_secs_f64()
    );
    Ok(())
}

fn print_servers(bed: &TestBed) {
    println!("\nOn this machine, for as long as the demo runs:");
    let servers = [
        (bed.directory(), "the ACME server (Pebble)".to_owned()),
        (
            bed.ca_resolver().to_string(),
            "its resolver (Unbound), which caches for up to a minute".to_owned(),
        ),
        (
            bed.main_server().to_string(),
            format!("the zone {MAIN_ZONE}, which nobody may update"),
        ),
        (
            bed.primary().to_string(),
            format!("the alias zone {ALIAS_ZONE}, primary"),
        ),
        (
            bed.secondary().to_string(),
            format!("the alias zone {ALIAS_ZONE}, secondary"),
        ),
    ];
    for (address, what) in servers {
        println!("  {address:<27} {what}");
    }
}

fn print_delegation(bed: &TestBed) -> Result {
    println!("\nIn {MAIN_ZONE} there is, once and for all:");
    let challenge_name = format!("_acme-challenge.{MAIN_ZONE}");
    for line in bed.ask(bed.main_server(), &challenge_name, "CNAME")? {
        println!("  {line}");
    }
    println!("\nThe key may write TXT in the alias zone, and do nothing else:");
    let key = bed.key(ALIAS_ZONE)?;
    println!("  update-policy {{ grant {} zonesub TXT; }};", key.name);
    Ok(())
}

fn print_updates(bed: &TestBed) -> Result {
    println!("\nWhat the primary wrote and withdrew:");
    let mut in_vain = 0;
    for update in &bed.updates()?["primary"] {
        match &update.change {
            Change::TxtAdded { name, value } => println!("  + {name}. TXT \"{value}\""),
            Change::TxtRemoved { name } => println!("  - {name}. TXT"),
            question if question.was_in_vain() => in_vain += 1,
            Change::Other(what) => println!("  ? {what}"),
        }
    }
    println!("Updates that could change nothing, which asked what the key may do: {in_vain}");
    Ok(())
}
