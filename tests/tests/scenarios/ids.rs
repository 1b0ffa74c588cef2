//! Ids of certificates: two certificates never share one without a word.

use acme_alias_tests::{ALIAS_ZONE, Program, Result, TestBed};

fn issue<'a>(names: &[&'a str], flags: &[&'a str]) -> Vec<&'a str> {
    let alias = ["--challenge-alias", ALIAS_ZONE];
    [&["issue"], names, &alias, flags].concat()
}

/// Checks that a certificate for `names` is refused because of its id before anything is ordered.
fn assert_refused(bed: &TestBed, program: &Program, names: &[&str], flags: &[&str]) -> Result {
    let (orders, serial) = (bed.orders()?, bed.serial(ALIAS_ZONE)?);
    let outcome = program.run(&issue(names, flags))?;
    outcome.assert_failure(2, &[names[0], "`--id`"]);
    assert_eq!((bed.orders()?, bed.serial(ALIAS_ZONE)?), (orders, serial));
    Ok(())
}

#[test]
fn a_wildcard_and_the_name_that_gives_the_same_id_are_told_apart() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com", "wildcard.example.com"])
        .start()?;
    let program = bed.program(bed.settings())?;
    program
        .run(&issue(&["*.example.com"], &[]))?
        .assert_success();
    assert_refused(&bed, &program, &["wildcard.example.com"], &[])?;
    let id = "wildcard-example-com";
    assert_eq!(bed.certificate(id)?.names, ["*.example.com"]);
    assert_refused(&bed, &program, &["wildcard.example.com"], &["--id", id])?;

    // The remedy works, and so does the same certificate with one more name.
    program
        .run(&issue(&["wildcard.example.com"], &["--id", "other"]))?
        .assert_success();
    assert_eq!(bed.certificate("other")?.names, ["wildcard.example.com"]);
    program
        .run(&issue(&["*.example.com", "example.com"], &[]))?
        .assert_success();
    assert_eq!(bed.certificate(id)?.names, ["*.example.com", "example.com"]);
    Ok(())
}

#[test]
fn a_dot_and_a_hyphen_in_a_name_are_told_apart() -> Result {
    let (dot, hyphen) = ("a.b.example.com", "a-b.example.com");
    let bed = TestBed::builder().delegate(&[dot, hyphen]).start()?;
    for (first, second) in [(dot, hyphen), (hyphen, dot)] {
        let mut settings = bed.settings();
        settings.state = bed.folder().join(first);
        let program = bed.program(settings)?;
        program.run(&issue(&[first], &[]))?.assert_success();
        assert_refused(&bed, &program, &[second], &[])?;
        assert_eq!(bed.certificate_in(first, "a-b-example-com")?.names, [first]);
    }
    Ok(())
}

#[test]
fn flags_do_not_take_the_id_of_a_certificate_in_the_settings() -> Result {
    let bed = TestBed::start()?;
    let lines = "domains = [\"example.org\"]";
    let settings = bed.settings().certificate("web", lines);
    let program = bed.program(settings.certificate("example-com", lines))?;
    // Whether the certificate in the settings was issued already or not.
    for _ in 0..2 {
        assert_refused(&bed, &program, &["example.edu"], &["--id", "web"])?;
        assert_refused(&bed, &program, &["example.com"], &[])?;
        program.run(&["renew"])?.assert_success();
    }
    for id in ["web", "example-com"] {
        assert_eq!(bed.certificate(id)?.names, ["example.org"], "{id}");
    }
    Ok(())
}

#[test]
fn an_id_stays_free_when_nothing_was_ordered_under_it() -> Result {
    let bed = TestBed::builder()
        .delegate(&["wildcard.example.com"])
        .start()?;
    let program = bed.program(bed.settings())?;
    // There is no delegation.
    program
        .run(&issue(&["*.example.com"], &[]))?
        .assert_failure(3, &["example.com"]);
    assert_eq!(bed.orders()?, 0);
    program
        .run(&issue(&["wildcard.example.com"], &[]))?
        .assert_success();
    Ok(())
}
