//! Certificates that would use up the orders that a CA allows, although they get none, or at another CA.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use acme_alias_tests::{
    Result, SECOND_ALIAS_ZONE, Settings, SimulatedCa, Spoilt, TestBed, Validation,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::hostile_ca::orders;
use super::hostile_orders::refusal;
use super::hostile_waits::pending;
use super::renewal_info::{PATH, with_info};

#[test]
fn certificates_for_which_no_order_is_opened_leave_the_orders_of_a_run_to_others() -> Result {
    const GOOD: &str = "zgood.example.com";
    let mut builder = TestBed::builder().delegate_apart(&[GOOD]);
    for host in ["unreachable1", "unreachable2"] {
        let name = format!("_acme-challenge.{host}.example.com");
        builder = builder.cname(&name, &format!("{host}.{SECOND_ALIAS_ZONE}"));
    }
    let bed = builder.start()?;
    let dead = bed.dead_port()?;
    let mut settings = bed.settings();
    settings.providers[1].server = dead.address();
    settings.more += "[acme.limits]\norders = 6\n";
    for kind in ["nowhere", "unreachable", "unknown"] {
        let more = match kind {
            // Only the pre-flight would find the alias name.
            "unknown" => "skip-preflight = true",
            _ => "",
        };
        for number in 1..=2 {
            let lines = format!("domains = [\"{kind}{number}.example.com\"]\n{more}");
            settings = settings.certificate(&format!("{kind}{number}"), &lines);
        }
    }
    let program = bed.program(settings.certificates(&[GOOD]))?;
    let outcome = program.run(&["renew"])?;
    assert!(bed.certificate("zgood-example-com").is_ok(), "{outcome}");
    assert!(!outcome.stdout.contains("no more orders"), "{outcome}");
    assert_eq!(bed.orders()?, 1, "{outcome}");
    Ok(())
}

#[test]
fn orders_that_others_leave_are_used_while_those_of_another_ca_stay_pending() -> Result {
    let hosts = ["zgood.example.com", "slow.example.com"];
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let ca = SimulatedCa::start(Validation::Trust)?;
    let proxy = bed.acme_proxy(pending)?;
    let mut settings = bed.settings_with(&ca);
    settings.more += &format!(
        "[acme.limits]\norders = 2\n[cas.other]\ndirectory = \"{}\"\nca-file = \"{}\"\nagree-tos = true\n\
         order-timeout = \"10m\"\n",
        proxy.directory(),
        bed.settings().ca_file.unwrap_or_default().display()
    );
    settings = settings.certificates(&["nowhere1.example.com", "nowhere2.example.com"]);
    let slow = "domains = [\"slow.example.com\"]\nca = \"other\"";
    let settings = settings.certificate("slow", slow).certificates(&hosts[..1]);
    let running = bed.program(settings)?.spawn(&["renew"])?;
    bed.wait_until("the certificate", |bed| {
        Ok(bed.certificate("zgood-example-com").is_ok())
    })?;
    running.kill()
}

#[test]
fn many_new_names_of_one_domain_leave_orders_to_new_ones_of_others() -> Result {
    let many: Vec<_> = (0..30).map(|n| format!("a{n}.many.example.com")).collect();
    let good: Vec<_> = (0..5).map(|n| format!("good{n}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&[&many[..], &good].concat());
    let bed = bed.start()?;
    let ca = SimulatedCa::start(Validation::Trust)?;
    let mut settings = bed.settings_with(&ca).certificates(&many);
    settings = settings.certificates(&good);
    settings.more += "[acme.limits]\norders = 20\n";
    let outcome = bed.program(settings)?.run(&["renew"])?;
    for host in good {
        let certificate = bed.certificate(&host.replace('.', "-"));
        assert!(certificate.is_ok(), "{host}: {outcome}");
    }
    assert_eq!(ca.orders(), 20);
    Ok(())
}

#[test]
fn windows_in_the_past_of_one_ca_use_up_no_orders_of_another() -> Result {
    let bad: Vec<_> = (0..6).map(|n| format!("bad{n}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&bad).start()?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let is_hostile = Arc::new(AtomicBool::new(false));
    let hostile = Arc::clone(&is_hostile);
    let proxy = bed.acme_proxy(move |exchange| {
        let is_hostile = hostile.load(Ordering::SeqCst);
        match exchange.path.as_str() {
            "/dir" if !exchange.answer.is_empty() => with_info(&exchange.answer),
            path if path.starts_with(PATH) && exchange.answer.is_empty() => {
                let days = if is_hostile { -3 } else { 600 };
                let start = Timestamp::now() + SignedDuration::from_hours(24 * days);
                let end = start + SignedDuration::from_hours(24);
                let info = json!({ "suggestedWindow": { "start": start, "end": end } });
                Spoilt::Instead(200, vec![], info.to_string())
            }
            _ if is_hostile && orders(exchange, "bad") => refusal(exchange, "bad"),
            _ => Spoilt::No,
        }
    })?;
    let mut settings = bad.iter().fold(bed.settings(), |settings, host| {
        let fallback = "fallback-ca = \"other\"\nfallback-after = 1";
        let lines = format!("domains = [\"{host}\"]\n{fallback}");
        settings.certificate(&host.replace('.', "-"), &lines)
    });
    settings.directory = proxy.directory();
    allow_at_other(&mut settings, &other, 4);
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    is_hostile.store(true, Ordering::SeqCst);
    program.run(&["renew"])?.assert_failure(5, &["no bad"]);
    let last = program.clock("+62s").run(&["renew"])?;
    // A quarter is left for certificates that did not fail.
    assert_eq!(other.orders(), 3, "{last}");
    Ok(())
}

/// Adds another CA that allows so many orders.
fn allow_at_other(settings: &mut Settings, other: &SimulatedCa, orders: u32) {
    let (directory, root) = (other.directory(), other.root().display());
    settings.more += &format!(
        "[cas.other]\ndirectory = \"{directory}\"\nca-file = \"{root}\"\nagree-tos = true\nlimits.orders = {orders}\n"
    );
}
