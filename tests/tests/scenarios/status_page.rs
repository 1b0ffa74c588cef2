//! The status page as a file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use acme_alias_tests::{Result, Settings, TestBed};

/// A certificate that can be obtained, and one without a CNAME.
pub(crate) fn good_and_bad(bed: &TestBed) -> Settings {
    bed.settings()
        .certificate("good", "domains = ['example.com']")
        .certificate("bad", "domains = ['nowhere.example.com']")
}

pub(crate) fn bed() -> Result<TestBed> {
    TestBed::builder().delegate(&["example.com"]).start()
}

#[test]
fn report_shows_what_was_obtained_what_failed_and_the_changes_of_zones() -> Result {
    let bed = bed()?;
    let program = bed.program(good_and_bad(&bed))?;
    let page = bed.folder().join("status.html");
    let path = page.display().to_string();
    program.run(&["report", "--html", &path])?.assert_success();
    let before = fs::read_to_string(&page)?;
    assert!(before.contains("No DNS change is on record."), "{before}");
    program
        .run(&["renew"])?
        .assert_failure(3, &["nowhere.example.com"]);
    program.run(&["report", "--html", &path])?.assert_success();
    let after = fs::read_to_string(&page)?;
    for text in [
        "<h1>1 problem</h1>",
        "1 attempt failed",
        "<code>acme-alias renew --force bad</code>",
        "withdrawn",
        "_acme-challenge.auth.",
        "89 d",
    ] {
        assert!(after.contains(text), "`{text}` is not in {after}");
    }
    let mode = fs::metadata(&page)?.permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
    let printed = program.run(&["report", "--html", "-"])?;
    printed.assert_success();
    assert!(printed.stdout.starts_with("<!DOCTYPE html>"), "{printed}");
    program
        .run(&["report", "--html", "/nowhere/status.html"])?
        .assert_failure(1, &["/nowhere/status.html", "the folder /nowhere"]);
    Ok(())
}

#[test]
fn report_of_a_thousand_certificates_takes_seconds() -> Result {
    let bed = bed()?;
    let domains: Vec<_> = (0..1_000)
        .map(|number| format!("n{number}.example.com"))
        .collect();
    bed.program(good_and_bad(&bed))?
        .run(&["renew", "good"])?
        .assert_success();
    let program = bed.program(good_and_bad(&bed).certificates(&domains))?;
    let printed = program.run(&["report", "--html", "-"])?;
    printed.assert_success();
    assert!(printed.stdout.contains("1002 certificates"), "{printed}");
    assert!(
        printed.stdout.contains("977 more certificates"),
        "{printed}"
    );
    let wall = printed.usage.wall;
    assert!(wall < Duration::from_secs(10), "{wall:?}");
    Ok(())
}
