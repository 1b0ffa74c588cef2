//! A CA that cannot be used.

use acme_alias_tests::{ALIAS_ZONE, EXTERNAL_ACCOUNT, Result, Settings, TestBed};

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];

/// Runs with settings that are changed, and checks that it ends with code 5 before any order.
fn refused(words: &[&str], change: impl FnOnce(&TestBed, &mut Settings) -> Result) -> Result {
    let bed = TestBed::start()?;
    let mut settings = bed.settings();
    change(&bed, &mut settings)?;
    let outcome = bed.program(settings)?.run(&ISSUE)?;
    outcome.assert_failure(5, words);
    assert_eq!(bed.orders()?, 0);
    assert_eq!(bed.serial(ALIAS_ZONE)?, 1);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_ca_that_cannot_be_reached_is_reported_with_its_url() -> Result {
    refused(
        &["could not reach https://", "/dir", "proxy"],
        |bed, settings| {
            settings.directory = format!("https://{}/dir", bed.dead_port()?.address());
            Ok(())
        },
    )
}

#[test]
fn a_ca_whose_certificate_is_not_trusted_is_reported_with_the_remedy() -> Result {
    refused(&["not trusted", "`ca-file`"], |_, settings| {
        settings.ca_file = None;
        Ok(())
    })
}

#[test]
fn a_ca_without_https_is_not_asked() -> Result {
    let bed = TestBed::start()?;
    let mut settings = bed.settings();
    settings.directory = bed.directory().replace("https:", "http:");
    let outcome = bed.program(settings)?.run(&ISSUE)?;
    outcome.assert_failure(2, &["https"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_page_that_is_no_acme_directory_is_reported() -> Result {
    refused(&["directory"], |bed, settings| {
        settings.directory = bed.directory().replace("/dir", "/elsewhere");
        Ok(())
    })
}

#[test]
fn the_external_account_key_is_read_only_when_an_account_is_created() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .external_account()
        .start()?;
    let (key_id, key) = EXTERNAL_ACCOUNT;
    let run = |key: &str, arguments: &[&str]| {
        bed.program(bed.settings())?
            .env("ACME_ALIAS_ACME__EAB_KID", key_id)
            .env("ACME_ALIAS_ACME__EAB_HMAC_KEY", key)
            .run(arguments)
    };
    let unreadable = "";
    run(unreadable, &ISSUE)?.assert_failure(2, &["`acme.eab-hmac-key`", "is empty"]);
    assert_eq!(bed.orders()?, 0);
    run("not base64url!", &ISSUE)?.assert_failure(5, &["HMAC key", "`eab-hmac-key`"]);
    run(key, &ISSUE)?.assert_success();
    run(unreadable, &["renew", "--force"])?.assert_success();
    assert_eq!(bed.orders()?, 2);
    bed.assert_only_txt_was_touched(&[])
}
