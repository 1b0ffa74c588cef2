//! A zone that its server has not loaded, as after an edit of its file under a live journal.

use acme_alias_tests::{Result, THIRD_ALIAS_ZONE, TestBed};

use super::follow::words;

#[test]
fn a_zone_that_is_not_loaded_is_named_with_its_server() -> Result {
    let alias = format!("_acme-challenge.{THIRD_ALIAS_ZONE}");
    let bed = TestBed::builder()
        .broken_alias_zone(THIRD_ALIAS_ZONE)
        .cname("_acme-challenge.example.com", &alias)
        .start()?;
    let primary = bed.primary();
    let mut settings = bed.settings();
    settings.alias_zones[2].servers = vec![primary];
    let program = bed.program(settings)?;
    for arguments in [
        &["check", "example.com"][..],
        &["issue", "example.com"],
        &[
            "issue",
            "example.com",
            "--provider",
            "third",
            "--domain-alias",
            &alias,
        ],
    ] {
        let outcome = program.run(arguments)?;
        outcome.assert_failure(3, &[]);
        let words = words(&outcome);
        let answer = format!("{primary} answered SERVFAIL");
        for expected in [answer.as_str(), "the zone is probably not loaded"] {
            assert!(words.contains(expected), "{expected}: {outcome}");
        }
    }
    Ok(())
}
