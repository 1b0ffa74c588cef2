//! Certificates whose orders fail, and what is left of the orders that a CA allows.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use acme_alias_tests::{
    ALIAS_ZONE, AcmeProxy, Exchange, Program, Result, Settings, SimulatedCa, Spoilt, TestBed,
    Validation,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::hostile_ca::orders;

/// So many hosts, whose names begin with `bad`.
fn bad(count: usize) -> Vec<String> {
    let hosts = (0..count).map(|n| format!("bad{n}.example.com"));
    hosts.collect()
}

/// A CA that refuses orders whose first name begins so.
pub(super) fn refusing(bed: &TestBed, begin: &'static str) -> Result<AcmeProxy> {
    bed.acme_proxy(move |exchange| refusal(exchange, begin))
}

pub(super) fn refusal(exchange: &Exchange, begin: &str) -> Spoilt {
    if !orders(exchange, begin) {
        return Spoilt::No;
    }
    let problem = json!({
        "type": "urn:ietf:params:acme:error:rejectedIdentifier",
        "detail": format!("no {begin}"),
    });
    let content_type = ("content-type", "application/problem+json".to_owned());
    Spoilt::Instead(403, vec![content_type], problem.to_string())
}

/// Lets orders become invalid whose first name begins with `bad`, after they were opened.
fn become_invalid(exchange: &Exchange) -> Spoilt {
    let order = serde_json::from_str(&exchange.answer);
    let mut order: Value = order.unwrap_or_default();
    let name = order["identifiers"][0]["value"].as_str();
    let is_bad = name.is_some_and(|name| name.starts_with("bad"));
    if exchange.path == "/order-plz" || !is_bad {
        return Spoilt::No;
    }
    order["status"] = "invalid".into();
    Spoilt::Changed(order.to_string())
}

/// The settings with another CA.
fn with_other(mut settings: Settings, other: &SimulatedCa) -> Settings {
    let (directory, root) = (other.directory(), other.root().display());
    settings.more += &format!(
        "[cas.other]\ndirectory = \"{directory}\"\nca-file = \"{root}\"\nagree-tos = true\n"
    );
    settings
}

#[test]
fn orders_of_a_ca_that_is_asked_in_place_of_another_one_count_there() -> Result {
    let bad = bad(10);
    let bed = TestBed::builder().delegate_apart(&bad).start()?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let proxy = refusing(&bed, "bad")?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    for host in &bad {
        let fallback = "fallback-ca = \"other\"\nfallback-after = 1";
        let lines = format!("domains = [\"{host}\"]\n{fallback}");
        settings = settings.certificate(&host.replace('.', "-"), &lines);
    }
    let mut settings = with_other(settings, &other);
    settings.more += "limits.orders = 5\n";
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_failure(5, &["no"]);
    let second = program.clock("+62s").run(&["renew"])?;
    second.assert_printed(&["because the CA allows no more orders now"]);
    assert!((1..=5).contains(&other.orders()), "{second}");
    Ok(())
}

#[test]
fn certificates_that_fail_again_and_again_leave_orders_for_new_ones() -> Result {
    let (bad, good) = (bad(10), ["good.example.com"]);
    let builder = TestBed::builder().delegate_apart(&bad);
    let bed = builder.delegate_apart(&good).start()?;
    let proxy = bed.acme_proxy(become_invalid)?;
    let mut settings = bed.settings().certificates(&bad);
    settings.directory = proxy.directory();
    settings.more += "[acme.limits]\norders = 20\n";
    let program = bed.program(settings.clone())?;
    for clock in ["+0s", "+62s"] {
        let failed = program.clone().clock(clock).run(&["renew"])?;
        failed.assert_failure(5, &["order is invalid"]);
    }
    // A customer who comes later.
    let program = bed.program(settings.certificates(&good))?;
    let outcome = program.clock("+70s").run(&["renew"])?;
    assert!(bed.certificate("good-example-com").is_ok(), "{outcome}");
    Ok(())
}

#[test]
fn orders_after_those_that_stayed_pending_and_failed_then_count() -> Result {
    let bad = bad(10);
    let bed = TestBed::builder().delegate_apart(&bad).start()?;
    let usual = bed.program(bed.settings().certificates(&bad))?;
    usual.run(&["renew"])?.assert_success();
    // Their owners have servers that do not answer, and then have no records.
    let have_failed = Arc::new(AtomicBool::new(false));
    let opened = Arc::new(AtomicUsize::new(0));
    let (failed, counted) = (Arc::clone(&have_failed), Arc::clone(&opened));
    let proxy = bed.acme_proxy(move |exchange| {
        if exchange.answer.is_empty() {
            let opens = usize::from(orders(exchange, "bad"));
            counted.fetch_add(opens, Ordering::Relaxed);
            return Spoilt::No;
        }
        if !exchange.path.starts_with("/my-order") {
            return Spoilt::No;
        }
        let answer = serde_json::from_str(&exchange.answer);
        let mut answer: Value = answer.unwrap_or_default();
        let has_failed = failed.load(Ordering::Relaxed);
        answer["status"] = if has_failed { "invalid" } else { "pending" }.into();
        Spoilt::Changed(answer.to_string())
    })?;
    let mut settings = bed.settings().certificates(&bad);
    settings.directory = proxy.directory();
    settings.more += "[acme.limits]\norders = 12\n";
    let program = bed.program(settings)?;
    let program = program.env("ACME_ALIAS_ACME__ORDER_TIMEOUT", "4s");
    let pending = program.run(&["renew"])?;
    pending.assert_failure(5, &["did not finish the validation in time"]);
    assert_eq!(opened.load(Ordering::Relaxed), 10);
    have_failed.store(true, Ordering::Relaxed);
    let outcome = program.clock("+62s").run(&["renew"])?;
    let opened = opened.load(Ordering::Relaxed);
    assert!(opened <= 12, "{opened} orders: {outcome}");
    Ok(())
}

#[test]
fn orders_of_certificates_that_no_settings_file_has_count_as_well() -> Result {
    let bad = bad(10);
    let bed = TestBed::builder().delegate_apart(&bad).start()?;
    let proxy = bed.acme_proxy(become_invalid)?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    settings.more += "[acme.limits]\norders = 5\n";
    let program = bed.program(settings)?;
    for host in &bad {
        program
            .run(&["issue", host])?
            .assert_failure(5, &["order is invalid"]);
    }
    let outcome = program.clock("+62s").run(&["renew"])?;
    outcome.assert_printed(&["because the CA allows no more orders now"]);
    Ok(())
}

#[test]
fn certificates_that_fail_leave_a_second_order_to_one_that_did_not_fail_before() -> Result {
    const GOOD: &str = "good.example.com";
    let bad = bad(3);
    let builder = TestBed::builder().delegate_apart(&[GOOD]);
    let bed = builder.ttl(0).negative_ttl(5).start()?;
    let ca = SimulatedCa::start(Validation::At(bed.ca_resolver()))?;
    let mut settings = bed.settings_with(&ca);
    settings.more += "[acme.limits]\norders = 8\n";
    for host in &bad {
        // They have no CNAME, so that the CA sees nothing.
        let lines = format!(
            "domains = [\"{host}\"]\ndomain-alias = \"{host}.{ALIAS_ZONE}\"\nskip-preflight = true"
        );
        settings = settings.certificate(&host.replace('.', "-"), &lines);
    }
    let failed = bed.program(settings.clone())?.run(&["renew"])?;
    failed.assert_failure(5, &["could not validate"]);
    assert_eq!(ca.orders(), 6, "{failed}");
    // Somebody lets the CA ask for the alias name of another customer, before his value is there.
    let program = bed.program(settings.certificates(&[GOOD]))?;
    let ended = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        let asking = scope.spawn(|| -> Result {
            while !ended.load(Ordering::Relaxed) {
                let name = format!("_acme-challenge.{GOOD}");
                bed.ask(bed.ca_resolver(), &name, "TXT")?;
            }
            Ok(())
        });
        let outcome = program.run(&["renew"]);
        ended.store(true, Ordering::Relaxed);
        let asked = asking.join();
        assert!(matches!(asked, Ok(Ok(()))), "{asked:?}");
        outcome
    })?;
    assert_eq!(ca.orders(), 8, "{outcome}");
    assert!(bed.certificate("good-example-com").is_ok(), "{outcome}");
    Ok(())
}

#[test]
fn customers_with_certificates_who_use_up_the_limits_of_their_names_stop_no_new_one() -> Result {
    let bad = bad(6);
    let bed = TestBed::builder().delegate_apart(&bad);
    let bed = bed.delegate_apart(&["good.example.com"]).start()?;
    let is_used_up = Arc::new(AtomicBool::new(false));
    let used_up = Arc::clone(&is_used_up);
    let proxy = bed.acme_proxy(move |exchange| {
        if !used_up.load(Ordering::SeqCst) || !orders(exchange, "bad") {
            return Spoilt::No;
        }
        let wait = vec![("Retry-After", "80000".to_owned())];
        let detail = "too many certificates already issued for this name";
        Spoilt::Instead(429, wait, detail.to_owned())
    })?;
    let settings = |names: usize| {
        let mut settings = bed.settings();
        settings.directory = proxy.directory();
        let customers = bad.chunks(2).zip(1..);
        customers.fold(settings, |settings, (hosts, number)| {
            let lines = format!("domains = {:?}", &hosts[..names]);
            settings.certificate(&format!("customer{number}"), &lines)
        })
    };
    bed.program(settings(1))?.run(&["renew"])?.assert_success();
    is_used_up.store(true, Ordering::SeqCst);
    let refused = bed.program(settings(2))?.run(&["renew"])?;
    refused.assert_failure(5, &["customer1", "customer2", "customer3"]);
    let later = settings(2).certificates(&["good.example.com"]);
    let outcome = bed.program(later)?.run(&["renew"])?;
    assert!(bed.certificate("good-example-com").is_ok(), "{outcome}");
    Ok(())
}

/// Moves the last failed attempt of a certificate into the past. The clocks of name servers let no test wait so long.
fn pass(bed: &TestBed, id: &str, time: SignedDuration) -> Result {
    let status = format!("state/certificates/{id}/status.json");
    let path = bed.folder().join(status);
    let mut status: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    for member in ["failed_at", "until", "asked"] {
        let at = status["attempts"][member].as_str();
        if let Some(at) = at.and_then(|at| at.parse::<Timestamp>().ok()) {
            status["attempts"][member] = json!((at - time).to_string());
        }
    }
    Ok(std::fs::write(&path, status.to_string())?)
}

/// A CA that asks to wait for a week after each order.
fn asking_to_wait(bed: &TestBed) -> Result<AcmeProxy> {
    bed.acme_proxy(waiting)
}

fn waiting(exchange: &Exchange) -> Spoilt {
    match exchange.path.as_str() {
        "/order-plz" => {
            let wait = vec![("Retry-After", "604800".to_owned())];
            Spoilt::Instead(503, wait, "not now".to_owned())
        }
        _ => Spoilt::No,
    }
}

/// The program with a certificate of the first CA, for which the other one is asked in its place.
fn asked_in_place(bed: &TestBed, first: &AcmeProxy, other: &SimulatedCa) -> Result<Program> {
    let lines = format!(
        "domains = [\"example.com\"]\nchallenge-alias = \"{ALIAS_ZONE}\"\nfallback-ca = \"other\""
    );
    let mut settings = with_other(bed.settings().certificate("web", &lines), other);
    settings.directory = first.directory();
    bed.program(settings)
}

#[test]
fn a_ca_that_asks_to_wait_for_a_week_does_not_keep_certificates_from_another_one() -> Result {
    let bed = TestBed::start()?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let proxy = asking_to_wait(&bed)?;
    let program = asked_in_place(&bed, &proxy, &other)?;
    program.run(&["renew"])?.assert_failure(5, &["not now"]);
    pass(&bed, "web", SignedDuration::from_hours(2))?;
    let second = program.run(&["renew"])?;
    assert_eq!(other.certificates(), 1, "{second}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_ca_that_asks_to_wait_for_a_week_is_not_asked_again_after_a_failure_of_the_dns() -> Result {
    let bed = TestBed::start()?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&orders);
    let proxy = bed.acme_proxy(move |exchange| {
        if exchange.path == "/order-plz" {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        waiting(exchange)
    })?;
    let program = asked_in_place(&bed, &proxy, &other)?;
    program.run(&["renew"])?.assert_failure(5, &["not now"]);
    let first = orders.load(Ordering::SeqCst);
    let cname = |operation: &str| {
        let record = "_acme-challenge.example.com. 60 CNAME _acme-challenge";
        format!("zone example.com.\nupdate {operation} {record}.{ALIAS_ZONE}.\nsend\n")
    };
    bed.update_main_zones(&cname("delete"))?;
    pass(&bed, "web", SignedDuration::from_hours(2))?;
    program.run(&["renew"])?.assert_failure(3, &["no CNAME"]);
    bed.update_main_zones(&cname("add"))?;
    pass(&bed, "web", SignedDuration::from_hours(2))?;
    let last = program.run(&["renew"])?;
    assert_eq!(other.certificates(), 1, "{last}");
    assert_eq!(orders.load(Ordering::SeqCst), first, "{last}");
    assert_eq!(bed.txt()?, [], "{last}");
    Ok(())
}

#[test]
fn a_certificate_that_is_moved_to_another_ca_does_not_wait_as_the_former_one_asked() -> Result {
    let bed = TestBed::start()?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let proxy = asking_to_wait(&bed)?;
    let program = |ca: &str| {
        let lines = format!(
            "domains = [\"example.com\"]\nchallenge-alias = \"{ALIAS_ZONE}\"\nca = \"{ca}\""
        );
        let mut settings = with_other(bed.settings().certificate("web", &lines), &other);
        settings.directory = proxy.directory();
        bed.program(settings)
    };
    let first = program("acme")?;
    first.run(&["renew"])?.assert_failure(5, &["not now"]);
    // Nothing overrides what the CA asks for.
    first.run(&["renew", "web", "--force"])?;
    let second = program("other")?.run(&["renew", "web"])?;
    assert_eq!(other.certificates(), 1, "{second}");
    bed.assert_only_txt_was_touched(&[])
}

/// What a CA answers that says that our account there has this URL, and whose orders stay pending. `base` is where it is.
fn pretending(path: &str, base: &str, account: &str) -> Spoilt {
    let order = json!({
        "status": "pending",
        "identifiers": [{ "type": "dns", "value": "example.com" }],
        "authorizations": [format!("{base}/authZ/x")],
        "finalize": format!("{base}/finalize/x"),
    });
    let (status, location, body) = match path {
        "/sign-me-up" => (201, account.to_owned(), json!({ "status": "valid" })),
        "/order-plz" => (201, format!("{base}/my-order/x"), order),
        "/my-order/x" => (200, String::new(), order),
        "/authZ/x" => (503, String::new(), json!({})),
        _ => return Spoilt::No,
    };
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("location", location),
    ];
    Spoilt::Instead(status, headers, body.to_string())
}

#[test]
fn an_order_of_a_ca_is_not_resumed_at_another_one_where_the_account_has_the_same_url() -> Result {
    let bed = TestBed::start()?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let account = format!("https://{}/account/0", other.address());
    let base = Arc::new(OnceLock::new());
    let here = Arc::clone(&base);
    let proxy = bed.acme_proxy(move |exchange| {
        let base = here.get().map_or("", String::as_str);
        pretending(&exchange.path, base, &account)
    })?;
    let _ = base.set(proxy.directory().replace("/dir", ""));
    let lines = format!(
        "domains = [\"example.com\"]\nchallenge-alias = \"{ALIAS_ZONE}\"\nfallback-ca = \"other\"\n\
         fallback-after = 1"
    );
    let mut settings = with_other(bed.settings().certificate("web", &lines), &other);
    settings.directory = proxy.directory();
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_failure(5, &["503"]);
    let second = program.clock("+62s").run(&["renew"])?;
    assert_eq!(other.certificates(), 1, "{second}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_ca_that_is_asked_in_place_of_another_one_repeats_no_certificate_without_a_new_name() -> Result
{
    let names = ["example.com", "www.example.com"];
    let bed = TestBed::builder().delegate(&names).start()?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let proxy = refusing(&bed, "www.example.com")?;
    let program = |names: &[&str]| {
        let lines = format!(
            "domains = {names:?}\nchallenge-alias = \"{ALIAS_ZONE}\"\npartial = true\nca = \"other\"\n\
             fallback-ca = \"acme\"\nfallback-after = 1"
        );
        let mut settings = with_other(bed.settings().certificate("web", &lines), &other);
        settings.directory = proxy.directory();
        bed.program(settings)
    };
    program(&names[..1])?.run(&["renew"])?.assert_success();
    // A name is added, and the CA does not answer.
    other.set_down(true);
    let program = program(&names)?;
    program.run(&["renew"])?.assert_failure(5, &["503"]);
    let second = program.clone().clock("+62s").run(&["renew"])?;
    second.assert_failure(5, &["no www.example.com"]);
    assert_eq!(bed.orders()?, 0, "{second}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_ca_that_is_asked_in_place_of_another_one_takes_no_name_from_a_certificate_in_use() -> Result {
    let names = ["www.example.com", "example.com"];
    let bed = TestBed::builder().delegate(&names).start()?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let proxy = refusing(&bed, "www.example.com")?;
    let program = |key_type: &str| {
        let lines = format!(
            "domains = {names:?}\nchallenge-alias = \"{ALIAS_ZONE}\"\npartial = true\nca = \"other\"\n\
             fallback-ca = \"acme\"\nfallback-after = 1\nkey-type = \"{key_type}\""
        );
        let mut settings = with_other(bed.settings().certificate("web", &lines), &other);
        settings.directory = proxy.directory();
        bed.program(settings)
    };
    program("ecdsa-p256")?.run(&["renew"])?.assert_success();
    // Another version is wanted, and the CA does not answer.
    other.set_down(true);
    let program = program("ecdsa-p384")?;
    program.run(&["renew"])?.assert_failure(5, &["503"]);
    let second = program.clone().clock("+62s").run(&["renew"])?;
    let list = program.run(&["list", "--output", "json"])?.json()?;
    assert_eq!(list["certificates"][0]["lacking"], json!([]), "{second}");
    second.assert_failure(5, &["no www.example.com"]);
    Ok(())
}

#[test]
fn a_name_that_one_ca_refuses_is_ordered_at_the_one_that_is_asked_in_its_place() -> Result {
    let names = ["www.example.com", "example.com"];
    let bed = TestBed::builder().delegate(&names).start()?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let proxy = bed.acme_proxy(|exchange| {
        if exchange.path.starts_with("/authZ/") {
            return Spoilt::Instead(503, Vec::new(), "not now".to_owned());
        }
        refusal(exchange, "www.example.com")
    })?;
    let lines = format!(
        "domains = {names:?}\nchallenge-alias = \"{ALIAS_ZONE}\"\npartial = true\n\
         fallback-ca = \"other\"\nfallback-after = 1"
    );
    let mut settings = with_other(bed.settings().certificate("web", &lines), &other);
    settings.directory = proxy.directory();
    let program = bed.program(settings)?;
    // The order without the name is kept.
    let first = program.run(&["renew"])?;
    first.assert_failure(5, &["going on without www.example.com", "not now"]);
    let second = program.clock("+62s").run(&["renew"])?;
    second.assert_success();
    assert_eq!(other.issued()[0].names.len(), 2, "{second}");
    Ok(())
}
