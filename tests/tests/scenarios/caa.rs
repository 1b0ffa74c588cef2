//! Who may issue: CAA records at the identifier and above it (RFC 8659), as a CA reads them.

use acme_alias_tests::{ALIAS_ZONE, Builder, Outcome, QueryProxy, Result, Spoilt, TestBed};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

/// Checks a domain on a bed with these records, for the authority `ca.example`.
fn checked(builder: Builder, domain: &str) -> Result<Outcome> {
    let bed = builder.delegate(&["www.example.com"]).start()?;
    bed.run(&["check", domain, "--caa-issuer", "ca.example"])
}

#[track_caller]
fn assert_refused(outcome: &Outcome, words: &str) {
    assert_eq!(outcome.code, Some(3), "{outcome}");
    let said = outcome
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(said.contains(words), "`{words}` is not in:\n{outcome}");
}

const ISSUE_OTHER: &str = "CAA 0 issue \"other.example\"";
const ISSUE_OURS: &str = "CAA 0 issue \"ca.example\"";

#[test]
fn the_closest_name_that_has_records_counts_alone() -> Result {
    let above = || TestBed::builder().record("example.com", ISSUE_OTHER);
    let outcome = checked(above(), "www.example.com")?;
    assert_refused(
        &outcome,
        "example.com.: CAA does not let ca.example issue for www.example.com",
    );
    let own = above().record("www.example.com", ISSUE_OURS);
    checked(own, "www.example.com")?.assert_success();
    // A record without `issue` restricts nobody, and what is above it does not count any more.
    let iodef = above().record("www.example.com", "CAA 0 iodef \"mailto:a@example.com\"");
    checked(iodef, "www.example.com")?.assert_success();
    Ok(())
}

#[test]
fn an_alias_has_the_records_of_its_target_and_else_of_what_is_above_itself() -> Result {
    let alias = || TestBed::builder().cname("www.example.com", "cdn.example.org");
    let target = alias().record("cdn.example.org", ISSUE_OTHER);
    assert_refused(
        &checked(target, "www.example.com")?,
        "CAA does not let ca.example issue for www.example.com",
    );
    // RFC 8659 §3 climbs from the alias, and not from its target.
    let above_target = alias().record("example.org", ISSUE_OTHER);
    checked(above_target, "www.example.com")?.assert_success();
    let above_alias = alias().record("example.com", ISSUE_OTHER);
    assert_refused(
        &checked(above_alias, "www.example.com")?,
        "example.com.: CAA does not let ca.example issue for www.example.com",
    );
    Ok(())
}

#[test]
fn records_that_a_ca_would_refuse_are_errors() -> Result {
    for (record, words) in [
        (
            "CAA 0 issue \"ca.example; validationmethods=dns-01;\"",
            "is malformed, and lets nobody issue",
        ),
        (
            "CAA 0 issue \"ca.example; accounturi=https://ca.example/acct/1\"",
            "is for the account https://ca.example/acct/1, and we have no account at this CA yet",
        ),
        (
            "CAA 128 tbs \"?\"",
            "CAA 128 tbs \"?\" is critical, and no CA knows it",
        ),
    ] {
        let builder = TestBed::builder().record("www.example.com", record);
        assert_refused(&checked(builder, "www.example.com")?, words);
    }
    Ok(())
}

#[test]
fn servers_that_do_not_answer_caa_queries_are_an_error() -> Result {
    let bed = TestBed::start()?;
    let main = QueryProxy::start(bed.main_server(), |question, mut answer| {
        if question.queries[0].query_type() == RecordType::CAA {
            answer.metadata.response_code = ResponseCode::ServFail;
        }
        vec![answer]
    })?;
    let mut settings = bed.settings();
    settings.zones.retain(|(zone, _)| zone != "example.com");
    settings
        .zones
        .push(("example.com".to_owned(), vec![main.address()]));
    let program = bed.program(settings)?;
    let outcome = program.run(&["check", "example.com", "--caa-issuer", "ca.example"])?;
    let words = "could not look up the CAA records of example.com";
    assert_refused(&outcome, words);
    assert_refused(&outcome, "SERVFAIL");
    // Without a CA that CAA records could name, they are not queried.
    program.run(&["check", "example.com"])?.assert_success();
    Ok(())
}

#[test]
fn a_caa_issuer_must_be_a_domain_name() -> Result {
    let bed = TestBed::start()?;
    bed.run(&["check", "example.com", "--caa-issuer", "ca.example; x"])?
        .assert_failure(2, &["is not a usable domain name", "letsencrypt.org"]);
    Ok(())
}

#[test]
fn the_directory_tells_by_which_domains_caa_names_the_ca() -> Result {
    let bed = TestBed::builder()
        .delegate(&["www.example.com"])
        .record("example.com", ISSUE_OURS)
        .start()?;
    let issue = |identities: &[&str]| -> Result<Outcome> {
        let identities = serde_json::json!(identities);
        let proxy = bed.acme_proxy(move |exchange| {
            if exchange.path != "/dir" || exchange.answer.is_empty() {
                return Spoilt::No;
            }
            let directory = serde_json::from_str::<serde_json::Value>(&exchange.answer);
            let mut directory = directory.unwrap_or_default();
            directory["meta"]["caaIdentities"] = identities.clone();
            Spoilt::Changed(directory.to_string())
        })?;
        let mut settings = bed.settings();
        settings.directory = proxy.directory();
        let issue = ["issue", "www.example.com", "--challenge-alias", ALIAS_ZONE];
        bed.program(settings)?.run(&issue)
    };
    let refused = issue(&["other.example", "not a name"])?;
    refused.assert_failure(3, &["CAA does not let other.example issue"]);
    assert_eq!(bed.orders()?, 0);
    issue(&["other.example", "ca.example"])?.assert_success();
    Ok(())
}
