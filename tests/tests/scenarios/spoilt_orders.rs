//! A CA that refuses nonces, answers unusually, or takes its time with the state of an order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use acme_alias_tests::{ALIAS_ZONE, Exchange, Outcome, Result, Spoilt, TestBed};
use serde_json::{Value, json};

const ISSUE: [&str; 5] = [
    "issue",
    "example.com",
    "*.example.com",
    "--challenge-alias",
    ALIAS_ZONE,
];

/// Issues through a proxy.
fn run(
    bed: &TestBed,
    spoil: impl Fn(&Exchange) -> Spoilt + Send + Sync + 'static,
) -> Result<Outcome> {
    let proxy = bed.acme_proxy(spoil)?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    let outcome = bed.program(settings)?.run(&ISSUE)?;
    bed.assert_only_txt_was_touched(&[])?;
    Ok(outcome)
}

fn changed(exchange: &Exchange, path: &str, from: &str, to: &str) -> Spoilt {
    if exchange.path.starts_with(path) && exchange.answer.contains(from) {
        return Spoilt::Changed(exchange.answer.replace(from, to));
    }
    Spoilt::No
}

#[test]
fn many_names_survive_a_ca_that_refuses_nine_nonces_of_ten() -> Result {
    let hosts: Vec<_> = (1..=12).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder()
        .delegate_apart(&hosts)
        .nonce_reject_rate(90)
        .start()?;
    bed.run(&[vec!["issue".to_owned()], hosts].concat())?
        .assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn nonces_are_fetched_by_get_if_head_does_not_return_any() -> Result {
    let bed = TestBed::start()?;
    let outcome = run(&bed, |exchange| match exchange.method.as_str() {
        "HEAD" => Spoilt::Instead(204, Vec::new(), String::new()),
        _ => Spoilt::No,
    })?;
    outcome.assert_success();
    Ok(())
}

#[test]
fn a_certificate_request_that_comes_too_early_is_repeated() -> Result {
    let bed = TestBed::start()?;
    // The challenges are valid, and the order does not know it yet.
    let early = run(&bed, |exchange| {
        let pending = changed(exchange, "/chalZ", "\"pending\"", "\"valid\"");
        match pending {
            Spoilt::No => changed(exchange, "/chalZ", "\"processing\"", "\"valid\""),
            changed => changed,
        }
    })?;
    early.assert_success();

    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let outcome = run(&bed, move |exchange| {
        let is_request = exchange.path.starts_with("/finalize-order") && exchange.answer.is_empty();
        if is_request && seen.fetch_add(1, Ordering::SeqCst) == 0 {
            let kind = "application/problem+json".to_owned();
            let problem = json!({ "type": "urn:ietf:params:acme:error:orderNotReady" });
            return Spoilt::Instead(403, vec![("content-type", kind)], problem.to_string());
        }
        Spoilt::No
    })?;
    outcome.assert_success();
    assert_eq!(requests.load(Ordering::SeqCst), 2);
    Ok(())
}

#[test]
fn authorizations_may_spell_names_differently_and_offer_unknown_challenges() -> Result {
    let bed = TestBed::start()?;
    let outcome = run(&bed, |exchange| {
        if !exchange.path.starts_with("/authZ") || exchange.answer.is_empty() {
            return Spoilt::No;
        }
        let mut body: Value = serde_json::from_str(&exchange.answer).unwrap();
        body["identifier"]["value"] = json!("EXAMPLE.com.");
        let challenges = body["challenges"].as_array_mut().unwrap();
        challenges.insert(0, json!({ "type": "new-01", "status": "unheard-of" }));
        if body["wildcard"] != true {
            body["wildcard"] = Value::Null;
        }
        Spoilt::Changed(body.to_string())
    })?;
    outcome.assert_success();
    Ok(())
}

#[test]
fn what_a_ca_offers_in_place_of_dns_01_is_reported() -> Result {
    let bed = TestBed::start()?;
    let outcome = run(&bed, |exchange| {
        changed(exchange, "/authZ", "\"dns-01\"", "\"dns-account-01\"")
    })?;
    outcome.assert_failure(
        5,
        &["no dns-01 challenge for", "it offers", "dns-account-01"],
    );
    Ok(())
}

#[test]
fn certificates_with_equal_names_are_ordered_one_after_the_other() -> Result {
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&steps);
    let proxy = bed.acme_proxy(move |exchange| {
        for step in ["/order-plz", "/finalize-order/"] {
            if exchange.path.starts_with(step) && !exchange.answer.is_empty() {
                seen.lock().unwrap().push(step);
            }
        }
        Spoilt::No
    })?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    for (id, key) in [("ecdsa", "ecdsa-p256"), ("rsa", "rsa-2048")] {
        let lines = format!("domains = [\"example.com\"]\nkey-type = \"{key}\"");
        settings = settings.certificate(id, &lines);
    }
    bed.program(settings)?.run(&["renew"])?.assert_success();
    let one = ["/order-plz", "/finalize-order/"];
    assert_eq!(*steps.lock().unwrap(), [one, one].concat());
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn names_that_become_equal_without_a_refused_one_are_ordered_one_after_the_other() -> Result {
    let names = ["example.com", "www.example.com"];
    let bed = TestBed::builder().delegate(&names).start()?;
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&steps);
    let refusal = json!({
        "type": "urn:ietf:params:acme:error:rejectedIdentifier",
        "detail": "Cannot issue for \"www.example.com\": forbidden by policy",
    });
    let proxy = bed.acme_proxy(move |exchange| {
        // The payload is base64url: orders for two names are longer.
        let request: Value = serde_json::from_str(&exchange.request).unwrap_or_default();
        let payload = request["payload"].as_str().map_or(0, str::len);
        if exchange.path == "/order-plz" && payload > 100 {
            let json = ("Content-Type", "application/problem+json".to_owned());
            return Spoilt::Instead(400, vec![json], refusal.to_string());
        }
        for step in ["/order-plz", "/finalize-order/"] {
            if exchange.path.starts_with(step) && !exchange.answer.is_empty() {
                seen.lock().unwrap().push(step);
            }
        }
        Spoilt::No
    })?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    let both = "domains = ['example.com', 'www.example.com']\npartial = true";
    let settings = settings
        .certificate("both", both)
        .certificate("one", "domains = ['example.com']");
    let outcome = bed.program(settings)?.run(&["renew"])?;
    outcome.assert_failure(5, &["both: obtained without www.example.com"]);
    let one = ["/order-plz", "/finalize-order/"];
    assert_eq!(*steps.lock().unwrap(), [one, one].concat(), "{outcome}");
    bed.assert_only_txt_was_touched(&[])
}
