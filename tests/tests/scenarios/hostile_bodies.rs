//! Large answers of a CA to many requests at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acme_alias_tests::{AcmeProxy, Exchange, Outcome, Result, Spoilt, TestBed};
use serde_json::Value;

/// The most that a process may use for them, in octets.
const MEMORY: u64 = 120 << 20;

/// An answer with an order is nearly a megabyte, and has no end.
fn endless(exchange: &Exchange) -> Spoilt {
    if !exchange.path.starts_with("/order-plz") || exchange.answer.is_empty() {
        return Spoilt::No;
    }
    Spoilt::Endless(" ".repeat(1_000_000))
}

fn hosts() -> Vec<String> {
    (0..100).map(|i| format!("h{i}.example.com")).collect()
}

/// Renews through a proxy.
fn renew(bed: &TestBed, directory: String) -> Result<Outcome> {
    let mut settings = bed.settings().certificates(&hosts());
    settings.directory = directory;
    let program = bed.program(settings)?.env("ACME_ALIAS_ACME__TIMEOUT", "3s");
    program.limit(Duration::from_mins(3)).run(&["renew"])
}

#[test]
fn bodies_of_a_megabyte_in_a_hundred_answers_at_once_are_not_all_read() -> Result {
    let bed = TestBed::builder().delegate_apart(&hosts()).start()?;
    let proxy = bed.acme_proxy(endless)?;
    let outcome = renew(&bed, proxy.directory())?;
    outcome.assert_failure(5, &["100 certificates failed"]);
    outcome.assert_peak_memory_below(MEMORY);
    Ok(())
}

#[test]
fn bodies_of_two_megabytes_from_sixty_hosts_at_once_are_not_all_accepted() -> Result {
    let bed = TestBed::builder().delegate_apart(&hosts()).start()?;
    // The first ones take the turns of those that are read.
    let octets = |host| if host < 8 { 50_000 } else { 2_000_000 };
    let others = (0..64)
        .map(|host| bed.acme_proxy_http2(move |_| Spoilt::Endless(" ".repeat(octets(host)))));
    let others = others.collect::<Result<Vec<_>>>()?;
    let directories: Vec<_> = others.iter().map(AcmeProxy::directory).collect();
    let turn = AtomicUsize::new(0);
    let proxy = bed.acme_proxy_http2(move |exchange| {
        let mut answer: Value = serde_json::from_str(&exchange.answer).unwrap_or_default();
        let Some(url) = answer["authorizations"].get_mut(0) else {
            return Spoilt::No;
        };
        let host = turn.fetch_add(1, Ordering::SeqCst) % directories.len();
        *url = directories[host].clone().into();
        Spoilt::Changed(answer.to_string())
    })?;
    let outcome = renew(&bed, proxy.directory())?;
    outcome.assert_failure(5, &["answered with more than"]);
    outcome.assert_peak_memory_below(MEMORY);
    Ok(())
}
