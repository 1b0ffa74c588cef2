//! Orders that stay pending at a CA, because it gets no answer from the servers of their owner, beside good certificates
//! of the same CA.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use acme_alias_tests::{
    ALIAS_ZONE, Builder, Exchange, HostileAnswer, HostileServer, Result, Settings, Spoilt, TestBed,
};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{RData, Record, RecordType};
use serde_json::{Value, json};

use super::hostile_ca::orders;
use super::hostile_waits::{ORDER_TIMEOUT, assert_added, touched_by};
use super::hostile_zones::{GOOD, HOSTILE, TTL, name, none};

/// How long good certificates take at most. The others take five minutes.
const TIME: Duration = Duration::from_mins(1);

fn good() -> Vec<String> {
    (0..GOOD).map(|n| format!("good{n}.example.com")).collect()
}

/// So many hosts, whose names begin with `a`.
fn slow(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("a{n}.example.com")).collect()
}

/// Lets the orders for names that begin with `a` stay pending.
fn stay_pending(exchange: &Exchange) -> Spoilt {
    let answer = serde_json::from_str(&exchange.answer);
    let mut answer: Value = answer.unwrap_or_default();
    let name = answer["identifiers"][0]["value"].as_str();
    if !name.is_some_and(|name| name.starts_with('a')) {
        return Spoilt::No;
    }
    answer["status"] = "pending".into();
    Spoilt::Changed(answer.to_string())
}

/// All good certificates are obtained and deployed in time, while the orders for names that begin with `a` stay pending.
#[track_caller]
fn assert_unharmed(bed: Builder, certificates: impl Fn(Settings) -> Settings) -> Result {
    let bed = bed.delegate_apart(&good()).start()?;
    let proxy = bed.acme_proxy(stay_pending)?;
    let mut settings = certificates(bed.settings()).certificates(&good());
    settings.directory = proxy.directory();
    let deployed = touched_by(&mut settings, &bed);
    let begun = Instant::now();
    let running = bed.program(settings)?.spawn(&["renew"])?;
    let is_obtained = |host: &String| bed.certificate(&host.replace('.', "-")).is_ok();
    while !(deployed.exists() && good().iter().all(is_obtained)) && begun.elapsed() < TIME {
        // Nothing tells when a program has run.
        thread::sleep(Duration::from_millis(100));
    }
    let obtained = good().iter().filter(|host| is_obtained(host)).count();
    running.kill()?;
    assert_eq!((obtained, deployed.exists()), (GOOD, true));
    Ok(())
}

#[test]
fn orders_that_stay_pending_hold_up_no_certificate_of_the_same_ca() -> Result {
    let slow = slow(150);
    let builder = TestBed::builder().delegate_apart(&slow);
    assert_unharmed(builder, |settings| settings.certificates(&slow))
}

#[test]
fn an_order_that_stays_pending_holds_up_no_deployment_of_those_to_whose_alias_names_it_leads()
-> Result {
    let slow = slow(GOOD);
    let mut builder = TestBed::builder();
    for (slow, good) in slow.iter().zip(good()) {
        let (from, to) = (
            format!("_acme-challenge.{slow}"),
            format!("{good}.{ALIAS_ZONE}"),
        );
        builder = builder.cname(&from, &to);
    }
    let lines = format!("domains = {slow:?}");
    assert_unharmed(builder, |settings| settings.certificate("first", &lines))
}

/// A server of challenge names, each of which leads to the same alias name: that of `a0` at once, and those of `a1` and so on
/// by three CNAMEs more than the one before, each of which comes late.
fn one_after_the_other() -> Result<HostileServer> {
    HostileServer::start(|asked, kind, mut answer| {
        let labels: Vec<_> = asked.iter().map(String::from_utf8_lossy).collect();
        let number = |label: &str| label[1..].parse::<usize>().ok();
        let left = match labels.first() {
            Some(first) if first == "_acme-challenge" => number(&labels[1]).map(|n| 3 * n),
            Some(first) if first.starts_with('s') => number(first),
            _ => None,
        };
        let is_asked = matches!(kind, RecordType::TXT | RecordType::CNAME);
        let Some(left) = left.filter(|_| is_asked) else {
            return none(answer, &name(HOSTILE));
        };
        let target = match left {
            0 => format!("shared.{ALIAS_ZONE}"),
            left => format!("s{}.{}.{HOSTILE}", left - 1, labels[1]),
        };
        let cname = RData::CNAME(CNAME(name(&target)));
        answer.answers = vec![Record::from_rdata(asked.clone(), TTL, cname)];
        match left {
            0 => HostileAnswer::Now(answer),
            _ => HostileAnswer::Late(Duration::from_millis(850), answer),
        }
    })
}

#[test]
fn orders_that_stay_pending_one_after_the_other_at_an_alias_name_delay_no_added_certificate()
-> Result {
    let server = one_after_the_other()?;
    // Two rounds, and the end of the run.
    let limit = 2 * ORDER_TIMEOUT + Duration::from_secs(10);
    assert_added(&[], limit, stay_pending, |mut settings| {
        settings
            .zones
            .push((HOSTILE.to_owned(), vec![server.address()]));
        (0..4).fold(settings, |settings, n| {
            let lines = format!("domains = [\"a{n}.{HOSTILE}\"]\nca = \"other\"");
            settings.certificate(&format!("a{n}"), &lines)
        })
    })
}

/// Lets the CA refuse an order, because of this name.
fn refused(name: &str) -> Spoilt {
    let kind = "urn:ietf:params:acme:error:rejectedIdentifier";
    let identifier = json!({"type": "dns", "value": name});
    let subproblem = json!({"type": kind, "detail": "no", "identifier": identifier});
    let problem = json!({"type": kind, "detail": "no", "subproblems": [subproblem]});
    let content_type = ("content-type", "application/problem+json".to_owned());
    Spoilt::Instead(403, vec![content_type], problem.to_string())
}

#[test]
fn orders_that_stay_pending_again_delay_no_second_order_of_those_that_did_not_fail() -> Result {
    const FAILING: usize = 4;
    // The alias name has room for the values of one of them.
    let failing = |n: usize| -> Vec<_> {
        let names = (0..60).map(|i| format!("a{n}x{i}.example.com"));
        names.collect()
    };
    let target = format!("shared.{ALIAS_ZONE}");
    let good = ["bad0.example.com", "good0.example.com"].map(str::to_owned);
    let all = (0..FAILING).flat_map(failing).chain(good.clone());
    let bed = all.fold(TestBed::builder(), |builder, name| {
        builder.cname(&format!("_acme-challenge.{name}"), &target)
    });
    let bed = bed.ttl(0).start()?;
    let have_failed = Arc::new(AtomicBool::new(false));
    let failed = Arc::clone(&have_failed);
    let proxy = bed.acme_proxy(move |exchange| {
        let is_first = !failed.load(Ordering::Relaxed) && orders(exchange, "a");
        if is_first || orders(exchange, "bad") {
            return refused("bad0.example.com");
        }
        stay_pending(exchange)
    })?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    for n in 0..FAILING {
        let lines = format!("domains = {:?}", failing(n));
        settings = settings.certificate(&format!("a{n}"), &lines);
    }
    let first = bed.program(settings.clone())?.run(&["renew"])?;
    first.assert_failure(5, &["rejectedIdentifier"]);
    have_failed.store(true, Ordering::Relaxed);
    let lines = format!("domains = {good:?}\npartial = true");
    let program = bed.program(settings.certificate("good", &lines))?;
    let timeout = format!("{}s", ORDER_TIMEOUT.as_secs());
    let program = program.env("ACME_ALIAS_ACME__ORDER_TIMEOUT", timeout);
    let begun = Instant::now();
    let running = program.clock("+62s").spawn(&["renew"])?;
    while bed.certificate("good").is_err() && begun.elapsed() < 2 * ORDER_TIMEOUT {
        // Nothing tells when it is stored.
        thread::sleep(Duration::from_millis(100));
    }
    let took = begun.elapsed();
    running.kill()?;
    assert!(took < ORDER_TIMEOUT, "{took:?}");
    Ok(())
}

/// These names lead to one alias name.
fn shared(names: &[String]) -> Builder {
    let target = format!("shared.{ALIAS_ZONE}");
    names.iter().fold(TestBed::builder(), |builder, name| {
        builder.cname(&format!("_acme-challenge.{name}"), &target)
    })
}

#[test]
fn more_orders_than_are_begun_at_a_time_that_wait_for_one_alias_name_hold_up_no_others() -> Result {
    let slow = slow(420);
    assert_unharmed(shared(&slow), |settings| settings.certificates(&slow))
}

#[test]
fn orders_that_stay_pending_at_an_alias_name_hold_up_no_certificate_in_use_with_more_names()
-> Result {
    let slow = slow(60);
    let good = ["x", "y", "z"].map(|host| format!("{host}.example.com"));
    let bed = shared(&[&slow[..], &good].concat()).ttl(0).start()?;
    let proxy = bed.acme_proxy(stay_pending)?;
    let settings = |key_type: &str| {
        let lines = format!("domains = {good:?}\nkey-type = \"{key_type}\"");
        let mut settings = bed.settings().certificate("good", &lines);
        settings.directory = proxy.directory();
        settings
    };
    let first = bed.program(settings("ecdsa-p256"))?.run(&["renew"])?;
    first.assert_success();
    let changed = settings("ecdsa-p384").certificates(&slow);
    let running = bed.program(changed)?.spawn(&["renew"])?;
    let version = bed.folder().join("state/certificates/good/versions/2");
    let begun = Instant::now();
    while !version.exists() && begun.elapsed() < TIME {
        // Nothing tells when it is stored.
        thread::sleep(Duration::from_millis(100));
    }
    running.kill()?;
    assert!(version.exists());
    Ok(())
}

#[test]
fn a_certificate_with_the_alias_names_of_others_keeps_none_of_them_while_it_waits() -> Result {
    let mut builder = TestBed::builder();
    let mut joining = vec!["joining.example.com".to_owned()];
    let to_others = good()
        .into_iter()
        .map(|host| format!("{host}.{ALIAS_ZONE}"));
    let busy = (0..2).map(|n| format!("z{n}.{ALIAS_ZONE}"));
    for (number, alias_name) in to_others.chain(busy.clone()).enumerate() {
        let host = format!("j{number}.example.com");
        builder = builder.cname(&format!("_acme-challenge.{host}"), &alias_name);
        joining.push(host);
    }
    for (host, alias_name) in slow(2).into_iter().zip(busy) {
        builder = builder.cname(&format!("_acme-challenge.{host}"), &alias_name);
    }
    // Others are slow, so that the good ones come when the first orders are under way.
    let server = HostileServer::start(|_, _, answer| match none(answer, &name(HOSTILE)) {
        HostileAnswer::Now(answer) => HostileAnswer::Late(Duration::from_secs(3), answer),
        other => other,
    })?;
    let late: Vec<_> = (0..150).map(|n| format!("b{n}.{HOSTILE}")).collect();
    let joining = format!("domains = {joining:?}");
    assert_unharmed(
        builder.delegate_apart(&["joining.example.com"]),
        |settings| {
            let mut settings = settings.certificates(&slow(2)).certificates(&late);
            settings
                .zones
                .push((HOSTILE.to_owned(), vec![server.address()]));
            settings.certificate("joining", &joining)
        },
    )
}
