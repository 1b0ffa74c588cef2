//! The records that the main zones need, and what comes of them when they are there.

use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Builder, Result, TestBed};

/// A bed whose main zones have these lines of a zone file.
fn with_lines(lines: &str) -> Result<TestBed> {
    let records = lines.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            [name, "600", "IN", "CNAME", target] => Some((*name, *target)),
            _ => None,
        }
    });
    let dotless = |name: &str| name.trim_end_matches('.').to_owned();
    records
        .fold(Builder::default(), |builder, (name, target)| {
            builder.cname(&dotless(name), &dotless(target))
        })
        .start()
}

#[test]
fn what_is_missing_is_printed_and_what_is_there_is_not() -> Result {
    let bed = TestBed::builder().delegate(&["example.org"]).start()?;
    let names = [
        "example.com",
        "*.example.com",
        "www.example.org",
        "example.org",
    ];
    let delegate = [&["delegate", "--challenge-alias", ALIAS_ZONE][..], &names].concat();
    let outcome = bed.run(&delegate)?;
    outcome.assert_success();
    let lines = [
        format!("_acme-challenge.example.com. 600 IN CNAME {ALIAS_NAME}.\n"),
        format!("_acme-challenge.www.example.org. 600 IN CNAME {ALIAS_NAME}.\n"),
    ];
    assert_eq!(outcome.stdout, lines.concat(), "{outcome}");
    let all = bed.run(&[&delegate[..], &["--all"]].concat())?;
    assert_eq!(all.stdout.lines().count(), 3, "{all}");
    let json = [&delegate[..], &["--output", "json"]].concat();
    let json = bed.run(&json)?.json()?;
    assert_eq!(
        (&json["there"], &json["records"][1]["zone"]),
        (&1.into(), &"example.org".into())
    );

    // With the lines in the zones all is there, and a certificate is obtained.
    let there = with_lines(&all.stdout)?;
    let outcome = there.run(&delegate)?;
    assert_eq!(outcome.stdout, "");
    outcome.assert_said(&["All 3 records are there already."]);
    there
        .run(&[&["issue"][..], &names].concat())?
        .assert_success();
    there.assert_only_txt_was_touched(&[])
}

#[test]
fn a_label_of_its_own_is_kept_and_opens_one_name_only() -> Result {
    let bed = TestBed::start()?;
    let unique = [
        "delegate",
        "example.com",
        "example.edu",
        "--challenge-alias",
        ALIAS_ZONE,
        "--unique",
    ];
    let first = bed.run(&unique)?;
    first.assert_success();
    first.assert_said(&[]);
    let replaced = format!("; in place of the CNAME to {ALIAS_NAME}.");
    assert!(first.stdout.contains(&replaced), "{first}");
    assert_eq!(
        bed.run(&unique)?.stdout,
        first.stdout,
        "the labels are kept"
    );
    let targets: Vec<_> = first
        .stdout
        .lines()
        .filter_map(|line| line.split_once(" IN CNAME ").map(|(_, target)| target))
        .collect();
    assert_eq!(targets.len(), 2);
    assert_ne!(targets[0], targets[1]);
    for target in &targets {
        let label = target.strip_suffix(&format!(".{ALIAS_ZONE}."));
        assert!(label.is_some_and(|label| label.len() == 26), "{target}");
    }

    let there = with_lines(&first.stdout)?;
    let mut settings = there.settings();
    settings.state = bed.settings().state;
    let program = there.program(settings)?;
    let again = program.run(&unique)?;
    again.assert_said(&["All 2 records are there already."]);
    program
        .run(&["issue", "example.com", "example.edu"])?
        .assert_success();
    there.assert_only_txt_was_touched(&[])
}

#[test]
fn caa_records_name_the_authority_the_method_and_the_account() -> Result {
    let bed = TestBed::start()?;
    let caa = [
        "delegate",
        "example.com",
        "*.example.com",
        "--challenge-alias",
        ALIAS_ZONE,
        "--caa",
    ];
    bed.run(&caa)?
        .assert_failure(2, &["CAA records", "`--caa-issuer`"]);
    let caa = [&caa[..], &["--caa-issuer", "ca.example"]].concat();
    let without = bed.run(&caa)?;
    without.assert_success();
    without.assert_said(&["there is no account"]);
    bed.run(&["issue", "example.com"])?.assert_success();
    let outcome = bed.run(&caa)?;
    outcome.assert_success();
    let lines: Vec<_> = outcome.stdout.lines().collect();
    let value = "\"ca.example; validationmethods=dns-01; accounturi=https://";
    for (line, tag) in lines[2..].iter().zip(["issue", "issuewild"]) {
        let wanted = format!("example.com. 600 IN CAA 0 {tag} {value}");
        assert!(line.starts_with(&wanted), "{outcome}");
    }
    assert_eq!(lines[0], format!("{ALIAS_ZONE}. 600 IN CAA 0 issue \";\""));
    assert_eq!(lines.len(), 4, "{outcome}");
    Ok(())
}

#[test]
fn what_cannot_be_delegated_is_told() -> Result {
    let bed = TestBed::start()?;
    bed.run(&["delegate"])?
        .assert_failure(2, &["no domain to delegate"]);
    let several = bed.run(&["delegate", "example.com"])?;
    several.assert_failure(
        2,
        &[
            "where _acme-challenge.example.com shall lead",
            "--challenge-alias",
            ALIAS_ZONE,
        ],
    );
    let nowhere = [
        "delegate",
        "nowhere.invalid",
        "--challenge-alias",
        ALIAS_ZONE,
    ];
    bed.run(&nowhere)?
        .assert_failure(3, &["the zone that holds _acme-challenge.nowhere.invalid"]);
    Ok(())
}
