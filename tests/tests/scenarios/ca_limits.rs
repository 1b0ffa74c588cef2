//! What the CA allows an account is kept, across runs, and by two runs at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use acme_alias_core::crash::Point;
use acme_alias_tests::{
    Error, Profile, Result, Settings, SimulatedCa, Spoilt, TestBed, Validation,
};

use crate::hostile_ca::fail_before;

const CERTIFICATES: usize = 12;

fn hosts() -> Vec<String> {
    (0..CERTIFICATES)
        .map(|n| format!("h{n}.example.com"))
        .collect()
}

/// A bed with a CA that takes any number, and settings with a limit of five orders in two minutes.
fn limited(ca: &SimulatedCa) -> Result<(TestBed, Settings)> {
    let bed = TestBed::builder().delegate_apart(&hosts()).start()?;
    let mut settings = bed.settings_with(ca).certificates(&hosts());
    settings.more += "[acme.limits]\norders = 5\norders-per = \"2m\"\nidentical = 2\n";
    Ok((bed, settings))
}

#[test]
fn the_first_certificates_of_many_are_obtained_as_fast_as_the_ca_allows() -> Result {
    let ca = SimulatedCa::start(Validation::Trust)?;
    let (bed, settings) = limited(&ca)?;
    let program = bed.program(settings)?;
    let first = program.run(&["renew", "--output", "json"])?;
    first.assert_success();
    assert_eq!(ca.certificates(), 5);
    let waiting = first.json()?["waiting"].as_array().map(Vec::len);
    assert_eq!(waiting, Some(7), "{first}");
    // The next run begins with nothing left, and kills lose no count.
    program.spawn(&["renew"])?.kill()?;
    let second = program.run(&["renew"])?;
    second.assert_success();
    second.assert_printed(&[
        "because the CA allows no more orders now",
        "7 certificates wait for a limit of the CA; the last one can be obtained at about",
    ]);
    assert_eq!(ca.certificates(), 5);
    // One that is named waits as well.
    let named = program.run(&["renew", "h9-example-com"])?;
    named.assert_success();
    assert_eq!(ca.certificates(), 5, "{named}");
    for (clock, certificates) in [("+121s", 10), ("+242s", 12)] {
        program
            .clone()
            .clock(clock)
            .run(&["renew"])?
            .assert_success();
        assert_eq!(ca.certificates(), certificates, "{clock}");
    }
    Ok(())
}

#[test]
fn orders_that_a_killed_run_has_not_opened_do_not_count() -> Result {
    let ca = SimulatedCa::start(Validation::Trust)?;
    let bed = TestBed::builder().delegate_apart(&hosts());
    let bed = bed.profile(Profile::Failpoints).start()?;
    let mut settings = bed.settings_with(&ca).certificates(&hosts());
    settings.more += &format!("[acme.limits]\norders = {CERTIFICATES}\n");
    let program = bed.program(settings)?;
    let killed_at = |point: Point| {
        let crash = format!("{}=return", point.name());
        let killed = program.clone().env("FAILPOINTS", crash).run(&["renew"])?;
        assert_eq!(killed.code, None, "{killed}");
        Ok::<_, Error>(())
    };
    // They are counted by then.
    killed_at(Point::Preflight)?;
    assert_eq!(ca.orders(), 0);
    killed_at(Point::OrderKept)?;
    assert!(ca.orders() > 0);
    let last = program.run(&["renew"])?;
    last.assert_success();
    assert!(ca.certificates() > 0, "{last}");
    assert!(ca.orders() <= CERTIFICATES, "{last}");
    Ok(())
}

#[test]
fn two_runs_at_once_count_together() -> Result {
    let ca = SimulatedCa::start(Validation::Trust)?;
    let (bed, settings) = limited(&ca)?;
    let program = bed.program(settings)?;
    let runs = [program.spawn(&["renew"])?, program.spawn(&["renew"])?];
    for run in runs {
        run.wait()?;
    }
    assert_eq!(ca.orders(), 5);
    Ok(())
}

#[test]
fn orders_that_were_not_opened_do_not_count() -> Result {
    let ca = SimulatedCa::start(Validation::Trust)?;
    // No CNAME leads anywhere.
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let mut settings = bed.settings_with(&ca).certificates(&hosts());
    settings.more += "[acme.limits]\norders = 5\n";
    let program = bed.program(settings)?;
    program
        .run(&["renew"])?
        .assert_failure(3, &["_acme-challenge.h0"]);
    let account = bed.folder().join("state/accounts");
    let mut left = 0;
    for entry in std::fs::read_dir(account)? {
        let path = entry?.path();
        if path.display().to_string().ends_with(".status.json") {
            let status: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
            assert_eq!(status["orders"], serde_json::json!([]), "{status}");
            left += 1;
        }
    }
    assert_eq!(left, 1);
    Ok(())
}

#[test]
fn a_certificate_that_gets_an_order_late_is_deployed_once_although_it_was_not_before() -> Result {
    let ca = SimulatedCa::start(Validation::Trust)?;
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let ran = bed.folder().join("ran");
    let settings = |domains: &str, command: &str| {
        let lines = format!("domains = [{domains}]");
        let mut settings = bed.settings_with(&ca).certificate("web", &lines);
        let command = format!("command = ['sh', '-c', '{command}']");
        settings.more +=
            &format!("[acme.limits]\norders = 3\n[[deploy]]\nkind = 'command'\n{command}\n");
        settings
    };
    // It is obtained, and not deployed. Then it fails with another name, so that others come first.
    let works = "\"example.com\"";
    let fails = "\"example.com\", \"nowhere.example.com\"";
    for domains in [works, fails] {
        let program = bed.program(settings(domains, "exit 1"))?;
        let outcome = program.run(&["renew"])?;
        assert_ne!(outcome.code, Some(0), "{outcome}");
    }
    let wildcard = "\"example.com\", \"*.example.com\"";
    let command = format!("echo >> {}", ran.display());
    let settings = settings(wildcard, &command);
    let settings = settings.certificates(&["nowhere1.example.com", "nowhere2.example.com"]);
    let program = bed.program(settings)?.clock("+62s");
    let outcome = program.run(&["renew", "--output", "json"])?;
    outcome.assert_failure(3, &[]);
    let json = outcome.json()?;
    assert_eq!(json["renewed"][0]["certificate"], "web", "{outcome}");
    assert_eq!(json["deployed"], serde_json::json!([]), "{outcome}");
    assert_eq!(json["in_progress"], serde_json::json!([]), "{outcome}");
    assert_eq!(std::fs::read_to_string(&ran)?, "\n", "{outcome}");
    Ok(())
}

#[test]
fn certificates_that_fail_again_and_again_take_no_order_from_others() -> Result {
    let ca = SimulatedCa::start(Validation::Trust)?;
    let good: Vec<_> = (0..5).map(|n| format!("good{n}.example.com")).collect();
    // Their owners have gone, and the CNAMEs with them. They come first by their names.
    let gone: Vec<_> = (0..10).map(|n| format!("gone{n}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&good).start()?;
    let mut settings = bed
        .settings_with(&ca)
        .certificates(&[&gone[..], &good].concat());
    settings.more += "[acme.limits]\norders = 5\n";
    fail_before(&settings.state, &gone)?;
    let outcome = bed.program(settings)?.run(&["renew"])?;
    for domain in good {
        assert!(
            bed.certificate(&domain.replace('.', "-")).is_ok(),
            "{outcome}"
        );
    }
    Ok(())
}

#[test]
fn orders_of_certificates_that_are_tried_once_more_count_as_well() -> Result {
    // The CA sees no TXT record.
    let bed = TestBed::builder().delegate_apart(&hosts());
    let bed = bed.ttl(1).negative_ttl(1).blind_ca().start()?;
    let mut settings = bed.settings().certificates(&hosts());
    settings.more += "[acme.limits]\norders = 7\n";
    let renew = bed.program(settings)?.run(&["renew"])?;
    renew.assert_failure(5, &["could not validate"]);
    renew.assert_printed(&["because the CA allows no more orders now"]);
    assert_eq!(bed.orders()?, 7);
    Ok(())
}

#[test]
fn no_more_certificates_with_the_same_names_are_obtained_than_the_ca_allows() -> Result {
    let ca = SimulatedCa::start(Validation::Trust)?;
    let (bed, mut settings) = limited(&ca)?;
    settings.more = settings.more.replace("orders = 5\n", "");
    let program = bed.program(settings.clone())?;
    program.run(&["renew"])?.assert_success();
    let host = "h0-example-com";
    program.run(&["renew", host, "--force"])?.assert_success();
    // Another type of key is due, and has to wait.
    settings.more = settings.more.replacen(
        "domains = [\"h0",
        "key-type = \"rsa-2048\"\ndomains = [\"h0",
        1,
    );
    let program = bed.program(settings)?;
    let issue = program.run(&["issue", host])?;
    issue.assert_failure(5, &["the CA allows no more orders before"]);
    program.run(&["issue", host, "--force"])?.assert_success();
    assert_eq!(ca.certificates(), CERTIFICATES + 2);
    Ok(())
}

#[test]
fn no_more_validations_fail_than_the_ca_allows() -> Result {
    // The CA sees no TXT record.
    let bed = TestBed::builder().delegate(&["example.com"]);
    let bed = bed.ttl(1).negative_ttl(1).blind_ca().start()?;
    let mut settings = bed.settings().certificates(&["example.com".to_owned()]);
    settings.more += "[acme.limits]\nfailed-validations = 3\n";
    let program = bed.program(settings)?;
    let id = "example-com";
    // A validation that fails is repeated once, with a new order.
    let mut orders = 0;
    while orders < 3 {
        let failed = program.run(&["issue", id])?;
        failed.assert_failure(5, &["could not validate example.com"]);
        assert!(bed.orders()? > orders, "{failed}");
        orders = bed.orders()?;
    }
    let issue = program.run(&["issue", id])?;
    issue.assert_failure(
        5,
        &["after failed validations, the CA allows no other one before"],
    );
    let renew = program.run(&["renew", id])?;
    renew.assert_success();
    renew.assert_printed(&["because the CA allows no more validations that fail"]);
    assert_eq!(bed.orders()?, orders);
    let forced = program.run(&["issue", id, "--force"])?;
    forced.assert_failure(5, &["could not validate example.com"]);
    assert!(bed.orders()? > orders, "{forced}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_ca_that_refuses_order_after_order_is_left_alone_until_it_wants_more() -> Result {
    let bed = TestBed::builder().delegate_apart(&hosts()).start()?;
    let orders = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&orders);
    let proxy = bed.acme_proxy(move |exchange| {
        if exchange.path != "/order-plz" {
            return Spoilt::No;
        }
        seen.fetch_add(1, Ordering::Relaxed);
        let wait = vec![("Retry-After", "120".to_owned())];
        Spoilt::Instead(
            429,
            wait,
            "too many new orders from this account".to_owned(),
        )
    })?;
    let mut settings = bed.settings().certificates(&hosts());
    settings.directory = proxy.directory();
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_failure(5, &["429"]);
    let refused = orders.swap(0, Ordering::Relaxed);
    assert!(refused >= 3);
    // An order that was not opened is no attempt.
    assert_eq!(failed(&bed)?, refused);
    // It has asked for two minutes, whatever is forced.
    let forced = program.run(&["renew", "--force", "--output", "json"])?;
    forced.assert_success();
    let waiting = forced.json()?["waiting"].as_array().map(Vec::len);
    assert_eq!(waiting, Some(CERTIFICATES), "{forced}");
    let issue = program.run(&["issue", "h9-example-com", "--force"])?;
    issue.assert_failure(5, &["the CA asks for no other attempt before"]);
    assert_eq!(orders.load(Ordering::Relaxed), 0);
    let later = program.clock("+121s").run(&["renew"])?;
    assert_eq!(later.code, Some(5), "{later}");
    assert!(orders.load(Ordering::Relaxed) >= 3);
    Ok(())
}

/// How many certificates have failed attempts.
fn failed(bed: &TestBed) -> Result<usize> {
    let mut failed = 0;
    for entry in std::fs::read_dir(bed.settings().state.join("certificates"))? {
        let status = std::fs::read_to_string(entry?.path().join("status.json"));
        failed += usize::from(status.unwrap_or_default().contains("\"failed_at\""));
    }
    Ok(failed)
}
