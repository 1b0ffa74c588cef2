//! acme2certifier, a real CA that has renewal information and profiles, and does much otherwise than Pebble.

use acme_alias_tests::{ALIAS_ZONE, Acme2certifier, Outcome, Program, Result, TestBed};
use serde_json::{Value, json};

/// A certificate `web`, with more lines of settings.
fn program(bed: &TestBed, ca: &Acme2certifier, more: &str) -> Result<Program> {
    let names = "domains = [\"example.com\", \"*.example.com\"]";
    let lines = format!("{names}\nchallenge-alias = \"{ALIAS_ZONE}\"\n{more}");
    let mut settings = bed.settings().certificate("web", &lines);
    settings.directory = ca.directory();
    settings.ca_file = Some(ca.root().to_owned());
    bed.program(settings)
}

fn shown(program: &Program) -> Result<Value> {
    program.run(&["show", "web", "--output", "json"])?.json()
}

/// It succeeded, and printed these texts.
#[track_caller]
fn assert_printed(outcome: &Outcome, texts: &[&str]) {
    outcome.assert_success();
    outcome.assert_printed(texts);
}

#[test]
fn certificates_are_obtained_renewed_with_the_same_account_and_revoked() -> Result {
    let bed = TestBed::start()?;
    let ca = bed.acme2certifier("")?;
    let program = program(&bed, &ca, "")?;
    program.run(&["renew"])?.assert_success();
    let first = bed.certificate("web")?;
    assert_eq!(first.names.len(), 2);
    // The window begins when 85 of 100 days are over.
    assert_printed(&program.run(&["renew"])?, &["web: not due"]);
    let window = &shown(&program)?["window"];
    assert!(
        window["start"].is_string() && window["renew_at"].is_string(),
        "{window}"
    );
    // It takes `replaces`, and does not say so.
    assert_printed(
        &program.run(&["renew", "--force"])?,
        &["because of `--force`"],
    );
    assert_ne!(bed.certificate("web")?.serial, first.serial);
    assert_eq!(ca.log()?.matches("/acme/newaccount").count(), 1);

    let revoked = program.run(&["revoke", "web", "--reason", "superseded"])?;
    revoked.assert_success();
    assert_printed(&program.run(&["renew"])?, &["because it was revoked"]);
    assert_printed(&program.run(&["renew"])?, &["web: not due"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_certificate_is_renewed_when_the_window_has_begun() -> Result {
    let bed = TestBed::start()?;
    let ca = bed
        .acme2certifier("[Renewalinfo]\nrenewalthreshold_pctg: 0\nrenewal_window_duration: 1\n")?;
    let program = program(&bed, &ca, "")?;
    program.run(&["renew"])?.assert_success();
    let first = bed.certificate("web")?;
    let renewed = program.run(&["renew"])?;
    assert_printed(&renewed, &["because the CA wants it to be renewed now"]);
    assert_ne!(bed.certificate("web")?.serial, first.serial);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn profiles_are_requested_and_unknown_ones_refused() -> Result {
    let bed = TestBed::start()?;
    let ca = bed.acme2certifier(
        "[Order]\nprofiles: {\"classic\": \"https://ca.example/1\", \"shortlived\": \"https://ca.example/2\"}\n",
    )?;
    let unknown = program(&bed, &ca, "profile = \"short\"\n")?.run(&["renew"])?;
    unknown.assert_failure(5, &["no profile `short`", "classic", "shortlived"]);
    let known = program(&bed, &ca, "profile = \"shortlived\"\n")?;
    known.run(&["renew", "web"])?.assert_success();
    assert_printed(&known.run(&["renew"])?, &["web: not due"]);
    let other = program(&bed, &ca, "profile = \"classic\"\n")?.run(&["renew"])?;
    assert_printed(
        &other,
        &["because the profile is classic instead of shortlived"],
    );
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_ca_that_cannot_sign_is_quoted_with_what_it_said_first() -> Result {
    let bed = TestBed::start()?;
    let ca = bed.acme2certifier("")?;
    ca.lose_key()?;
    let failed = program(&bed, &ca, "")?.run(&["renew"])?;
    // It answers 500, and then that the order is not ready.
    failed.assert_failure(5, &["answered 500: enrollment failed"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn the_key_of_the_account_is_changed() -> Result {
    let bed = TestBed::start()?;
    let ca = bed.acme2certifier("")?;
    let program = program(&bed, &ca, "")?;
    program.run(&["renew"])?.assert_success();
    let account = |command: &str| -> Result<Value> {
        let outcome = program.run(&["account", command, "--output", "json"])?;
        outcome.assert_success();
        Ok(outcome.json()?["account"].clone())
    };
    let old = account("show")?;
    let new = account("rollover")?;
    assert_eq!(new["url"], old["url"]);
    assert_ne!(new["thumbprint"], old["thumbprint"]);
    program.run(&["renew", "--force"])?.assert_success();
    assert_eq!(account("show")?["status"], json!("valid"));
    Ok(())
}
