//! Requests of somebody else for names of other certificates.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use acme_alias_tests::{ALIAS_ZONE, Result, TestBed};

use crate::csr::{P256, certificate, request};

#[test]
fn a_request_for_names_of_another_certificate_is_sent_only_if_they_are_listed() -> Result {
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    // Somebody else made it.
    let file = request(&bed, "theirs.csr", P256, &["*.example.com"], "")?;
    let settings = |more: &str| {
        let csr = format!("csr = \"{}\"\n{more}", file.display());
        let ours = bed.settings().certificates(&["example.com".to_owned()]);
        ours.certificate("theirs", &csr)
    };
    let refused = bed.program(settings(""))?.run(&["renew"])?;
    let said = [
        "*.example.com, which belongs to the certificate `example-com`",
        "list its names",
    ];
    refused.assert_failure(2, &said);
    bed.certificate("example-com")?;
    assert!(certificate(&bed, "theirs", &file).is_err());
    let listed = settings("domains = [\"*.example.com\"]");
    bed.program(listed)?.run(&["renew"])?.assert_success();
    certificate(&bed, "theirs", &file)?;
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_request_of_flags_is_refused_for_a_name_that_the_settings_list() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com", "example.org"])
        .start()?;
    let victim = bed
        .settings()
        .certificate("victim", "domains = [\"example.org\"]");
    let program = bed.program(victim)?;
    let csr = request(&bed, "other", P256, &["example.com"], "")?;
    let issue = ["issue", "--csr", &csr.display().to_string()].map(str::to_owned);
    program.run(&issue)?.assert_success();
    request(&bed, "other", P256, &["example.org"], "")?;
    let words = ["example.org", "belongs to the certificate `victim`"];
    program.run(&["renew"])?.assert_failure(2, &words);
    bed.certificate("victim")?;
    program.run(&issue)?.assert_failure(2, &words);
    assert_eq!(bed.orders()?, 2);
    Ok(())
}

#[test]
fn a_request_is_refused_for_a_name_of_a_certificate_that_only_the_state_knows() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com", "example.org"])
        .start()?;
    let issue = ["issue", "example.org", "--challenge-alias", ALIAS_ZONE];
    bed.run(&issue)?.assert_success();
    let file = request(
        &bed,
        "theirs.csr",
        P256,
        &["example.com", "example.org"],
        "",
    )?;
    let path = file.display().to_string();
    let words = ["example.org", "belongs to the certificate `example-org`"];

    let csr = format!("csr = \"{path}\"");
    let program = bed.program(bed.settings().certificate("theirs", &csr))?;
    program.run(&["renew"])?.assert_failure(2, &words);
    program.run(&["issue", "theirs"])?.assert_failure(2, &words);
    let by_flags = ["issue", "--csr", &path, "--challenge-alias", ALIAS_ZONE];
    bed.run(&by_flags)?.assert_failure(2, &words);
    assert_eq!(bed.orders()?, 1);

    let listed = format!("{csr}\ndomains = [\"example.com\", \"example.org\"]");
    let program = bed.program(bed.settings().certificate("theirs", &listed))?;
    program.run(&["renew"])?.assert_success();
    certificate(&bed, "theirs", &file)?;
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_request_is_refused_for_a_name_below_a_wildcard_of_others_and_for_a_wildcard_above_one()
-> Result {
    let names = ["example.com", "www.example.com"];
    let more = ["example.org", "www.example.org"];
    let bed = TestBed::builder()
        .delegate(&names)
        .delegate(&more)
        .start()?;
    let below = request(&bed, "below.csr", P256, &["www.example.com"], "")?;
    let above = request(&bed, "above.csr", P256, &["*.example.org"], "")?;
    let settings = bed
        .settings()
        .certificate("wildcard", "domains = [\"*.example.com\"]")
        .certificate("host", "domains = [\"www.example.org\"]")
        .certificate("below", &format!("csr = \"{}\"", below.display()))
        .certificate("above", &format!("csr = \"{}\"", above.display()));
    let words = [
        "www.example.com, which belongs to the certificate `wildcard`",
        "*.example.org, which belongs to the certificate `host`",
    ];
    bed.program(settings)?
        .run(&["renew"])?
        .assert_failure(2, &words);
    bed.certificate("wildcard")?;
    bed.certificate("host")?;
    assert_eq!(bed.orders()?, 2);
    Ok(())
}

#[test]
fn a_request_of_flags_is_refused_for_a_name_of_a_certificate_of_flags_when_it_is_replaced() -> Result
{
    let bed = TestBed::builder()
        .delegate(&["example.com", "example.org"])
        .start()?;
    let csr = request(&bed, "theirs.csr", P256, &["example.com"], "")?;
    let path = csr.display().to_string();
    for of in [&["example.org"][..], &["--csr", &path, "--id", "theirs"]] {
        let issue = [&["issue"], of, &["--challenge-alias", ALIAS_ZONE]].concat();
        bed.run(&issue)?.assert_success();
    }
    request(&bed, "theirs.csr", P256, &["example.org"], "")?;
    let words = ["example.org", "belongs to the certificate `example-org`"];
    bed.run(&["renew"])?.assert_failure(2, &words);
    assert_eq!(bed.orders()?, 2);
    Ok(())
}

#[test]
fn stored_settings_that_cannot_be_read_concern_no_other_certificate() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com", "example.org", "example.edu"])
        .start()?;
    let issue = ["issue", "example.org", "--challenge-alias", ALIAS_ZONE];
    bed.run(&issue)?.assert_success();
    let stored = bed
        .folder()
        .join("state/certificates/example-org/settings.toml");
    let file = request(&bed, "theirs.csr", P256, &["example.edu"], "")?;
    let csr = format!("csr = \"{}\"", file.display());
    let settings = bed.settings().certificates(&["example.com"]);
    let program = bed.program(settings.certificate("theirs", &csr))?;
    fs::set_permissions(&stored, fs::Permissions::from_mode(0o666))?;
    program.run(&["renew"])?.assert_success();
    bed.certificate("example-com")?;
    certificate(&bed, "theirs", &file)?;

    fs::set_permissions(&stored, fs::Permissions::from_mode(0o600))?;
    fs::write(&stored, b"\xff")?;
    program.run(&["list"])?.assert_success();
    let check = program.run(&["check"])?;
    check.assert_success();
    check.assert_said(&["`example-org` is left out", "settings.toml is damaged"]);
    Ok(())
}
