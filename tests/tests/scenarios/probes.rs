//! `check --write`: probes are written where the way is good, and are on record as any other change.

use acme_alias_tests::{ALIAS_ZONE, Result, SECOND_ALIAS_ZONE, TestBed, git};

#[test]
fn a_bad_delegation_keeps_no_other_from_its_probe() -> Result {
    let bed = TestBed::start()?;
    let check = ["check", "example.com", "missing.example.org", "--write"];
    let people = bed.run(&check)?;
    assert_eq!(people.code, Some(3), "{people}");
    people.assert_printed(&[
        &format!("{} had it after ", bed.secondary()),
        "no probe was written for _acme-challenge.missing.example.org: see the errors above",
    ]);
    let json = bed
        .run(&[&check[..], &["--output", "json"]].concat())?
        .json()?;
    assert_eq!(json["written"][0]["zone"], ALIAS_ZONE, "{json}");
    assert_eq!(
        json["not_written"][0],
        "_acme-challenge.missing.example.org"
    );
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_zone_that_only_the_provider_of_a_certificate_knows_is_probed_through_it() -> Result {
    let beyond = format!("_acme-challenge.{SECOND_ALIAS_ZONE}");
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .cname("_acme-challenge.example.org", &beyond)
        .start()?;
    let mut settings = bed.settings();
    let zone = settings.alias_zones.remove(1);
    settings.zones.push((zone.zone, zone.servers));
    let settings = settings
        .certificate("com", "domains = [\"example.com\"]")
        .certificate("org", "domains = [\"example.org\"]\nprovider = \"second\"");
    let program = bed.program(settings)?;
    let outcome = program.run(&["check", "--write", "--output", "json"])?;
    outcome.assert_success();
    let json = outcome.json()?;
    let written = json["written"].as_array().into_iter().flatten();
    let zones: Vec<_> = written.map(|zone| zone["zone"].as_str()).collect();
    assert_eq!(zones, [Some(ALIAS_ZONE), Some(SECOND_ALIAS_ZONE)], "{json}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn probes_are_exported_where_the_audit_is_required() -> Result {
    let bed = TestBed::start()?;
    let repository = bed.folder().join("audit");
    let mut settings = bed.settings();
    let audit = format!("audit-git = \"{}\"", repository.display());
    settings.top = format!("{audit}\naudit = \"required\"\n");
    let program = bed.program(settings)?;
    program
        .run(&["check", "example.com", "--write"])?
        .assert_success();
    let log = git(&repository, &["log", "--format=%s"])?;
    assert!(log.contains("1 added, 1 withdrawn"), "{log}");
    Ok(())
}

#[test]
fn a_probe_is_timed_to_every_server_and_withdrawn() -> Result {
    let bed = TestBed::start()?;
    let outcome = bed.run(&["check", "example.com", "--write", "--output", "json"])?;
    outcome.assert_success();
    let written = &outcome.json()?["written"][0];
    assert_eq!(written["zone"], ALIAS_ZONE);
    let servers = written["servers"].as_array().map(Vec::len);
    assert_eq!(servers, Some(2), "{outcome}");
    assert_eq!((bed.orders()?, bed.serial(ALIAS_ZONE)?), (0, 3));
    let people = bed.run(&["check", "example.com", "--write"])?;
    let had_it = format!("{} had it after ", bed.secondary());
    assert!(people.stdout.contains(&had_it), "{people}");
    bed.assert_only_txt_was_touched(&[])
}
