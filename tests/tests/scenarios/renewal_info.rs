//! Renewal information of the CA (RFC 9773), and the certificate that an order replaces.

use std::sync::{Arc, Mutex, PoisonError};

use acme_alias_tests::{
    ALIAS_ZONE, AcmeProxy, Exchange, Outcome, Program, Result, Spoilt, TestBed,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Where the proxy answers for the CA.
pub(crate) const PATH: &str = "/renewal-info";

/// What the proxy answers, and what it has seen.
#[derive(Default)]
struct Talk {
    /// The answer to a look.
    look: Option<Spoilt>,
    /// The answer to an order that replaces something, in place of the CA's.
    refusal: Option<Spoilt>,
    /// The paths of looks.
    looks: Vec<String>,
    /// What orders asked for.
    orders: Vec<Value>,
}

/// A CA with renewal information: Pebble, behind a proxy that has it.
struct WithInfo {
    bed: TestBed,
    talk: Arc<Mutex<Talk>>,
    program: Program,
    _proxy: AcmeProxy,
}

impl WithInfo {
    fn start() -> Result<WithInfo> {
        let bed = TestBed::start()?;
        let talk = Arc::new(Mutex::new(Talk::default()));
        let answers = Arc::clone(&talk);
        let proxy = bed.acme_proxy(move |exchange| {
            let mut talk = answers.lock().unwrap_or_else(PoisonError::into_inner);
            talk.answer(exchange)
        })?;
        let lines = format!("domains = [\"example.com\"]\nchallenge-alias = \"{ALIAS_ZONE}\"");
        let mut settings = bed.settings().certificate("web", &lines);
        settings.directory = proxy.directory();
        let program = bed.program(settings)?;
        program.run(&["renew"])?.assert_success();
        Ok(WithInfo {
            bed,
            talk,
            program,
            _proxy: proxy,
        })
    }

    fn talk<T>(&self, with: impl FnOnce(&mut Talk) -> T) -> T {
        with(&mut self.talk.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Renews while the CA answers looks like this. A look that is on record is made again.
    fn renew(&self, look: Spoilt) -> Result<Outcome> {
        self.talk(|talk| talk.look = Some(look));
        let status = self.bed.folder().join("state/certificates/web/status.json");
        if let Ok(text) = std::fs::read_to_string(&status) {
            let mut known: Value = serde_json::from_str(&text).unwrap_or_default();
            if let Some(info) = known["renewal_info"].as_object_mut() {
                info.insert("look_at".to_owned(), json!("2026-01-01T00:00:00Z"));
                std::fs::write(&status, known.to_string())?;
            }
        }
        self.program.run(&["renew", "--output", "json"])
    }

    /// Renews, and nothing is due. Returns when it is, and why then.
    #[track_caller]
    fn due(&self, look: Spoilt) -> Result<(Timestamp, String)> {
        let outcome = self.renew(look)?;
        outcome.assert_success();
        let skipped = outcome.json()?["skipped"][0].clone();
        let due: Option<Timestamp> = serde_json::from_value(skipped["due"].clone())?;
        let why = skipped["due_by"].as_str().unwrap_or_default().to_owned();
        assert!(due.is_some(), "{outcome}");
        Ok((due.unwrap_or_default(), why))
    }
}

impl Talk {
    fn answer(&mut self, exchange: &Exchange) -> Spoilt {
        let is_answer = !exchange.answer.is_empty();
        match exchange.path.as_str() {
            "/dir" if is_answer => with_info(&exchange.answer),
            "/order-plz" if !is_answer => {
                let order = payload(&exchange.request);
                let replaces = order.get("replaces").is_some();
                self.orders.push(order);
                let refusal = self.refusal.clone().filter(|_| replaces);
                refusal.unwrap_or(Spoilt::No)
            }
            path if path.starts_with(PATH) && !is_answer => {
                self.looks.push(path.to_owned());
                self.look.clone().unwrap_or_else(|| window(60, 62))
            }
            _ => Spoilt::No,
        }
    }
}

/// The directory with renewal information.
pub(crate) fn with_info(directory: &str) -> Spoilt {
    let Ok(mut directory) = serde_json::from_str::<Value>(directory) else {
        return Spoilt::No;
    };
    let nonce = directory["newNonce"].as_str().unwrap_or_default();
    let (origin, _) = nonce.rsplit_once('/').unwrap_or_default();
    directory["renewalInfo"] = Value::from(format!("{origin}{PATH}"));
    Spoilt::Changed(directory.to_string())
}

fn payload(request: &str) -> Value {
    let request: Value = serde_json::from_str(request).unwrap_or_default();
    let payload = BASE64_URL_SAFE_NO_PAD.decode(request["payload"].as_str().unwrap_or_default());
    serde_json::from_slice(&payload.unwrap_or_default()).unwrap_or_default()
}

fn day(number: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(24 * number)
}

fn info(start: i64, end: i64, headers: Vec<(&'static str, String)>) -> Spoilt {
    let window = json!({ "start": day(start), "end": day(end) });
    let page = "https://ca.example/why";
    let body = json!({ "suggestedWindow": window, "explanationURL": page });
    Spoilt::Instead(200, headers, body.to_string())
}

/// A window from one day to another, counted from today.
fn window(start: i64, end: i64) -> Spoilt {
    info(start, end, vec![("Retry-After", "21600".to_owned())])
}

fn problem(status: u16, kind: &str) -> Spoilt {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    let json = ("Content-Type", "application/problem+json".to_owned());
    let body = json!({ "type": kind, "detail": "not so" });
    Spoilt::Instead(status, vec![json], body.to_string())
}

#[test]
fn a_window_in_the_future_is_waited_for_and_one_in_the_past_renews() -> Result {
    let ca = WithInfo::start()?;
    let future = window(20, 24);
    let (due, why) = ca.due(future.clone())?;
    assert_eq!(why, "the CA's window");
    assert!(due > day(19) && due < day(24), "{due}");
    let looks = ca.talk(|talk| talk.looks.clone());
    // One look, at the identifier of the certificate.
    assert_eq!(looks.len(), 1, "{looks:?}");
    assert_eq!(looks[0].matches('.').count(), 1, "{looks:?}");
    // The time is drawn once.
    assert_eq!(ca.due(future)?.0, due);
    let outcome = ca.renew(window(-4, -2))?;
    outcome.assert_success();
    let renewed = outcome.json()?["renewed"][0].clone();
    assert_eq!(renewed["why"], "due by the CA's window");
    assert_eq!(ca.bed.orders()?, 2);
    // The window was that of the version before.
    assert_eq!(ca.due(window(20, 24))?.1, "the CA's window");
    assert_eq!(ca.bed.orders()?, 2);
    Ok(())
}

#[test]
fn a_ca_that_always_wants_a_renewal_gets_four_a_day() -> Result {
    let ca = WithInfo::start()?;
    for orders in 2..=5 {
        ca.renew(window(-4, -2))?.assert_success();
        assert_eq!(ca.bed.orders()?, orders);
    }
    let (due, why) = ca.due(window(-4, -2))?;
    assert_eq!(why, "the CA's window");
    assert!(
        day(1).duration_since(due) < SignedDuration::from_mins(10),
        "{due}"
    );
    assert_eq!(ca.bed.orders()?, 5);
    Ok(())
}

#[test]
fn no_look_is_made_before_the_ca_wants_it() -> Result {
    let ca = WithInfo::start()?;
    let renew = |clock: &str| ca.program.clone().clock(clock).run(&["renew"]);
    ca.talk(|talk| talk.look = Some(info(20, 24, vec![("Retry-After", "200".to_owned())])));
    renew("+0s")?.assert_success();
    renew("+190s")?.assert_success();
    assert_eq!(ca.talk(|talk| talk.looks.len()), 1);
    renew("+210s")?.assert_success();
    assert_eq!(ca.talk(|talk| talk.looks.len()), 2);
    Ok(())
}

#[test]
fn an_answer_that_cannot_be_used_neither_delays_nor_prevents_a_renewal() -> Result {
    let ca = WithInfo::start()?;
    let text = |status, body: &str| Spoilt::Instead(status, Vec::new(), body.to_owned());
    for look in [
        info(24, 20, Vec::new()),
        text(200, "not JSON"),
        text(200, "{\"suggestedWindow\":null}"),
        text(
            200,
            "{\"suggestedWindow\":{\"start\":\"soon\",\"end\":\"later\"}}",
        ),
        problem(404, "malformed"),
        text(404, "nothing here"),
        text(500, "not now"),
        Spoilt::Cut,
    ] {
        let (due, why) = ca.due(look.clone())?;
        assert_eq!(why, "its lifetime", "{look:?}");
        assert!(due > day(30), "{due}");
    }
    assert_eq!(ca.due(info(20, 24, Vec::new()))?.1, "the CA's window");
    // What is known stays known.
    assert_eq!(ca.due(text(500, "not now"))?.1, "the CA's window");
    let (due, why) = ca.due(window(20, 21))?;
    assert_eq!(why, "the CA's window");
    assert!(due < day(21), "the window shrank: {due}");
    let outcome = ca.program.run(&["renew", "--force"])?;
    outcome.assert_success();
    assert_eq!(ca.bed.orders()?, 2);
    Ok(())
}

#[test]
fn a_window_at_the_beginning_or_the_end_of_time_harms_nothing() -> Result {
    let ca = WithInfo::start()?;
    let window = |start: &str, end: &str| {
        let window = json!({ "suggestedWindow": { "start": start, "end": end } });
        Spoilt::Instead(200, Vec::new(), window.to_string())
    };
    let (first, last) = ("-009999-01-02T02:00:00Z", "9999-12-30T21:00:00Z");
    for look in [
        window(first, "-009999-01-02T03:00:00Z"),
        window("9999-12-30T20:00:00Z", last),
        window(first, last),
    ] {
        let outcome = ca.renew(look.clone())?;
        assert!(!outcome.stderr.contains("panicked"), "{look:?}: {outcome}");
        outcome.assert_success();
        ca.program.run(&["list"])?.assert_success();
    }
    Ok(())
}

#[test]
fn a_window_after_the_end_of_the_certificate_is_none() -> Result {
    let ca = WithInfo::start()?;
    let usual = ca.due(info(24, 20, Vec::new()))?;
    assert_eq!(usual.1, "its lifetime");
    for look in [window(20_000, 20_002), window(2, 200_000)] {
        assert_eq!(ca.due(look)?, usual);
    }
    Ok(())
}

#[test]
fn an_order_says_what_it_replaces_and_is_opened_without_if_that_is_refused() -> Result {
    let ca = WithInfo::start()?;
    let force = || ca.program.run(&["renew", "--force"]);
    for (status, kind) in [
        (409, "alreadyReplaced"),
        (403, "unauthorized"),
        (400, "malformed"),
        (404, "malformed"),
    ] {
        ca.talk(|talk| {
            talk.orders.clear();
            talk.refusal = Some(problem(status, kind));
        });
        force()?.assert_success();
        let orders = ca.talk(|talk| talk.orders.clone());
        let replaces: Vec<_> = orders.iter().map(|order| order.get("replaces")).collect();
        assert_eq!(replaces.len(), 2, "{status}: {orders:?}");
        assert!(replaces[0].is_some() && replaces[1].is_none(), "{orders:?}");
    }
    ca.talk(|talk| {
        talk.orders.clear();
        talk.refusal = None;
    });
    force()?.assert_success();
    let orders = ca.talk(|talk| talk.orders.clone());
    assert_eq!(orders.len(), 1);
    let replaces = orders[0]["replaces"].as_str().unwrap_or_default();
    assert!(replaces.contains('.'), "{orders:?}");
    // Another account has replaced nothing.
    std::fs::remove_dir_all(ca.bed.folder().join("state/accounts"))?;
    ca.talk(|talk| talk.orders.clear());
    force()?.assert_success();
    let orders = ca.talk(|talk| talk.orders.clone());
    assert_eq!(orders[0].get("replaces"), None);
    Ok(())
}

#[test]
fn a_profile_that_the_ca_does_not_have_is_refused_with_its_list() -> Result {
    let bed = TestBed::start()?;
    let profile = |profiles: Option<Value>, name: &str| -> Result<(Outcome, Vec<Value>)> {
        let orders = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&orders);
        let proxy = bed.acme_proxy(move |exchange| match exchange.path.as_str() {
            "/dir" if !exchange.answer.is_empty() => {
                let mut directory: Value =
                    serde_json::from_str(&exchange.answer).unwrap_or_default();
                if let Some(profiles) = &profiles {
                    directory["meta"]["profiles"] = profiles.clone();
                }
                Spoilt::Changed(directory.to_string())
            }
            "/order-plz" if exchange.answer.is_empty() => {
                let mut orders = seen.lock().unwrap_or_else(PoisonError::into_inner);
                orders.push(payload(&exchange.request)["profile"].clone());
                Spoilt::No
            }
            _ => Spoilt::No,
        })?;
        let mut settings = bed.settings();
        settings.directory = proxy.directory();
        let issue = [
            "issue",
            "example.com",
            "--challenge-alias",
            ALIAS_ZONE,
            "--force",
        ];
        let outcome = bed
            .program(settings)?
            .run(&[&issue[..], &["--profile", name]].concat())?;
        let orders = orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Ok((outcome, orders))
    };
    let offered = || Some(json!({ "classic": "90 days", "shortlived": "6 days" }));
    let (outcome, orders) = profile(offered(), "shortlivd")?;
    outcome.assert_failure(
        5,
        &["no profile `shortlivd`", "it has: classic, shortlived"],
    );
    assert_eq!(orders, [""; 0]);
    for none in [None, Some(json!({})), Some(json!("classic"))] {
        let (outcome, orders) = profile(none, "shortlived")?;
        outcome.assert_failure(5, &["it has no profiles at all"]);
        assert_eq!(orders, [""; 0]);
    }
    let (outcome, orders) = profile(offered(), "shortlived")?;
    outcome.assert_success();
    assert_eq!(orders, ["shortlived"]);
    Ok(())
}
