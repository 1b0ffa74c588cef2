//! Answers of a CA that could harm other certificates or the process.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acme_alias_core::renewal::{Attempts, Failure};
use acme_alias_core::store::{CertificateStatus, FileStore, FileStoreOptions, Store};
use acme_alias_tests::{Exchange, Outcome, Result, Spoilt, TestBed};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// What is no part of any URL (RFC 3986 §2), as JSON escapes it.
const CONTROL: &str = "\\u0001";

/// Puts a control character into the URL that is this member of a JSON object.
fn spoil_url(answer: &str, member: &str) -> Option<String> {
    let (before, after) = answer.split_once(&format!("\"{member}\":"))?;
    let after = after.replacen("https://", &format!("https://{CONTROL}"), 1);
    Some(format!("{before}\"{member}\":{after}"))
}

/// Renews through a proxy that spoils what is said.
fn renew(
    bed: &TestBed,
    domains: &[String],
    spoil: impl Fn(&Exchange) -> Spoilt + Send + Sync + 'static,
) -> Result<Outcome> {
    let proxy = bed.acme_proxy(spoil)?;
    let mut settings = bed.settings().certificates(domains);
    settings.directory = proxy.directory();
    let outcome = bed.program(settings)?.run(&["renew", "--force"])?;
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    bed.assert_only_txt_was_touched(&[])?;
    Ok(outcome)
}

#[test]
fn a_control_character_in_a_url_of_the_directory_is_an_error_of_the_ca() -> Result {
    let domains = ["example.com".to_owned()];
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    for member in ["newNonce", "newAccount", "newOrder"] {
        let outcome = renew(&bed, &domains, move |exchange| {
            if exchange.path != "/dir" {
                return Spoilt::No;
            }
            spoil_url(&exchange.answer, member).map_or(Spoilt::No, Spoilt::Changed)
        })?;
        outcome.assert_failure(5, &["directory", member]);
    }
    assert_eq!(bed.orders()?, 0);
    Ok(())
}

#[test]
fn a_control_character_in_a_url_of_an_order_fails_its_certificate_only() -> Result {
    let good: Vec<_> = (0..20).map(|i| format!("good{i}.example.com")).collect();
    let members = ["finalize", "authorizations", "certificate"];
    let hostile = members.map(|member| format!("{member}.example.com"));
    let domains = [&good[..], &hostile].concat();
    let bed = TestBed::builder().delegate_apart(&domains).start()?;
    let outcome = renew(&bed, &domains, move |exchange| {
        let is_of = |member: &&&str| {
            exchange
                .answer
                .contains(&format!("\"{member}.example.com\""))
        };
        let Some(member) = members.iter().find(is_of) else {
            return Spoilt::No;
        };
        spoil_url(&exchange.answer, member).map_or(Spoilt::No, Spoilt::Changed)
    })?;
    assert_eq!(outcome.code, Some(5), "{outcome}");
    for domain in good {
        bed.certificate(&domain.replace('.', "-"))?;
    }
    for domain in hostile {
        assert!(bed.certificate(&domain.replace('.', "-")).is_err());
        outcome.assert_said(&[&domain.replace('.', "-")]);
    }
    Ok(())
}

/// The most that a failure may print, in octets.
const SHOWN: usize = 30_000;

#[test]
fn a_problem_of_half_a_megabyte_is_shown_in_part() -> Result {
    let domains = ["example.com".to_owned()];
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let outcome = renew(&bed, &domains, |exchange| {
        if !exchange.path.starts_with("/order-plz") {
            return Spoilt::No;
        }
        let detail = "no \\u001b[2J".repeat(40_000);
        let kind = "x".repeat(10_000);
        let problem = format!("{{ \"type\": \"{kind}\", \"detail\": \"{detail}\" }}");
        let json = ("content-type", "application/problem+json".to_owned());
        Spoilt::Instead(403, vec![json], problem)
    })?;
    outcome.assert_failure(5, &["more characters"]);
    assert!(outcome.stderr.len() < SHOWN, "{}", outcome.stderr.len());
    assert!(!outcome.stderr.contains('\u{1b}'), "{outcome}");
    Ok(())
}

/// Text of nearly a megabyte that controls terminals.
fn controls() -> String {
    "\u{1b}[2J\u{202e}".repeat(70_000)
}

/// What a CA sends in place of an answer: the beginning of the path, and what is changed.
type Change = (&'static str, fn(&mut Value));

const CHANGES: [Change; 6] = [
    ("/dir", |answer| {
        answer["meta"]["termsOfService"] = controls().into();
    }),
    ("/dir", |answer| *answer = controls().into()),
    ("/dir", |answer| {
        let profiles = (0..10_000).map(|n| (format!("\u{1b}[2J{n:070}"), Value::Null));
        answer["meta"]["profiles"] = Value::Object(profiles.collect());
    }),
    ("/order-plz", |answer| *answer = controls().into()),
    ("/order-plz", |answer| {
        let url = format!("https://127.0.0.1:1/{}", "x".repeat(60_000));
        answer["authorizations"] = vec![url].into();
    }),
    ("/authZ", |answer| *answer = controls().into()),
];

#[test]
fn what_a_ca_sends_is_told_in_short_for_each_certificate() -> Result {
    let hosts: Vec<_> = (0..20).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    for (number, (path, change)) in CHANGES.into_iter().enumerate() {
        let proxy = bed.acme_proxy(move |exchange| {
            if !exchange.path.starts_with(path) || exchange.answer.is_empty() {
                return Spoilt::No;
            }
            let mut answer = serde_json::from_str(&exchange.answer).unwrap_or_default();
            change(&mut answer);
            Spoilt::Changed(answer.to_string())
        })?;
        let mut settings = bed.settings().certificates(&hosts);
        settings.directory = proxy.directory();
        if number == 2 {
            let profile = "profile = \"none\"\ndomains";
            settings.more = settings.more.replace("domains", profile);
        }
        let agree = (number > 0).to_string();
        let program = bed
            .program(settings)?
            .env("ACME_ALIAS_ACME__AGREE_TOS", agree);
        let outcome = program.run(&["renew", "--force"])?;
        outcome.assert_failure(5, &["h19-example-com", "h7-example-com"]);
        assert!(!outcome.stderr.contains('\u{1b}'), "{number}");
        let octets = outcome.stderr.len();
        assert!(octets < hosts.len() * 5_000, "{number}: {octets} octets");
    }
    Ok(())
}

#[test]
fn of_five_hundred_alternate_chains_ten_are_fetched() -> Result {
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fetched);
    let proxy = bed.acme_proxy(move |exchange| {
        if exchange.path.starts_with("/certZ/z") {
            count.fetch_add(1, Ordering::Relaxed);
            return Spoilt::Instead(200, Vec::new(), "x".repeat(1_000_000));
        }
        if !exchange.path.starts_with("/certZ/") || exchange.answer.is_empty() {
            return Spoilt::No;
        }
        let links = (0..500).map(|n| format!("<z{n}>;rel=alternate"));
        Spoilt::With("link", links.collect::<Vec<_>>().join(","))
    })?;
    let lines = "domains = [\"example.com\"]\npreferred-chain = \"none\"";
    let mut settings = bed.settings().certificate("web", lines);
    settings.directory = proxy.directory();
    let outcome = bed.program(settings)?.run(&["renew"])?;
    outcome.assert_success();
    outcome.assert_said(&["no chain of the CA leads to `none`"]);
    assert_eq!(fetched.load(Ordering::Relaxed), 10);
    outcome.assert_peak_memory_below(100 << 20);
    Ok(())
}

/// Records that attempts for these certificates failed an hour ago.
pub(crate) fn fail_before(state: &Path, domains: &[String]) -> Result {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let store = FileStore::open(state, FileStoreOptions::default()).await?;
        for domain in domains {
            let failure = Failure {
                error: "too many certificates".to_owned(),
                is_of_ca: true,
                asked: None,
                asked_by: None,
            };
            let an_hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
            let status = CertificateStatus {
                attempts: Some(Attempts::after(None, an_hour_ago, failure)),
                ..CertificateStatus::default()
            };
            store
                .put_status(&domain.replace('.', "-").parse()?, &status)
                .await?;
        }
        Ok(())
    })
}

/// Whether the request opens an order for a name that begins with this.
pub(super) fn orders(exchange: &Exchange, begin: &str) -> bool {
    let request: Value = serde_json::from_str(&exchange.request).unwrap_or_default();
    let payload = request["payload"].as_str().unwrap_or_default();
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    let is_begin = format!("\"value\":\"{begin}");
    exchange.path == "/order-plz" && String::from_utf8_lossy(&payload).contains(&is_begin)
}

#[test]
fn customers_who_use_up_the_limits_of_their_names_stop_no_order_of_others() -> Result {
    let good: Vec<_> = (0..20).map(|i| format!("good{i}.example.com")).collect();
    let hostile: Vec<_> = (0..100).map(|i| format!("used{i}.example.com")).collect();
    let domains = [&good[..], &hostile].concat();
    let bed = TestBed::builder().delegate(&domains).start()?;
    let outcome = renew(&bed, &domains, |exchange| {
        if !orders(exchange, "used") {
            return Spoilt::No;
        }
        let wait = vec![("Retry-After", "10000".to_owned())];
        let detail = "too many certificates already issued for this name";
        Spoilt::Instead(429, wait, detail.to_owned())
    })?;
    assert_eq!(outcome.code, Some(5), "{outcome}");
    for domain in good {
        bed.certificate(&domain.replace('.', "-"))?;
    }
    Ok(())
}

#[test]
fn an_order_that_is_to_wait_for_a_minute_holds_up_no_other() -> Result {
    let domains = ["a.example.com", "b.example.com", "used.example.com"].map(str::to_owned);
    let bed = TestBed::builder().delegate(&domains).start()?;
    let outcome = renew(&bed, &domains, |exchange| {
        if !orders(exchange, "used") {
            return Spoilt::No;
        }
        let wait = vec![("Retry-After", "20".to_owned())];
        Spoilt::Instead(429, wait, "too many certificates".to_owned())
    })?;
    outcome.assert_failure(5, &["used-example-com"]);
    for domain in &domains[..2] {
        bed.certificate(&domain.replace('.', "-"))?;
    }
    assert!(
        outcome.usage.wall < Duration::from_secs(20),
        "{:?}",
        outcome.usage
    );
    Ok(())
}

#[test]
fn an_order_with_more_authorizations_than_names_causes_no_requests() -> Result {
    let domains = ["example.com".to_owned()];
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let before = bed.acme_requests()?;
    let outcome = renew(&bed, &domains, |exchange| {
        let Some((before, after)) = exchange.answer.split_once("\"authorizations\": [") else {
            return Spoilt::No;
        };
        let url = "\"https://127.0.0.1:1/authz\",".repeat(5000);
        Spoilt::Changed(format!("{before}\"authorizations\": [{url}{after}"))
    })?;
    outcome.assert_failure(5, &["5001 authorizations for 1 names"]);
    // Directory, nonce, account and order, and some of them twice.
    assert!(bed.acme_requests()? - before < 10);
    Ok(())
}

#[test]
fn a_url_of_an_account_or_an_order_of_300_kilobytes_is_stored_nowhere() -> Result {
    let domains = ["example.com".to_owned()];
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    for (path, answer) in [
        ("/sign-me-up", "{ \"status\": \"valid\" }"),
        (
            "/order-plz",
            "{ \"status\": \"pending\", \"authorizations\": [] }",
        ),
    ] {
        let outcome = renew(&bed, &domains, move |exchange| {
            if exchange.path != path {
                return Spoilt::No;
            }
            let url = format!("https://ca.example/{}", "x".repeat(300_000));
            Spoilt::Instead(201, vec![("Location", url)], answer.to_owned())
        })?;
        outcome.assert_failure(5, &[path, "answered with a URL of 300019 octets"]);
        let state = bed.settings().state;
        assert!(!state.join("certificates/example-com/order.json").exists());
        for file in fs::read_dir(state.join("accounts"))? {
            assert!(file?.metadata()?.len() < 10_000, "{path}");
        }
    }
    Ok(())
}

#[test]
fn nonces_of_350_kilobytes_in_answers_about_renewal_are_not_kept() -> Result {
    let hosts: Vec<_> = (0..100).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let proxy = bed.acme_proxy(|exchange| {
        if exchange.path == "/dir" && !exchange.answer.is_empty() {
            let mut directory: Value = serde_json::from_str(&exchange.answer).unwrap_or_default();
            let order = directory["newOrder"].as_str().unwrap_or_default();
            directory["renewalInfo"] = order.replace("order-plz", "renewal-info").into();
            return Spoilt::Changed(directory.to_string());
        }
        if !exchange.path.starts_with("/renewal-info/") {
            return Spoilt::No;
        }
        let nonce = ("Replay-Nonce", "x".repeat(350_000));
        let window = json!({ "start": "2036-01-01T00:00:00Z", "end": "2036-01-02T00:00:00Z" });
        let answer = json!({ "suggestedWindow": window });
        Spoilt::Instead(200, vec![nonce], answer.to_string())
    })?;
    let mut settings = bed.settings().certificates(&hosts);
    settings.directory = proxy.directory();
    let program = bed.program(settings)?;
    let issued = program.run(&["renew"])?;
    issued.assert_success();
    let looked = program.run(&["renew"])?;
    looked.assert_success();
    let (issued, looked) = (issued.usage.peak_memory, looked.usage.peak_memory);
    assert!(looked < issued + (16 << 20), "{issued}, {looked}");
    Ok(())
}

/// Renews one certificate with 30 names, while the CA changes the dns-01 challenge of each.
fn renew_with_challenges(spoil: fn(&mut Value)) -> Result<Outcome> {
    let hosts: Vec<_> = (0..30).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let proxy = bed.acme_proxy(move |exchange| {
        if !exchange.path.starts_with("/authZ") || exchange.answer.is_empty() {
            return Spoilt::No;
        }
        let mut answer: Value = serde_json::from_str(&exchange.answer).unwrap_or_default();
        let challenges = answer["challenges"].as_array_mut().into_iter().flatten();
        challenges
            .filter(|challenge| challenge["type"] == "dns-01")
            .for_each(spoil);
        Spoilt::Changed(answer.to_string())
    })?;
    let lines = format!("domains = {}", json!(hosts));
    let mut settings = bed.settings().certificate("web", &lines);
    settings.directory = proxy.directory();
    bed.program(settings)?.run(&["renew"])
}

#[test]
fn half_a_million_subproblems_of_each_challenge_are_not_kept() -> Result {
    let outcome = renew_with_challenges(|challenge| {
        challenge["error"] = json!({ "subproblems": vec![0; 480_000] });
    })?;
    outcome.assert_success();
    outcome.assert_peak_memory_below(200 << 20);
    Ok(())
}

#[test]
fn tokens_of_a_megabyte_are_not_kept() -> Result {
    let outcome = renew_with_challenges(|challenge| {
        challenge["token"] = "t".repeat(1_000_000).into();
    })?;
    outcome.assert_failure(5, &["a challenge has a text of 1000000 octets"]);
    outcome.assert_peak_memory_below(100 << 20);
    Ok(())
}

/// Renews 60 certificates, while the CA changes each of their orders.
fn renew_with_orders(spoil: fn(&mut Value)) -> Result<Outcome> {
    let hosts: Vec<_> = (0..60).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let proxy = bed.acme_proxy(move |exchange| {
        let is_order = ["/order-plz", "/my-order"]
            .iter()
            .any(|path| exchange.path.starts_with(path));
        if !is_order || exchange.answer.is_empty() {
            return Spoilt::No;
        }
        let mut answer: Value = serde_json::from_str(&exchange.answer).unwrap_or_default();
        spoil(&mut answer);
        Spoilt::Changed(answer.to_string())
    })?;
    let mut settings = bed.settings().certificates(&hosts);
    settings.directory = proxy.directory();
    let program = bed.program(settings)?;
    let program = program.env("ACME_ALIAS_ACME__ORDER_TIMEOUT", "20s");
    program.run(&["renew"])
}

#[test]
fn urls_of_a_megabyte_in_orders_are_not_kept() -> Result {
    let outcome = renew_with_orders(|order| {
        order["finalize"] = format!("https://ca.test/{}", "u".repeat(1_000_000)).into();
    })?;
    outcome.assert_peak_memory_below(100 << 20);
    Ok(())
}

#[test]
fn hundreds_of_thousands_of_authorizations_in_orders_that_are_pending_are_not_kept() -> Result {
    let outcome = renew_with_orders(|order| {
        if order["authorizations"].as_array().is_some() && order["status"] != "pending" {
            order["status"] = "pending".into();
            order["authorizations"] = vec![""; 330_000].into();
        }
    })?;
    outcome.assert_peak_memory_below(200 << 20);
    Ok(())
}

/// Renews so many certificates, while the CA refuses each order with this problem.
pub(super) fn renew_refused(certificates: usize, problem: &Value) -> Result<Outcome> {
    let hosts = (0..certificates).map(|i| format!("h{i}.example.com"));
    let hosts: Vec<_> = hosts.collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let problem = problem.to_string();
    let proxy = bed.acme_proxy(move |exchange| {
        if !exchange.path.starts_with("/order-plz") {
            return Spoilt::No;
        }
        let json = ("content-type", "application/problem+json".to_owned());
        Spoilt::Instead(403, vec![json], problem.clone())
    })?;
    let mut settings = bed.settings().certificates(&hosts);
    settings.directory = proxy.directory();
    bed.program(settings)?.run(&["renew"])
}

#[test]
fn a_thousand_subproblems_of_each_refused_order_are_not_kept() -> Result {
    let subproblem = json!({
        "type": "urn:ietf:params:acme:error:rejectedIdentifier",
        "detail": "d".repeat(800),
        "identifier": { "type": "dns", "value": "h1.example.com" },
    });
    let outcome = renew_refused(
        150,
        &json!({
            "type": "urn:ietf:params:acme:error:rejectedIdentifier",
            "detail": "no",
            "subproblems": vec![subproblem; 1000],
        }),
    )?;
    outcome.assert_failure(5, &["rejectedIdentifier"]);
    outcome.assert_peak_memory_below(100 << 20);
    Ok(())
}

#[test]
fn a_megabyte_in_place_of_the_authorizations_of_each_order_is_not_kept() -> Result {
    let outcome = renew_with_orders(|order| {
        order["authorizations"] = "a".repeat(1_000_000).into();
    })?;
    outcome.assert_failure(5, &["invalid type", "more characters"]);
    outcome.assert_peak_memory_below(100 << 20);
    Ok(())
}
