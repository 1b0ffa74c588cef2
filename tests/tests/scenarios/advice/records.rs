//! What `delegate` prints, for names that lead somewhere already and for certificates issued by flags.

use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Result, SECOND_ALIAS_ZONE, Settings, TestBed};

use super::follow::{
    assert_all_works, flags_of, issue, issue_again, only_servers, records, replace_records, said,
};

/// Settings with the first alias zone alone.
fn one_zone(bed: &TestBed) -> Settings {
    let mut settings = bed.settings();
    settings.alias_zones.truncate(1);
    settings
}

#[test]
fn a_name_that_leads_into_an_alias_zone_needs_no_other_record() -> Result {
    let bed = TestBed::builder()
        .cname("_acme-challenge.example.com", "own.auth.example.net")
        .start()?;
    for settings in [bed.settings(), one_zone(&bed)] {
        let program = bed.program(settings)?;
        issue(&program, &["example.com"], &[])?;
        for arguments in [&["delegate"][..], &["delegate", "*.example.com"]] {
            let outcome = program.run(arguments)?;
            outcome.assert_success();
            outcome.assert_said(&["The record is already in place."]);
            assert_eq!(records(&outcome), [""; 0], "{outcome}");
        }
        assert_all_works(&bed, &program)?;
    }
    Ok(())
}

#[test]
fn a_name_in_an_alias_zone_needs_no_record() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(one_zone(&bed))?;
    issue(&program, &[ALIAS_ZONE], &[])?;
    for arguments in [
        &["delegate"][..],
        &["delegate", ALIAS_ZONE, "--challenge-alias", ALIAS_ZONE],
    ] {
        let outcome = program.run(arguments)?;
        outcome.assert_success();
        assert_eq!(records(&outcome), [""; 0], "{outcome}");
        outcome.assert_said(&["The record is already in place."]);
    }
    assert_all_works(&bed, &program)
}

#[test]
fn every_format_that_a_server_takes_brings_the_certificate() -> Result {
    for by_flags in [false, true] {
        for format in ["zone", "nsupdate"] {
            let bed = TestBed::builder()
                .cname("_acme-challenge.example.com", "old.example.org")
                .record("_acme-challenge.example.org", "TXT \"left behind\"")
                .start()?;
            let names = ["example.com", "example.org", "www.example.edu"];
            let program = bed.program(one_zone(&bed))?;
            let alias: &[&str] = if by_flags {
                &["--challenge-alias", ALIAS_ZONE]
            } else {
                &[]
            };
            let delegate = [&["delegate", "--format", format][..], &names, alias].concat();
            let printed = program.run(&delegate)?;
            printed.assert_success();
            if format == "nsupdate" {
                bed.update_main_zones(&printed.stdout)?;
            } else {
                // What a line replaces stands above it.
                let mut script = String::new();
                for line in printed.stdout.lines() {
                    let owner = line.split(' ').next().unwrap_or_default();
                    if !line.starts_with(';') {
                        script.push_str(&format!(
                            "update delete {owner} CNAME\nupdate delete {owner} TXT\nupdate add {line}\nsend\n"
                        ));
                    }
                }
                bed.update_main_zones(&script)?;
            }
            program
                .run(&delegate)?
                .assert_said(&["All 3 records are already in place."]);
            issue(&program, &[&names[..], alias].concat(), &[])?;
            assert_all_works(&bed, &program)?;
        }
    }
    Ok(())
}

/// Lets the challenge name of `example.com` lead there. Nobody caches it, so that the CA sees the next one at once.
fn point(bed: &TestBed, alias_name: &str) -> Result {
    bed.update_main_zones(&format!(
        "update delete _acme-challenge.example.com. CNAME\n\
         update add _acme-challenge.example.com. 0 CNAME {alias_name}.\nsend\n"
    ))
}

#[test]
fn of_two_aliases_given_by_flags_the_one_that_works_stays() -> Result {
    let bed = TestBed::start()?;
    point(&bed, &format!("_acme-challenge.{SECOND_ALIAS_ZONE}"))?;
    let program = bed.program(only_servers(&bed))?;
    let providers = bed.settings().providers;
    let arguments = [
        "example.com",
        "--id",
        "a-old",
        "--challenge-alias",
        SECOND_ALIAS_ZONE,
    ];
    issue(&program, &arguments, &flags_of(&providers[1]))?;
    // The CNAME moves, and the certificate is issued again with the new alias, under another id.
    point(&bed, ALIAS_NAME)?;
    let arguments = [
        "example.com",
        "--id",
        "b-new",
        "--challenge-alias",
        ALIAS_ZONE,
    ];
    issue_again(&bed, &program, &arguments, &flags_of(&providers[0]))?;
    let outcome = program.run(&["delegate"])?;
    outcome.assert_success();
    assert_eq!(records(&outcome), [""; 0], "{outcome}");
    let words = ["`a-old`", "`b-new`", "_acme-challenge.example.com"];
    outcome.assert_said(&words);
    // The alias of each certificate concerns that one only.
    let check = program.run(&["check"])?;
    assert_eq!(check.code, Some(3), "{check}");
    let configured = format!("_acme-challenge.{SECOND_ALIAS_ZONE}. is configured");
    check.assert_printed(&["good example.com", &configured]);
    let policy = program.run(&["key", "policy"])?;
    assert!(policy.stdout.contains(ALIAS_NAME), "{policy}");
    program.run(&["forget", "a-old"])?.assert_success();
    program.run(&["check"])?.assert_success();
    program
        .run(&["renew", "b-new", "--force"])?
        .assert_success();
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn names_of_their_own_can_be_had_for_certificates_issued_by_flags() -> Result {
    let bed = TestBed::start()?;
    point(&bed, ALIAS_NAME)?;
    let program = bed.program(only_servers(&bed))?;
    let flags = flags_of(&bed.settings().providers[0]);
    let alias = ["--challenge-alias", ALIAS_ZONE];
    issue(&program, &[&["example.com"][..], &alias].concat(), &flags)?;
    let unique = [&["delegate", "example.com", "--unique"][..], &alias].concat();
    let printed = program.run(&unique)?;
    printed.assert_success();
    // The words that come with the record are the command to run once the record is there.
    let said = said(&printed);
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, flag) = words.split_once("`--domain-alias ").unwrap_or_default();
    let (value, _) = flag.split_once('`').unwrap_or_default();
    assert!(value.contains("auth.example.net"), "{printed}");
    replace_records(&bed, &printed)?;
    issue_again(
        &bed,
        &program,
        &["example.com", "--domain-alias", value],
        &flags,
    )?;
    assert_all_works(&bed, &program)
}
