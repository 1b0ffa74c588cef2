//! Certificates that are renewed.

use acme_alias_tests::{ALIAS_ZONE, MAIN_ZONES, Outcome, Result, TestBed};

#[test]
fn a_certificate_in_the_settings_is_issued_and_renewed_without_any_flag() -> Result {
    let bed = TestBed::start()?;
    let settings = bed.settings().certificate(
        "web",
        "domains = [\"example.com\", \"*.example.com\"]\nchallenge-alias = \"auth.example.net\"",
    );
    let program = bed.program(settings)?;
    program.run(&["issue", "web"])?.assert_success();
    let first = bed.certificate("web")?;
    assert_eq!(first.names, ["*.example.com", "example.com"]);

    program.run(&["renew", "--force"])?.assert_success();
    let second = bed.certificate("web")?;
    assert_eq!(second.names, first.names);
    assert_ne!(second.serial, first.serial);
    assert_eq!(bed.orders()?, 2);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_certificate_issued_by_flags_is_renewed_through_the_same_alias_without_them() -> Result {
    let bed = TestBed::builder()
        .cname("_acme-challenge.example.com", "tokens.auth.example.net")
        .start()?;
    let program = bed.program(bed.settings())?;
    let issue = ["issue", "example.com", "--key-type", "ecdsa-p384"];
    let alias = ["--domain-alias", "tokens.auth.example.net"];
    program
        .run(&[&issue[..], &alias[..]].concat())?
        .assert_success();
    let first = bed.certificate("example-com")?;
    program.run(&["renew", "--force"])?.assert_success();
    assert_ne!(bed.certificate("example-com")?.serial, first.serial);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn what_is_not_due_is_not_renewed() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    program
        .run(&["issue", "example.com", "--challenge-alias", ALIAS_ZONE])?
        .assert_success();
    let outcome = program.run(&["renew", "--output", "json"])?;
    outcome.assert_success();
    let renewal = outcome.json()?;
    assert_eq!(renewal["skipped"][0]["certificate"], "example-com");
    assert_eq!(renewal["renewed"], serde_json::json!([]));
    assert_eq!(bed.orders()?, 1);
    Ok(())
}

#[test]
fn what_is_due_is_renewed_and_one_failure_does_not_stop_the_others() -> Result {
    // The last one has no CNAME.
    let bed = TestBed::builder().delegate(&MAIN_ZONES[..4]).start()?;
    let settings = MAIN_ZONES.iter().fold(bed.settings(), |settings, domain| {
        let lines = format!("domains = [\"{domain}\"]\nchallenge-alias = \"{ALIAS_ZONE}\"");
        settings.certificate(&domain.replace('.', "-"), &lines)
    });
    let outcome = bed.program(settings)?.run(&["renew", "--output", "json"])?;
    assert_eq!(outcome.code, Some(3), "{outcome}");
    let renewal = outcome.json()?;
    assert_eq!(renewal["renewed"].as_array().map(Vec::len), Some(4));
    assert_eq!(renewal["failed"][0]["certificate"], "shop-example");
    assert_eq!(bed.orders()?, 4);
    bed.assert_only_txt_was_touched(&[])
}

fn issue_with<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    let issue = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];
    [&issue[..], flags].concat()
}

#[test]
fn stored_settings_that_cannot_be_used_any_more_can_be_replaced() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    let flags = ["--provider", "first"];
    program.run(&issue_with(&flags))?.assert_success();

    // The provider gets another name, and the stored flags still have the old one.
    let mut settings = bed.settings();
    settings.providers[0].id = "renamed";
    settings.alias_zones[0].provider = "renamed";
    let program = bed.program(settings)?;
    let outcome = program.run(&["renew", "--force"])?;
    outcome.assert_failure(2, &["example-com", "first"]);
    assert_eq!(bed.orders()?, 1);

    // The certificate is kept, and the flags are stored.
    program.run(&issue_with(&[]))?.assert_success();
    assert_eq!(bed.orders()?, 1);
    program.run(&["renew", "--force"])?.assert_success();
    assert_eq!(bed.orders()?, 2);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_certificate_in_the_settings_is_never_renewed_by_the_flags_of_an_earlier_one() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    let ca_file = bed.ca_file().display().to_string();
    let flags = ["--ca-file", &ca_file];
    program.run(&issue_with(&flags))?.assert_success();

    // The certificate is in the settings now, which cannot be used. With the stored flags it could be renewed.
    let mut settings = bed.settings().certificates(&["example.com"]);
    settings.ca_file = Some(bed.folder().join("does-not-exist"));
    let program = bed.program(settings)?;
    let assert_reported = |outcome: &Outcome| -> Result {
        assert_eq!(outcome.code, Some(2), "{outcome}");
        let failed = &outcome.json()?["failed"];
        assert_eq!(failed.as_array().map(Vec::len), Some(1), "{outcome}");
        assert_eq!(failed[0]["certificate"], "example-com", "{outcome}");
        assert!(outcome.stdout.contains("does-not-exist"), "{outcome}");
        Ok(())
    };
    let renew = ["renew", "--force", "--output", "json"];
    assert_reported(&program.run(&renew)?)?;
    let by_id = ["renew", "example-com", "--force", "--output", "json"];
    assert_reported(&program.run(&by_id)?)?;
    assert_eq!(bed.orders()?, 1);
    Ok(())
}
