//! A CA that cannot be used.

use acme_alias_tests::{ALIAS_ZONE, Result, Settings, TestBed};

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
fn a_ca_that_cannot_be_reached_is_told_with_its_url() -> Result {
    refused(&["/dir could not be reached", "proxy"], |bed, settings| {
        settings.directory = format!("https://{}/dir", bed.dead_port()?.address());
        Ok(())
    })
}

#[test]
fn a_ca_whose_certificate_is_not_trusted_is_told_with_the_remedy() -> Result {
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
fn a_page_that_is_no_acme_directory_is_told() -> Result {
    refused(&["directory"], |bed, settings| {
        settings.directory = bed.directory().replace("/dir", "/elsewhere");
        Ok(())
    })
}
