//! Requests to the CA: how many there are, and how many wait for one another.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acme_alias_core::acme::{Ca, CaConfig, Order, OrderRequest};
use acme_alias_core::clock::SystemClock;
use acme_alias_core::testkit::MemoryStore;
use acme_alias_tests::{BedServer, Result, Spoilt, TestBed};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

const NONCE: &str = "/nonce-plz";

/// A bed, and the arguments that issue one certificate for so many names.
fn bed_with(names: usize) -> Result<(TestBed, Vec<String>)> {
    let hosts: Vec<_> = (1..=names).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    Ok((bed, [vec!["issue".to_owned()], hosts].concat()))
}

#[test]
fn requests_of_an_order_share_one_connection_and_do_not_wait_for_one_another() -> Result {
    const RTT: Duration = Duration::from_millis(200);
    let (bed, arguments) = bed_with(20)?;
    let far = bed.far_ca(RTT)?;
    let outcome = bed.program(far.settings())?.run(&arguments)?;
    outcome.assert_success();
    assert_eq!(far.traffic().volume(BedServer::Ca).connections, 1);
    // One authorization and one challenge after another would be 40 round trips.
    assert!(outcome.usage.wall < RTT * 30, "{:?}", outcome.usage);
    Ok(())
}

#[test]
fn a_ca_that_takes_seconds_for_each_answer_costs_no_certificate() -> Result {
    const PAUSE: Duration = Duration::from_secs(4);
    let (bed, arguments) = bed_with(4)?;
    let proxy = bed.acme_proxy(|_| Spoilt::Late(PAUSE))?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    let program = bed.program(settings)?.limit(PAUSE * 30);
    let outcome = program.run(&arguments)?;
    outcome.assert_success();
    // Directory, nonce, account, order, authorizations, challenges, validation, signature, certificate.
    assert!(outcome.usage.wall < PAUSE * 14, "{:?}", outcome.usage);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn no_nonce_is_used_twice_and_few_are_requested() -> Result {
    let (bed, arguments) = bed_with(40)?;
    let used = Arc::new(Mutex::new(Vec::new()));
    let requested = Arc::new(AtomicUsize::new(0));
    let (seen, counter) = (Arc::clone(&used), Arc::clone(&requested));
    let proxy = bed.acme_proxy(move |exchange| {
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
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    bed.program(settings)?.run(&arguments)?.assert_success();
    let used = used.lock().unwrap();
    assert!(used.len() > 80, "{}", used.len());
    assert_eq!(used.iter().collect::<BTreeSet<_>>().len(), used.len());
    let requested = requested.load(Ordering::SeqCst) / 2;
    assert!((1..=30).contains(&requested), "{requested}");
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
    let request = OrderRequest::new(&names);
    Order::open(account, &request).await.unwrap();
    let mut requests = requests.lock().unwrap();
    // The last of the five may have been on its way.
    assert!((10..=12).contains(&requests.remove(NONCE).unwrap()));
    let once = ["/dir", "/order-plz", "/sign-me-up"].map(|path| (path.to_owned(), 1));
    assert_eq!(*requests, BTreeMap::from(once));
    Ok(())
}
