//! When certificates are obtained: what is changed in the settings, what failed, and what is valid.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use acme_alias_core::clock::Clock;
use acme_alias_core::testkit::ManualClock;
use acme_alias_tests::{
    ALIAS_ZONE, AcmeProxy, Exchange, Outcome, Program, Result, Settings, SimulatedCa, Spoilt,
    TestBed, Validation,
};
use jiff::{SignedDuration, Timestamp};

/// A certificate `web`, with more lines of settings.
fn web(bed: &TestBed, domains: &[&str], more: &str) -> Settings {
    let lines = format!("domains = {domains:?}\nchallenge-alias = \"{ALIAS_ZONE}\"\n{more}");
    bed.settings().certificate("web", &lines)
}

/// It succeeded, and printed each of these texts.
#[track_caller]
fn assert_told(outcome: &Outcome, texts: &[&str]) {
    outcome.assert_success();
    outcome.assert_printed(texts);
}

/// Renews with these settings. The certificate is obtained, and the output has the reason.
#[track_caller]
fn assert_renewed(bed: &TestBed, settings: Settings, why: &str) -> Result {
    let program = bed.program(settings)?;
    let before = bed.certificate("web")?.serial;
    assert_told(&program.run(&["renew"])?, &[why]);
    assert_ne!(bed.certificate("web")?.serial, before, "{why}");
    assert_told(&program.run(&["renew"])?, &["web: not due"]);
    Ok(())
}

#[test]
fn every_change_of_what_is_ordered_makes_a_certificate_due() -> Result {
    let (one, two, sub) = ("example.com", "example.org", "www.example.com");
    let bed = TestBed::builder()
        .delegate(&[one, two, sub])
        .alternate_chains(1)
        .start()?;
    bed.program(web(&bed, &[one, two], ""))?
        .run(&["renew"])?
        .assert_success();
    // Another order, and another way to the same alias name.
    let order = web(&bed, &[two, one], "skip-preflight = true");
    let outcome = bed.program(order)?.run(&["renew"])?;
    assert_told(&outcome, &["web: not due"]);
    let added = web(&bed, &[two, one, sub], "");
    assert_renewed(&bed, added, "because www.example.com was added")?;
    let changed = web(&bed, &[one, sub], "");
    assert_renewed(&bed, changed, "because example.org was removed")?;
    let key = "key-type = \"ecdsa-p384\"\n";
    let why = "because the key type is ecdsa-p384 instead of ecdsa-p256";
    assert_renewed(&bed, web(&bed, &[one, sub], key), why)?;
    let chain = format!("{key}preferred-chain = \"A Root\"\n");
    let why = "because the preferred chain is A Root instead of none";
    assert_renewed(&bed, web(&bed, &[one, sub], &chain), why)?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let mut settings = web(&bed, &[one, sub], &chain);
    settings.directory = other.directory();
    settings.ca_file = Some(other.root().to_owned());
    assert_renewed(&bed, settings, "because the CA is https://")?;
    assert_eq!(other.certificates(), 1);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn another_ca_in_the_settings_renews_what_was_issued_by_flags() -> Result {
    let bed = TestBed::start()?;
    let issue = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];
    bed.run(&issue)?.assert_success();
    assert_told(&bed.run(&["renew"])?, &["example-com: not due"]);
    let other = SimulatedCa::start(Validation::Trust)?;
    let mut settings = bed.settings();
    settings.directory = other.directory();
    settings.ca_file = Some(other.root().to_owned());
    let program = bed.program(settings)?;
    assert_told(
        &program.run(&["renew"])?,
        &["example-com: example.com", "because the CA is"],
    );
    assert_told(&program.run(&["renew"])?, &["example-com: not due"]);
    assert_eq!(other.certificates(), 1);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn issue_keeps_what_is_valid_and_as_the_settings_say() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(web(&bed, &["example.com"], ""))?;
    program.run(&["issue", "web"])?.assert_success();
    let kept = program.run(&["issue", "web"])?;
    assert_told(&kept, &["web: kept", "valid until", "--force"]);
    let json = program.run(&["issue", "web", "--output", "json"])?.json()?;
    assert_eq!(json["kept"]["certificate"], "web");
    assert_eq!(bed.orders()?, 1);
    program.run(&["issue", "web", "--force"])?.assert_success();
    assert_eq!(bed.orders()?, 2);
    let changed = bed.program(web(&bed, &["example.com", "example.org"], ""))?;
    changed.run(&["issue", "web"])?.assert_success();
    assert_eq!(bed.certificate("web")?.names.len(), 2);
    Ok(())
}

#[test]
fn a_key_is_used_again_if_the_settings_say_so() -> Result {
    let bed = TestBed::start()?;
    let key = || std::fs::read(bed.folder().join("state/certificates/web/privkey.pem"));
    let renew = |more: &str| -> Result<Vec<u8>> {
        let program = bed.program(web(&bed, &["example.com"], more))?;
        program.run(&["renew", "--force"])?.assert_success();
        Ok(key()?)
    };
    let first = renew("key = \"reuse\"\n")?;
    assert_eq!(renew("key = \"reuse\"\n")?, first);
    // Another type needs another key.
    let other = renew("key = \"reuse\"\nkey-type = \"ecdsa-p384\"\n")?;
    assert_ne!(other, first);
    assert_eq!(
        renew("key = \"reuse\"\nkey-type = \"ecdsa-p384\"\n")?,
        other
    );
    assert_ne!(renew("key-type = \"ecdsa-p384\"\n")?, other);
    assert_eq!(bed.orders()?, 5);
    Ok(())
}

#[test]
fn flags_that_change_nothing_of_the_order_are_stored_for_the_next_one() -> Result {
    let bed = TestBed::builder()
        .cname("_acme-challenge.example.com", "tokens.auth.example.net")
        .start()?;
    let issue = [
        "issue",
        "example.com",
        "--domain-alias",
        "tokens.auth.example.net",
    ];
    bed.run(&issue)?.assert_success();
    let again = [&issue[..], &["--skip-preflight"]].concat();
    assert_told(&bed.run(&again)?, &["example-com: kept"]);
    let stored = bed
        .folder()
        .join("state/certificates/example-com/settings.toml");
    assert!(std::fs::read_to_string(stored)?.contains("skip-preflight"));
    assert_eq!(bed.orders()?, 1);
    Ok(())
}

/// A program whose CA refuses orders like this, for as long as the proxy is there.
fn refusing(bed: &TestBed, answer: Spoilt) -> Result<(Program, AcmeProxy)> {
    let proxy = bed.acme_proxy(move |exchange: &Exchange| match exchange.path.as_str() {
        "/order-plz" => answer.clone(),
        _ => Spoilt::No,
    })?;
    let mut settings = web(bed, &["example.com"], "");
    settings.directory = proxy.directory();
    Ok((bed.program(settings)?, proxy))
}

fn problem(status: u16, headers: &[(&'static str, &str)], kind: &str) -> Spoilt {
    let headers = headers
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    let body = serde_json::json!({ "type": kind, "detail": "not today" }).to_string();
    let json = ("Content-Type", "application/problem+json".to_owned());
    Spoilt::Instead(status, headers.chain([json]).collect(), body)
}

#[track_caller]
fn assert_tried(outcome: &Outcome) {
    outcome.assert_failure(5, &["not today"]);
}

#[test]
fn a_failed_attempt_is_made_again_after_a_minute_or_by_name() -> Result {
    let bed = TestBed::start()?;
    let (program, _proxy) = refusing(&bed, problem(403, &[], "rejectedIdentifier"))?;
    assert_tried(&program.run(&["renew"])?);
    let waits = program.run(&["renew"])?;
    assert_told(&waits, &["web: waits until", "failed attempt"]);
    let later = program.clone().clock("+61s");
    assert_tried(&later.run(&["renew"])?);
    // The second pause is ten minutes.
    assert_told(&later.run(&["renew"])?, &["web: waits until"]);
    assert_tried(&later.run(&["renew", "web"])?);
    assert_tried(&later.run(&["renew", "--force"])?);
    assert_tried(&later.run(&["issue", "web"])?);
    let good = bed.program(web(&bed, &["example.com"], ""))?;
    good.run(&["renew", "web"])?.assert_success();
    assert_told(&good.run(&["renew"])?, &["web: not due"]);
    Ok(())
}

#[test]
fn a_pause_that_the_ca_asks_for_holds_whatever_is_forced() -> Result {
    let bed = TestBed::start()?;
    // The same CA, which would not refuse another order.
    let is_asked = AtomicBool::new(false);
    let proxy = bed.acme_proxy(move |exchange| match exchange.path.as_str() {
        "/order-plz" if !is_asked.swap(true, Ordering::SeqCst) => {
            problem(429, &[("Retry-After", "120")], "rateLimited")
        }
        _ => Spoilt::No,
    })?;
    let mut settings = web(&bed, &["example.com"], "");
    settings.directory = proxy.directory();
    let good = bed.program(settings)?;
    good.run(&["renew"])?.assert_failure(5, &["not today"]);
    assert_told(&good.run(&["renew", "--force"])?, &["web: waits until"]);
    let issue = good.run(&["issue", "web", "--force"])?;
    issue.assert_failure(5, &["the CA asks for no other attempt before"]);
    assert_eq!(bed.orders()?, 0);
    let later = good.clock("+121s");
    later.run(&["renew"])?.assert_success();
    assert_eq!(bed.orders()?, 1);
    Ok(())
}

#[test]
fn what_is_left_of_a_certificate_that_nobody_wants_is_left_alone() -> Result {
    let bed = TestBed::start()?;
    bed.program(web(&bed, &["example.com"], ""))?
        .run(&["issue", "web"])?
        .assert_success();
    let without = bed.program(bed.settings())?;
    let renew = without.run(&["renew", "--force"])?;
    renew.assert_success();
    without
        .run(&["renew", "web"])?
        .assert_failure(2, &["`web`"]);
    assert_eq!(bed.orders()?, 1);
    Ok(())
}

#[test]
fn a_clock_that_is_far_from_that_of_the_ca_causes_no_orders() -> Result {
    let ca_clock = Arc::new(ManualClock::new(Timestamp::now()));
    let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&ca_clock);
    let ca = SimulatedCa::start_at(Validation::Trust, shared, false)?;
    let bed = TestBed::start()?;
    let lines = format!("domains = [\"example.com\"]\nchallenge-alias = \"{ALIAS_ZONE}\"\n");
    let program = bed.program(bed.settings_with(&ca).certificate("web", &lines))?;
    // For the CA it is the day before yesterday. So it is for us, if our clock is two days ahead.
    ca_clock.advance(SignedDuration::from_hours(-48));
    let outcome = program.run(&["renew"])?;
    outcome.assert_failure(5, &["nothing is ordered", "NTP"]);
    assert_eq!(ca.orders(), 0);
    ca_clock.advance(SignedDuration::from_hours(47));
    program.run(&["renew", "web"])?.assert_success();
    Ok(())
}

#[test]
fn a_damaged_certificate_is_obtained_anew_when_it_is_named() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(web(&bed, &["example.com"], ""))?;
    program.run(&["renew"])?.assert_success();
    for (orders, arguments) in [
        (2, &["issue", "web"][..]),
        (3, &["renew", "web", "--force"]),
    ] {
        let path = bed.folder().join("state/certificates/web/cert.pem");
        std::fs::write(&path, "no PEM")?;
        program.run(&["renew"])?.assert_failure(6, &["damaged"]);
        program.run(arguments)?.assert_success();
        assert_eq!(bed.orders()?, orders);
        program.run(&["renew"])?.assert_success();
    }
    bed.assert_only_txt_was_touched(&[])
}
