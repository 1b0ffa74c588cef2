//! Requests to the CA: how many wait for one another, and answers that an order must survive.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acme_alias_core::acme::{Ca, CaConfig, Order};
use acme_alias_core::clock::SystemClock;
use acme_alias_core::testkit::MemoryStore;
use acme_alias_tests::{ALIAS_ZONE, BedServer, Exchange, Outcome, Result, Spoilt, TestBed};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const ISSUE: [&str; 5] = [
    "issue",
    "example.com",
    "*.example.com",
    "--challenge-alias",
    ALIAS_ZONE,
];
const NONCE: &str = "/nonce-plz";

/// A bed, and the arguments that issue one certificate for so many names.
fn bed_with(names: usize, nonce_reject_rate: u8) -> Result<(TestBed, Vec<String>)> {
    let hosts: Vec<_> = (1..=names).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder()
        .delegate_apart(&hosts)
        .nonce_reject_rate(nonce_reject_rate)
        .start()?;
    Ok((bed, [vec!["issue".to_owned()], hosts].concat()))
}

/// Issues through a proxy.
fn run<S: AsRef<str>>(
    bed: &TestBed,
    arguments: &[S],
    spoil: impl Fn(&Exchange) -> Spoilt + Send + Sync + 'static,
) -> Result<Outcome> {
    let proxy = bed.acme_proxy(spoil)?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    let outcome = bed.program(settings)?.run(arguments)?;
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
fn requests_of_an_order_share_one_connection_and_do_not_wait_for_one_another() -> Result {
    const RTT: Duration = Duration::from_millis(200);
    let (bed, arguments) = bed_with(20, 0)?;
    let far = bed.far_ca(RTT)?;
    let outcome = bed.program(far.settings())?.run(&arguments)?;
    outcome.assert_success();
    assert_eq!(far.traffic().volume(BedServer::Ca).connections, 1);
    // One authorization and one challenge after another would be 40 round trips.
    assert!(outcome.usage.wall < RTT * 30, "{:?}", outcome.usage);
    Ok(())
}

#[test]
fn no_nonce_is_used_twice_and_few_are_requested() -> Result {
    let (bed, arguments) = bed_with(40, 0)?;
    let used = Arc::new(Mutex::new(Vec::new()));
    let requested = Arc::new(AtomicUsize::new(0));
    let (seen, counter) = (Arc::clone(&used), Arc::clone(&requested));
    let outcome = run(&bed, &arguments, move |exchange| {
        if !exchange.answer.is_empty() {
            return Spoilt::No;
        }
        if let Ok(jws) = serde_json::from_str::<Value>(&exchange.request) {
            let header = URL_SAFE_NO_PAD.decode(jws["protected"].as_str().unwrap());
            let header: Value = serde_json::from_slice(&header.unwrap()).unwrap();
            let nonce = header["nonce"].as_str().unwrap().to_owned();
            seen.lock().unwrap().push(nonce);
        }
        // Each request for a nonce is seen twice, because its answer is empty as well.
        if exchange.path == NONCE {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        Spoilt::No
    })?;
    outcome.assert_success();
    let used = used.lock().unwrap();
    assert!(used.len() > 80, "{}", used.len());
    assert_eq!(used.iter().collect::<BTreeSet<_>>().len(), used.len());
    let requested = requested.load(Ordering::SeqCst) / 2;
    assert!((1..=30).contains(&requested), "{requested}");
    Ok(())
}

#[test]
fn many_names_survive_a_ca_that_refuses_nine_nonces_of_ten() -> Result {
    let (bed, arguments) = bed_with(12, 90)?;
    bed.run(&arguments)?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn nonces_are_fetched_by_get_if_head_does_not_return_any() -> Result {
    let bed = TestBed::start()?;
    let outcome = run(&bed, &ISSUE, |exchange| match exchange.method.as_str() {
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
    let early = run(&bed, &ISSUE, |exchange| {
        let pending = changed(exchange, "/chalZ", "\"pending\"", "\"valid\"");
        match pending {
            Spoilt::No => changed(exchange, "/chalZ", "\"processing\"", "\"valid\""),
            changed => changed,
        }
    })?;
    early.assert_success();

    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let outcome = run(&bed, &ISSUE, move |exchange| {
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
    let outcome = run(&bed, &ISSUE, |exchange| {
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
    let outcome = run(&bed, &ISSUE, |exchange| {
        changed(exchange, "/authZ", "\"dns-01\"", "\"dns-account-01\"")
    })?;
    outcome.assert_failure(
        5,
        &["no dns-01 challenge for", "it offers", "dns-account-01"],
    );
    Ok(())
}

#[tokio::test]
async fn preparing_for_requests_changes_nothing_at_the_ca_and_is_done_once() -> Result {
    let bed = TestBed::start()?;
    let requests = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
    let seen = Arc::clone(&requests);
    let proxy = bed.acme_proxy(move |exchange| {
        if exchange.answer.is_empty() {
            let mut requests = seen.lock().unwrap();
            *requests.entry(exchange.path.clone()).or_default() += 1;
        }
        Spoilt::No
    })?;
    // A request for a nonce is seen twice, because its answer is empty as well.
    let nonces = || requests.lock().unwrap().get(NONCE).copied().unwrap_or(0) / 2;
    let config = CaConfig::new(proxy.directory())
        .with_extra_root(fs::read(bed.ca_file())?)
        .with_agree_tos(true);
    let ca = Ca::new(config, Arc::new(SystemClock)).unwrap();
    for _ in 0..3 {
        ca.prepare(5);
    }
    while nonces() < 5 {
        tokio::task::yield_now().await;
    }
    let paths: Vec<_> = requests.lock().unwrap().keys().cloned().collect();
    assert_eq!(paths, ["/dir", NONCE]);

    let store = MemoryStore::new(Arc::new(SystemClock));
    let account = ca.account(&store).await.unwrap();
    let names = ["example.com".parse()?];
    Order::open(account, &names).await.unwrap();
    let mut requests = requests.lock().unwrap();
    // The last of the five may have been on its way.
    assert!((10..=12).contains(&requests.remove(NONCE).unwrap()));
    let once = ["/dir", "/order-plz", "/sign-me-up"].map(|path| (path.to_owned(), 1));
    assert_eq!(*requests, BTreeMap::from(once));
    Ok(())
}
