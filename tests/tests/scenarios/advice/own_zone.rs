//! A challenge name that is a zone of its own, delegated by NS records: there is no CNAME, and there can be none.

use acme_alias_tests::{Outcome, Program, Result, Settings, TestBed};

use super::follow::{
    assert_all_works, first_policy, flags_of, grade, issue, only_servers, put_policy, records, said,
};

/// The zone.
const ZONE: &str = "_acme-challenge.example.com";

fn start() -> Result<TestBed> {
    TestBed::builder().challenge_zone("example.com").start()
}

/// Settings with that alias zone alone.
fn only_that_zone(bed: &TestBed) -> Settings {
    let mut settings = bed.settings();
    settings.alias_zones.drain(..2);
    settings
}

/// Each way in which the certificate can be described. It is issued already.
fn all_ways(bed: &TestBed) -> Result<Vec<Program>> {
    let flags = flags_of(&bed.settings().providers[2]);
    let with = |mut settings: Settings, way: &str| {
        settings.state = bed.folder().join(format!("state-{way}"));
        bed.program(settings)
    };
    let plain = "domains = [\"example.com\"]".to_owned();
    let named = format!("{plain}\ndomain-alias = \"{ZONE}\"");
    let by_provider = format!("{named}\nprovider = \"third\"");
    let mut without_zones = bed.settings();
    let zones = without_zones.alias_zones.drain(..);
    let servers: Vec<_> = zones.map(|zone| (zone.zone, zone.servers)).collect();
    without_zones.zones.extend(servers);
    let mut programs = Vec::new();
    for (way, settings) in [
        ("plain", only_that_zone(bed).certificate("web", &plain)),
        ("all-zones", bed.settings().certificate("web", &plain)),
        ("named", only_that_zone(bed).certificate("web", &named)),
        (
            "by-provider",
            without_zones.certificate("web", &by_provider),
        ),
    ] {
        let program = with(settings, way)?;
        issue(&program, &["web"], &[])?;
        programs.push(program);
    }
    for (way, flag) in [
        ("zone-flag", "--alias-zone"),
        ("alias-flag", "--domain-alias"),
    ] {
        let program = with(only_servers(bed), way)?;
        issue(&program, &["example.com", flag, ZONE], &flags)?;
        programs.push(program);
    }
    Ok(programs)
}

fn assert_no_record(outcome: &Outcome) {
    assert_eq!(records(outcome), [""; 0], "{outcome}");
}

#[test]
fn delegate_advises_no_record_at_the_apex_of_a_zone() -> Result {
    let bed = start()?;
    for program in all_ways(&bed)? {
        for arguments in [&["delegate"][..], &["delegate", "example.com"]] {
            let outcome = program.run(arguments)?;
            outcome.assert_success();
            assert_no_record(&outcome);
            outcome.assert_said(&["already in place"]);
        }
        for flag in ["--unique", "--by-domain"] {
            let arguments = [
                "delegate",
                "example.com",
                flag,
                "--challenge-alias",
                "auth.example.net",
            ];
            let outcome = program.run(&arguments)?;
            outcome.assert_success();
            assert_no_record(&outcome);
            outcome.assert_said(&["is the apex of a zone"]);
        }
        // Nothing else is expected from here on.
        assert_all_works(&bed, &program)?;
    }
    Ok(())
}

#[test]
fn the_policy_and_the_advice_of_the_audit_keep_it_working() -> Result {
    for command in ["policy", "audit"] {
        let bed = start()?;
        let programs = all_ways(&bed)?;
        let mut old = first_policy("third-key");
        for program in &programs {
            let printed = program.run(&["key", command, "--output", "json"])?;
            put_policy(&bed, &printed, ZONE, &old)?;
            assert_all_works(&bed, program)?;
            assert_eq!(grade(&bed, program, ZONE)?, "tight", "{printed}");
            let wide = first_policy("third-key");
            let narrow = super::follow::policies(&printed, ZONE)?.remove(0);
            assert_ne!(narrow, wide, "{printed}");
            bed.replace_in_primary(&narrow, &wide)?;
            old = wide;
        }
    }
    Ok(())
}

#[test]
fn a_zone_that_nobody_has_configured_is_named_and_either_remedy_works() -> Result {
    // With the alias of other domains, so that a CNAME would be the usual remedy.
    for alias in ["", "challenge-alias = \"auth.example.net\""] {
        let bed = start()?;
        let certificate = format!("domains = [\"example.com\"]\n{alias}");
        let mut settings = bed.settings().certificate("web", &certificate);
        let third = settings.alias_zones.remove(2);
        settings.alias_zones.truncate(1);
        settings.zones.push((third.zone, third.servers));
        let program = bed.program(settings)?;
        let check = program.run(&["check"])?;
        check.assert_failure(3, &[]);
        let words: Vec<_> = said(&check).split_whitespace().map(str::to_owned).collect();
        let words = words.join(" ");
        for expected in [
            "_acme-challenge.example.com is the apex of a zone of its own",
            "remove its NS records from the zone above",
        ] {
            assert!(words.contains(expected), "{expected}: {check}");
        }
        // One remedy: the NS records make way for the CNAME.
        let record = records(&check).remove(0);
        bed.update_main_zones(&format!(
            "zone example.com.\nupdate delete {ZONE}. NS\nupdate add {record}\nsend\n"
        ))?;
        let mut settings = program.settings.clone();
        settings.zones.retain(|(zone, _)| zone != ZONE);
        let program = bed.program(settings)?;
        program.run(&["check"])?.assert_success();
    }
    // The other one: the zone becomes an alias zone.
    let bed = start()?;
    let settings = only_that_zone(&bed).certificate("web", "domains = [\"example.com\"]");
    let program = bed.program(settings)?;
    issue(&program, &["web"], &[])?;
    assert_all_works(&bed, &program)
}
