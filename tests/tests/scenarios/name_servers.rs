//! Servers of the alias zone that do not take the update: each refusal has its own words, and all
//! but that of the policy come before the CA is asked for an order.

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Algorithm, Key, Program, Result, Settings, SilentServer, TestBed,
};

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];

/// Runs `program`, and checks that it ends with code 4, names the server, and leaves nothing.
fn refused(bed: &TestBed, program: &Program, words: &[&str]) -> Result {
    let outcome = program.run(&ISSUE)?;
    outcome.assert_failure(4, words);
    outcome.assert_said(&[&program.settings.providers[0].server.to_string()]);
    assert_eq!(bed.txt()?, []);
    Ok(())
}

/// The same, and no order was opened.
fn refused_before_the_order(bed: &TestBed, program: &Program, words: &[&str]) -> Result {
    refused(bed, program, words)?;
    assert_eq!(bed.orders()?, 0);
    Ok(())
}

fn with(bed: &TestBed, change: impl FnOnce(&mut Settings)) -> Result<Program> {
    let mut settings = bed.settings();
    change(&mut settings);
    bed.program(settings)
}

#[test]
fn a_key_that_may_not_do_it_is_reported_with_the_policy_it_needs() -> Result {
    let bed = TestBed::start()?;
    let program = with(&bed, |settings| {
        settings.providers[0].key = "stranger-key".to_owned();
        settings.providers[0].secret = bed.secret_file("stranger-key");
    })?;
    let name = format!("TXT at {ALIAS_NAME}");
    let words = ["REFUSED", &name, "grant stranger-key zonesub TXT;"];
    refused(&bed, &program, &words)?;
    let again = program.run(&ISSUE)?;
    assert!(!again.stderr.contains("may be left"), "{again}");
    Ok(())
}

#[test]
fn a_wrong_secret_is_reported_as_badsig() -> Result {
    let bed = TestBed::start()?;
    let other = Key::generate("acme-key", Algorithm::Sha256);
    let secret = bed.write_secret("wrong.secret", &other.secret)?;
    let program = with(&bed, |settings| settings.providers[0].secret = secret)?;
    refused_before_the_order(&bed, &program, &["BADSIG", "acme-key", "tsig-secret"])?;
    let outcome = program.run(&ISSUE)?;
    assert!(!outcome.stderr.contains(&other.secret), "{outcome}");
    Ok(())
}

#[test]
fn a_wrong_algorithm_is_reported_as_badkey() -> Result {
    let bed = TestBed::start()?;
    let program = with(&bed, |settings| {
        settings.providers[0].algorithm = Algorithm::Sha512;
    })?;
    refused_before_the_order(&bed, &program, &["BADKEY", "hmac-sha512", "tsig-algorithm"])
}

#[test]
fn a_key_the_server_does_not_know_is_reported_as_badkey() -> Result {
    let bed = TestBed::start()?;
    let program = with(&bed, |settings| {
        settings.providers[0].key = "no-such-key".to_owned();
    })?;
    refused_before_the_order(&bed, &program, &["BADKEY", "no-such-key"])
}

#[test]
fn a_clock_that_is_ten_minutes_off_is_reported_with_the_difference() -> Result {
    let bed = TestBed::start()?;
    for (offset, direction) in [("+600s", "behind"), ("-600s", "ahead")] {
        let program = bed.program(bed.settings())?.clock(offset);
        let outcome = program.run(&ISSUE)?;
        outcome.assert_failure(4, &["BADTIME", direction, "NTP"]);
        let off = ["599 s", "600 s", "601 s", "602 s"];
        let said = &outcome.stderr;
        assert!(
            off.iter().any(|seconds| said.contains(seconds)),
            "{outcome}"
        );
    }
    assert_eq!(bed.orders()?, 0);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_server_that_is_down_is_reported() -> Result {
    let bed = TestBed::start()?;
    let port = bed.dead_port()?;
    let program = with(&bed, |settings| {
        settings.providers[0].server = port.address();
    })?;
    refused_before_the_order(&bed, &program, &["could not be reached", "refused"])
}

#[test]
fn a_server_that_never_answers_is_reported() -> Result {
    let bed = TestBed::start()?;
    let silent = SilentServer::start()?;
    let program = with(&bed, |settings| {
        settings.providers[0].server = silent.address();
    })?;
    refused_before_the_order(&bed, &program, &["5s"])
}

#[test]
fn a_server_that_answers_servfail_is_reported() -> Result {
    let bed = TestBed::builder()
        .cname("_acme-challenge.example.com", "acme.broken.example.net")
        .broken_alias_zone("broken.example.net")
        .start()?;
    let issue = [
        "issue",
        "example.com",
        "--domain-alias",
        "acme.broken.example.net",
    ];
    let server = bed.primary().to_string();
    // The pre-flight asks the server too, and is the first to be told.
    let outcome = bed.run(&issue)?;
    outcome.assert_failure(3, &["SERVFAIL", &server, "broken.example.net"]);
    assert_eq!(bed.orders()?, 0);
    let outcome = bed.run(&[&issue[..], &["--skip-preflight"]].concat())?;
    outcome.assert_failure(4, &["SERVFAIL", &server, "broken.example.net"]);
    assert_eq!(bed.orders()?, 0);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_server_that_drops_values_silently_is_found_out_by_reading_back() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .txt_quota(1)
        .start()?;
    let outcome = bed.run(&[&ISSUE[..], &["*.example.com"]].concat())?;
    outcome.assert_failure(4, &["accepted the change", "is missing", "TXT(2)"]);
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn a_cname_at_the_alias_name_is_reported_before_the_order() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .alias_record(ALIAS_NAME, "CNAME elsewhere.auth.example.net.")
        .start()?;
    let outcome = bed.run(&ISSUE)?;
    outcome.assert_failure(3, &["elsewhere.auth.example.net"]);
    let outcome = bed.run(&[&ISSUE[..], &["--skip-preflight"]].concat())?;
    outcome.assert_failure(4, &["has a CNAME at", ALIAS_NAME]);
    assert_eq!(bed.orders()?, 0);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_zone_that_is_frozen_is_reported_and_nothing_is_left() -> Result {
    let bed = TestBed::start()?;
    let operator = bed.operator()?;
    operator.freeze()?;
    let outcome = bed.run(&ISSUE)?;
    outcome.assert_failure(4, &["frozen", "rndc thaw"]);
    operator.thaw()?;
    bed.run(&ISSUE)?.assert_success();
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn a_key_that_is_taken_away_before_the_clean_up_is_reported_and_repaired_later() -> Result {
    let bed = TestBed::start()?;
    let stuck = bed.stuck_server()?;
    let program = with(&bed, |settings| {
        settings.alias_zones[0].servers.push(stuck.address());
    })?;
    let running = program.spawn(&ISSUE)?;
    bed.wait_until("the primary has the value", |bed| {
        Ok(!bed.txt()?.is_empty())
    })?;
    bed.allow_updates(false)?;
    running.terminate()?;
    let outcome = running.wait()?;
    outcome.assert_failure(130, &["TXT values may be left in a zone", "REFUSED"]);
    assert_eq!(bed.txt()?.len(), 1);

    bed.allow_updates(true)?;
    let program = bed.program(bed.settings())?;
    program.run(&["ledger", "reconcile"])?.assert_success();
    assert_eq!(bed.txt()?, []);
    Ok(())
}
