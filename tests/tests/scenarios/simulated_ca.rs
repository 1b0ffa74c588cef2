//! The simulated CA: it issues to a client that does everything right, and to no other.

use acme_alias_tests::{ALIAS_ZONE, Result, SimulatedCa, TestBed, Validation};

const ISSUE: [&str; 5] = [
    "issue",
    "example.com",
    "*.example.com",
    "--challenge-alias",
    ALIAS_ZONE,
];

#[test]
fn it_issues_and_renews_a_certificate_whose_txt_values_it_finds() -> Result {
    let bed = TestBed::start()?;
    let ca = SimulatedCa::start(Validation::At(bed.ca_resolver()))?;
    let program = bed.program(bed.settings_with(&ca))?;
    program.run(&ISSUE)?.assert_success();
    let first = bed.certificate("example-com")?;
    assert_eq!(first.names, ["*.example.com", "example.com"]);
    program.run(&["renew", "--force"])?.assert_success();
    assert_ne!(bed.certificate("example-com")?.serial, first.serial);
    assert_eq!((ca.orders(), ca.certificates()), (2, 2));
    assert_eq!(bed.orders()?, 0);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn it_refuses_a_name_whose_txt_values_it_does_not_find() -> Result {
    let bed = TestBed::start()?;
    // This server does not have the alias zones.
    let ca = SimulatedCa::start(Validation::At(bed.main_server()))?;
    let outcome = bed.program(bed.settings_with(&ca))?.run(&ISSUE)?;
    outcome.assert_failure(5, &["example.com", "not the right one"]);
    // It may have cached that there is nothing, so it is asked once more.
    assert_eq!((ca.orders(), ca.certificates()), (2, 0));
    bed.assert_only_txt_was_touched(&[])
}
