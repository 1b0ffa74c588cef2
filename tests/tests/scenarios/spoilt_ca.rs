//! A CA whose answers are late, broken, absurd or false.

#![expect(clippy::unwrap_used, reason = "a stand of tests may fail as they do")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use acme_alias_core::certificate;
use acme_alias_tests::{ALIAS_ZONE, Exchange, Outcome, Result, Spoilt, TestBed};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    SanType,
};

const ISSUE: [&str; 5] = [
    "issue",
    "example.com",
    "*.example.com",
    "--challenge-alias",
    ALIAS_ZONE,
];

/// Runs through a proxy that spoils what is said; nothing may be left in the zone.
fn run(
    bed: &TestBed,
    spoil: impl Fn(&Exchange) -> Spoilt + Send + Sync + 'static,
) -> Result<Outcome> {
    run_with(bed, &[], spoil)
}

/// The same, with variables in the environment.
fn run_with(
    bed: &TestBed,
    environment: &[(&str, &str)],
    spoil: impl Fn(&Exchange) -> Spoilt + Send + Sync + 'static,
) -> Result<Outcome> {
    let proxy = bed.acme_proxy(spoil)?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    settings.state = bed.folder().join("spoilt");
    let mut program = bed.program(settings)?;
    for (name, value) in environment {
        program = program.env(name, *value);
    }
    let outcome = program.run(&ISSUE)?;
    bed.assert_only_txt_was_touched(&[])?;
    Ok(outcome)
}

/// Whether this is a request for a new order which the CA has not got.
fn is_new_order(exchange: &Exchange) -> bool {
    exchange.path.starts_with("/order-plz") && exchange.answer.is_empty()
}

/// Spoils the first `count` new orders.
fn first_orders(
    count: usize,
    with: impl Fn() -> Spoilt + Send + Sync + 'static,
) -> impl Fn(&Exchange) -> Spoilt + Send + Sync + 'static {
    let seen = AtomicUsize::new(0);
    move |exchange| {
        if is_new_order(exchange) && seen.fetch_add(1, Ordering::SeqCst) < count {
            return with();
        }
        Spoilt::No
    }
}

fn busy(status: u16, retry_after: Option<String>) -> Spoilt {
    let headers = retry_after.map(|wait| ("retry-after", wait));
    let html = "<html><h1>Service unavailable</h1></html>".to_owned();
    Spoilt::Instead(status, headers.into_iter().collect(), html)
}

#[test]
fn a_busy_ca_is_asked_again_when_it_says() -> Result {
    let bed = TestBed::start()?;
    let in_seconds = first_orders(2, || busy(429, Some("1".to_owned())));
    let outcome = run(&bed, in_seconds)?;
    outcome.assert_success();
    assert!(outcome.usage.wall.as_secs() >= 2, "{:?}", outcome.usage);
    // A date in the past is one that has come.
    let date = || busy(503, Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()));
    run(&bed, first_orders(2, date))?.assert_success();
    run(&bed, first_orders(2, || busy(503, None)))?.assert_success();
    Ok(())
}

#[test]
fn an_absurd_wait_is_reported_and_not_waited() -> Result {
    let bed = TestBed::start()?;
    let outcome = run(
        &bed,
        first_orders(9, || busy(429, Some("86400".to_owned()))),
    )?;
    outcome.assert_failure(5, &["429", "86400 s", "rate limit"]);
    assert!(outcome.usage.wall.as_secs() < 10, "{:?}", outcome.usage);
    assert_eq!(bed.orders()?, 0);
    Ok(())
}

#[test]
fn a_page_in_place_of_an_answer_is_reported_with_its_status() -> Result {
    let bed = TestBed::start()?;
    let outcome = run(&bed, first_orders(9, || busy(503, None)))?;
    outcome.assert_failure(5, &["503", "Service unavailable"]);
    assert_eq!(bed.orders()?, 0);
    Ok(())
}

#[test]
fn an_answer_that_breaks_off_costs_no_certificate() -> Result {
    for path in ["/order-plz", "/finalize-order"] {
        let bed = TestBed::start()?;
        let cut = AtomicUsize::new(0);
        let outcome = run(&bed, move |exchange| {
            let answered = exchange.path.starts_with(path) && !exchange.answer.is_empty();
            if answered && cut.fetch_add(1, Ordering::SeqCst) == 0 {
                return Spoilt::Cut;
            }
            Spoilt::No
        })?;
        outcome.assert_success();
        assert!(bed.orders()? <= 2, "{path}: more than one order too many");
    }
    Ok(())
}

#[test]
fn an_answer_that_comes_drop_by_drop_is_not_waited_for() -> Result {
    let bed = TestBed::start()?;
    let outcome = run_with(&bed, &[("ACME_ALIAS_ACME__TIMEOUT", "1s")], |exchange| {
        if exchange.path.starts_with("/order-plz") && !exchange.answer.is_empty() {
            return Spoilt::Slow;
        }
        Spoilt::No
    })?;
    outcome.assert_failure(5, &["timed out after 1 s"]);
    assert!(outcome.usage.wall.as_secs() < 20, "{:?}", outcome.usage);
    Ok(())
}

#[test]
fn an_order_that_is_processed_for_ever_is_given_up_and_gone_on_with_later() -> Result {
    let bed = TestBed::start()?;
    let for_ever = Arc::new(AtomicBool::new(true));
    let spoilt = Arc::clone(&for_ever);
    let proxy = bed.acme_proxy(move |exchange| {
        let is_signed = exchange.answer.contains("\"certificate\":");
        if is_signed && spoilt.load(Ordering::SeqCst) {
            let never = exchange.answer.replace("\"valid\"", "\"processing\"");
            return Spoilt::Changed(never);
        }
        Spoilt::No
    })?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    let program = bed.program(settings)?;
    let program = program.env("ACME_ALIAS_ACME__ORDER_TIMEOUT", "2s");
    let outcome = program.run(&ISSUE)?;
    outcome.assert_failure(5, &["the certificate", "`order-timeout`"]);
    assert!(outcome.usage.wall.as_secs() < 10, "{:?}", outcome.usage);
    bed.assert_only_txt_was_touched(&[])?;
    for_ever.store(false, Ordering::SeqCst);
    program.run(&ISSUE)?.assert_success();
    assert_eq!(bed.orders()?, 1, "the same order");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn alternate_chains_do_not_disturb_and_the_preferred_one_is_found() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .alternate_chains(2)
        .start()?;
    let chains = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&chains);
    let proxy = bed.acme_proxy(move |exchange| {
        if exchange.answer.contains("BEGIN CERTIFICATE") {
            seen.lock().unwrap().push(exchange.answer.clone());
        }
        Spoilt::No
    })?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    let program = bed.program(settings)?;
    program.run(&ISSUE)?.assert_success();
    assert_eq!(
        chains.lock().unwrap().len(),
        1,
        "nobody asked for the others"
    );

    let nobodys = [&ISSUE[..], &["--preferred-chain", "Nobody's Root"]].concat();
    let outcome = program.run(&nobodys)?;
    outcome.assert_success();
    outcome.assert_said(&["no chain of the CA leads to `Nobody's Root`; it offers: Pebble Root"]);
    let roots: Vec<_> = chains.lock().unwrap().drain(1..).collect();
    let roots = roots
        .iter()
        .map(|chain| certificate::root_name(chain).unwrap());
    let roots: Vec<_> = roots.collect();
    assert_eq!(roots.len(), 3, "{roots:?}");
    for root in &roots {
        let preferred = [&ISSUE[..], &["--preferred-chain", root]].concat();
        let outcome = program.run(&preferred)?;
        outcome.assert_success();
        assert!(!outcome.stderr.contains("no chain"), "{outcome}");
        let path = bed
            .settings()
            .state
            .join("certificates/example-com/fullchain.pem");
        let stored = std::fs::read_to_string(path)?;
        assert_eq!(certificate::root_name(&stored).unwrap(), *root);
    }
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn other_chains_that_are_no_chains_cost_no_certificate() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .alternate_chains(1)
        .start()?;
    let answers = AtomicUsize::new(0);
    let proxy = bed.acme_proxy(move |exchange| {
        let is_chain = exchange.answer.contains("BEGIN CERTIFICATE");
        if is_chain && answers.fetch_add(1, Ordering::SeqCst) > 0 {
            return Spoilt::Changed("no chain at all".to_owned());
        }
        Spoilt::No
    })?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    let preferred = [&ISSUE[..], &["--preferred-chain", "Nobody's Root"]].concat();
    bed.program(settings)?.run(&preferred)?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}

/// The end of a block of PEM.
const END: &str = "-----END CERTIFICATE-----\n";

#[test]
fn a_chain_is_put_in_order_and_what_does_not_belong_to_it_is_left_out() -> Result {
    let bed = TestBed::start()?;
    let stranger = KeyPair::generate().unwrap();
    let mut stranger_root = CertificateParams::default();
    stranger_root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let stranger_root = stranger_root.self_signed(&stranger).unwrap().pem();
    let outcome = run(&bed, move |exchange| {
        match exchange.answer.split_once(END) {
            Some((leaf, issuer)) => Spoilt::Changed(format!("{issuer}{stranger_root}{leaf}{END}")),
            None => Spoilt::No,
        }
    })?;
    outcome.assert_success();
    assert!(!outcome.stderr.contains("warning"), "{outcome}");
    let path = bed.folder().join("spoilt/certificates/example-com");
    let chain = std::fs::read_to_string(path.join("fullchain.pem"))?;
    let leaf = std::fs::read_to_string(path.join("cert.pem"))?;
    assert!(chain.starts_with(&leaf));
    assert_eq!(chain.matches(END).count(), 2);
    Ok(())
}

#[test]
fn a_certificate_without_its_issuer_is_stored_with_a_warning() -> Result {
    let bed = TestBed::start()?;
    let outcome = run(&bed, move |exchange| {
        match exchange.answer.split_once(END) {
            Some((leaf, _)) => Spoilt::Changed(format!("{leaf}{END}")),
            None => Spoilt::No,
        }
    })?;
    outcome.assert_success();
    outcome.assert_said(&["the CA sent no certificate of its issuer `CN=Pebble"]);
    let path = bed.folder().join("spoilt/certificates/example-com");
    let chain = std::fs::read_to_string(path.join("fullchain.pem"))?;
    assert_eq!(chain.matches(END).count(), 1);
    Ok(())
}

#[test]
fn an_answer_without_an_end_and_a_url_without_https_are_refused() -> Result {
    let bed = TestBed::start()?;
    let outcome = run(&bed, |exchange| match exchange.path.as_str() {
        "/dir" if !exchange.answer.is_empty() => Spoilt::Changed("x".repeat(10_000_000)),
        _ => Spoilt::No,
    })?;
    outcome.assert_failure(5, &["more than 1048576 octets"]);
    let outcome = run(&bed, |exchange| match exchange.path.as_str() {
        "/dir" => Spoilt::Changed(exchange.answer.replace("https://", "http://")),
        _ => Spoilt::No,
    })?;
    outcome.assert_failure(5, &["http://", "is not an https:// URL"]);
    assert_eq!(bed.orders()?, 0);
    Ok(())
}

#[test]
fn a_token_becomes_no_path_and_no_command() -> Result {
    for token in ["../../x", "$(id)", "`id`"] {
        let bed = TestBed::start()?;
        let outcome = run(&bed, move |exchange| {
            let Some((before, rest)) = exchange.answer.split_once("\"token\": \"") else {
                return Spoilt::No;
            };
            let Some((_, after)) = rest.split_once('"') else {
                return Spoilt::No;
            };
            Spoilt::Changed(format!("{before}\"token\": \"{token}\"{after}"))
        })?;
        outcome.assert_failure(5, &["could not validate"]);
        assert!(!outcome.stderr.contains("uid="), "{outcome}");
        assert!(!bed.folder().join("x").exists());
    }
    Ok(())
}

/// What a false certificate is like.
type Falsify = fn(&mut CertificateParams);

/// Gives out certificates for the key of the request, made by somebody else and falsified.
fn falsified(falsify: Falsify, key: Option<KeyPair>) -> impl Fn(&Exchange) -> Spoilt + Send + Sync {
    let request = Mutex::new(None);
    move |exchange| {
        if exchange.path.starts_with("/finalize-order") && exchange.answer.is_empty() {
            let jws: serde_json::Value = serde_json::from_str(&exchange.request).unwrap();
            let payload = URL_SAFE_NO_PAD
                .decode(jws["payload"].as_str().unwrap())
                .unwrap();
            let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            let csr = URL_SAFE_NO_PAD
                .decode(payload["csr"].as_str().unwrap())
                .unwrap();
            *request.lock().unwrap() = Some(csr);
        }
        if !exchange.answer.contains("BEGIN CERTIFICATE") {
            return Spoilt::No;
        }
        let csr = request.lock().unwrap().clone().unwrap();
        let mut csr = CertificateSigningRequestParams::from_der(&csr.into()).unwrap();
        falsify(&mut csr.params);
        let root_key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_pem = root.self_signed(&root_key).unwrap().pem();
        let issuer = Issuer::new(root, root_key);
        let leaf = match &key {
            Some(key) => csr.params.signed_by(key, &issuer),
            None => csr.signed_by(&issuer),
        };
        Spoilt::Changed(leaf.unwrap().pem() + &root_pem)
    }
}

#[test]
fn a_certificate_that_is_not_valid_yet_is_stored_with_a_warning() -> Result {
    let bed = TestBed::start()?;
    let early: Falsify = |params| {
        let in_ten_minutes = std::time::SystemTime::now() + std::time::Duration::from_mins(10);
        params.not_before = in_ten_minutes.into();
    };
    let outcome = run(&bed, falsified(early, None))?;
    outcome.assert_success();
    outcome.assert_said(&["the clock of this host shows", "set it by NTP"]);
    Ok(())
}

#[test]
fn a_certificate_that_is_not_what_was_asked_for_is_not_stored() -> Result {
    let cases: [(Falsify, bool, &str); 4] = [
        (|_| {}, true, "key"),
        (
            |params| params.subject_alt_names.truncate(1),
            false,
            "instead of",
        ),
        (
            |params| {
                let more = "more.example.com".try_into().unwrap();
                params.subject_alt_names.push(SanType::DnsName(more));
            },
            false,
            "instead of",
        ),
        (
            |params| {
                params.not_before = rcgen::date_time_ymd(2020, 1, 1);
                params.not_after = rcgen::date_time_ymd(2020, 3, 1);
            },
            false,
            "2020",
        ),
    ];
    for (falsify, other_key, words) in cases {
        let bed = TestBed::start()?;
        let key = other_key.then(|| KeyPair::generate().unwrap());
        let outcome = run(&bed, falsified(falsify, key))?;
        let path = bed.folder().join("spoilt/certificates/example-com");
        let kept = path.join("set-aside/1");
        let shown = kept.display().to_string();
        outcome.assert_failure(5, &["cannot be used", words, &shown]);
        assert!(!path.join("fullchain.pem").exists());
        assert!(
            !path.join("order.json").exists(),
            "it would be fetched again for ever"
        );
        let kept = std::fs::read_to_string(kept)?;
        for part in [
            "Not used: ",
            "Order: https://",
            "BEGIN CERTIFICATE",
            "BEGIN PRIVATE KEY",
        ] {
            assert!(kept.contains(part), "{part}");
        }
        // Nothing is ordered again before the pause has passed, unless that is asked for.
        let mut settings = bed.settings();
        settings.state = bed.folder().join("spoilt");
        let program = bed.program(settings)?;
        let waits = program.run(&["renew"])?;
        waits.assert_success();
        waits.assert_printed(&["waits until"]);
        assert_eq!(bed.orders()?, 1);
        program.run(&ISSUE)?.assert_success();
    }
    Ok(())
}
