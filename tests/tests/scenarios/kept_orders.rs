//! Orders that a killed run left, and a CA that says something odd about them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use acme_alias_core::crash::Point;
use acme_alias_tests::{ALIAS_ZONE, Exchange, Outcome, Profile, Program, Result, Spoilt, TestBed};
use serde_json::{Value, json};

const ISSUE: [&str; 5] = [
    "issue",
    "example.com",
    "*.example.com",
    "--challenge-alias",
    ALIAS_ZONE,
];

fn bed() -> Result<TestBed> {
    let bed = TestBed::builder().delegate(&["example.com"]);
    bed.profile(Profile::Failpoints).start()
}

/// Runs until this point, and then once more while the CA's answers are spoilt.
fn resumed(
    bed: &TestBed,
    point: Point,
    spoil: impl Fn(&Exchange) -> Spoilt + Send + Sync + 'static,
) -> Result<Outcome> {
    let is_second = Arc::new(AtomicBool::new(false));
    let spoils = Arc::clone(&is_second);
    let proxy = bed.acme_proxy(move |exchange| {
        if spoils.load(Ordering::SeqCst) {
            return spoil(exchange);
        }
        Spoilt::No
    })?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    let program = bed.program(settings)?;
    kill(&program, point)?;
    is_second.store(true, Ordering::SeqCst);
    let outcome = program.run(&ISSUE)?;
    bed.assert_only_txt_was_touched(&[])?;
    Ok(outcome)
}

fn kill(program: &Program, point: Point) -> Result {
    let crash = format!("{}=return", point.name());
    let killed = program.clone().env("FAILPOINTS", crash).run(&ISSUE)?;
    assert_eq!(killed.code, None, "{killed}");
    Ok(())
}

/// The body of an answer, if it is about an existing order or an authorization.
fn answer(exchange: &Exchange, path: &str) -> Option<Value> {
    let is_asked_for = exchange.path.starts_with(path) && !exchange.answer.is_empty();
    is_asked_for.then(|| serde_json::from_str(&exchange.answer).ok())?
}

const ORDER: &str = "/my-order/";
const AUTHORIZATION: &str = "/authZ/";

/// Changes the first answers of these.
fn first(
    count: usize,
    path: &'static str,
    change: impl Fn(Value) -> Spoilt + Send + Sync + 'static,
) -> impl Fn(&Exchange) -> Spoilt + Send + Sync + 'static {
    let seen = AtomicUsize::new(0);
    move |exchange| match answer(exchange, path) {
        Some(answer) if seen.fetch_add(1, Ordering::SeqCst) < count => change(answer),
        _ => Spoilt::No,
    }
}

#[test]
fn an_order_that_the_ca_does_not_have_is_replaced_in_the_same_run() -> Result {
    let html = vec![("content-type", "text/html".to_owned())];
    let page = "<html>not here</html>";
    for (status, headers) in [
        (404, html.clone()),
        (403, Vec::new()),
        (410, Vec::new()),
        (200, html),
    ] {
        let bed = bed()?;
        let kept = OnceLock::new();
        let outcome = resumed(&bed, Point::OrderKept, move |exchange| {
            if exchange.path.starts_with(ORDER)
                && *kept.get_or_init(|| exchange.path.clone()) == exchange.path
            {
                return Spoilt::Instead(status, headers.clone(), page.to_owned());
            }
            Spoilt::No
        })?;
        outcome.assert_success();
        assert_eq!(bed.orders()?, 2, "{status}");
    }
    Ok(())
}

#[test]
fn an_order_with_an_authorization_that_is_lost_is_replaced_before_anything_is_written() -> Result {
    for status in ["expired", "deactivated", "revoked"] {
        let bed = bed()?;
        let lost = first(2, AUTHORIZATION, move |mut authorization| {
            authorization["status"] = json!(status);
            Spoilt::Changed(authorization.to_string())
        });
        resumed(&bed, Point::OrderKept, lost)?.assert_success();
        assert_eq!(bed.orders()?, 2, "{status}");
        // One for each value, both ways.
        let ledger = bed.run(&["ledger", "show", "--output", "json"])?;
        assert_eq!(ledger.stdout.matches("\"intent\"").count(), 4, "{ledger}");
    }
    Ok(())
}

#[test]
fn an_order_that_is_not_pending_any_more_needs_no_authorizations() -> Result {
    for point in [Point::Finalize, Point::Finalized] {
        let bed = bed()?;
        let gone = |exchange: &Exchange| {
            if exchange.path.starts_with(AUTHORIZATION) {
                return Spoilt::Instead(404, Vec::new(), String::new());
            }
            Spoilt::No
        };
        resumed(&bed, point, gone)?.assert_success();
        assert_eq!(bed.orders()?, 1, "{point:?}");
    }
    Ok(())
}

#[test]
fn members_of_a_kept_order_may_be_null_or_empty() -> Result {
    let bed = bed()?;
    let bare = first(1, ORDER, |mut order| {
        assert_eq!(order["status"], "ready");
        order["authorizations"] = Value::Null;
        for member in ["replaces", "certificate"] {
            order[member] = json!("");
        }
        order["error"] = json!({});
        Spoilt::Changed(order.to_string())
    });
    resumed(&bed, Point::Finalize, bare)?.assert_success();
    assert_eq!(bed.orders()?, 1);
    Ok(())
}

/// Runs once while the answers about orders are changed.
fn run(bed: &TestBed, change: impl Fn(Value) -> Value + Send + Sync + 'static) -> Result<Outcome> {
    let proxy = bed.acme_proxy(move |exchange| match answer(exchange, ORDER) {
        Some(order) => Spoilt::Changed(change(order).to_string()),
        None => Spoilt::No,
    })?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    let outcome = bed.program(settings)?.run(&ISSUE)?;
    bed.assert_only_txt_was_touched(&[])?;
    Ok(outcome)
}

#[test]
fn members_that_later_answers_leave_out_are_kept() -> Result {
    let bed = TestBed::start()?;
    let outcome = run(&bed, |mut order| {
        if let Some(members) = order.as_object_mut() {
            members.retain(|name, _| ["status", "certificate"].contains(&name.as_str()));
        }
        order
    })?;
    outcome.assert_success();
    Ok(())
}

#[test]
fn statuses_that_nobody_knows_are_waited_out() -> Result {
    let bed = TestBed::start()?;
    let seen = AtomicUsize::new(0);
    let outcome = run(&bed, move |mut order| {
        if order["status"] == "valid" {
            let odd = ["in-review", "VALID"][seen.fetch_add(1, Ordering::SeqCst).min(1)];
            order["status"] = json!(odd);
        }
        order
    })?;
    outcome.assert_success();
    assert_eq!(bed.orders()?, 1);
    Ok(())
}

#[test]
fn an_order_that_stays_pending_although_a_name_failed_is_not_waited_for() -> Result {
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let proxy = bed.acme_proxy(|exchange| match answer(exchange, ORDER) {
        Some(mut order) if order["status"] == "invalid" => {
            order["status"] = json!("pending");
            order["error"] = Value::Null;
            Spoilt::Changed(order.to_string())
        }
        _ => Spoilt::No,
    })?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    let issue = [
        "issue",
        "www.example.com",
        "--skip-preflight",
        "--challenge-alias",
        ALIAS_ZONE,
    ];
    let started = std::time::Instant::now();
    let outcome = bed.program(settings)?.run(&issue)?;
    outcome.assert_failure(5, &["the CA could not validate www.example.com"]);
    // The program waits for an order for minutes.
    assert!(started.elapsed().as_secs() < 60, "{outcome}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_kept_order_has_a_maximum_age() -> Result {
    for (days, orders) in [(29, 1), (31, 2)] {
        let bed = bed()?;
        let program = bed.program(bed.settings())?;
        kill(&program, Point::OrderKept)?;
        let path = bed
            .folder()
            .join("state/certificates/example-com/order.json");
        let mut order: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        let opened = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
        order["opened"] = json!(opened.to_string());
        std::fs::write(&path, order.to_string())?;
        program.run(&ISSUE)?.assert_success();
        assert_eq!(bed.orders()?, orders, "{days}");
    }
    Ok(())
}

#[test]
fn problems_are_understood_whatever_their_media_type_is_said_to_be() -> Result {
    for kind in ["application/json", "text/plain", ""] {
        let bed = TestBed::start()?;
        let seen = AtomicUsize::new(0);
        let proxy = bed.acme_proxy(move |exchange| {
            if exchange.path != "/order-plz" || !exchange.answer.is_empty() {
                return Spoilt::No;
            }
            let (status, name) = match seen.fetch_add(1, Ordering::SeqCst) {
                0 => (400, "badNonce"),
                _ => (403, "unsupportedIdentifier"),
            };
            let problem = json!({
                "type": format!("urn:ietf:params:acme:error:{name}"),
                "detail": null,
                "subproblems": [null, { "identifier": { "type": "new", "value": "x" } }],
            });
            let kind = (!kind.is_empty()).then(|| ("content-type", kind.to_owned()));
            Spoilt::Instead(status, kind.into_iter().collect(), problem.to_string())
        })?;
        let mut settings = bed.settings();
        settings.directory = proxy.directory();
        let outcome = bed.program(settings)?.run(&ISSUE)?;
        let words = ["(unsupportedIdentifier)", "use another CA for this name"];
        outcome.assert_failure(5, &words);
    }
    Ok(())
}
