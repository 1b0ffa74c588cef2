//! Certificates that are obtained without the names that fail.

use std::sync::atomic::{AtomicUsize, Ordering};

use acme_alias_core::crash::Point;
use acme_alias_tests::{
    ALIAS_ZONE, Exchange, HostileServer, Outcome, Profile, Result, SECOND_ALIAS_ZONE, Settings,
    Spoilt, TestBed,
};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{RData, RecordType};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::hostile_zones::{name, none, with};

pub(super) const NAMES: [&str; 2] = ["example.com", "www.example.com"];
/// The challenge name of the second.
const DELEGATED: &str = "_acme-challenge.www.example.com.";
/// A zone that is not sure of its delegation.
const ALTERNATING: &str = "other.example";

/// A certificate `web` that may lack names, with more lines of settings.
pub(super) fn web(settings: Settings, domains: &[&str], more: &str) -> Settings {
    let lines = format!(
        "domains = {domains:?}\nchallenge-alias = \"{ALIAS_ZONE}\"\npartial = true\n{more}"
    );
    settings.certificate("web", &lines)
}

/// Only the first of [`NAMES`] is delegated.
pub(super) fn bed_with_one_of_two() -> Result<TestBed> {
    let bed = TestBed::builder().delegate(&["example.com"]);
    // A failed validation is repeated when caches have forgotten.
    bed.ttl(1).negative_ttl(1).start()
}

/// Delegates the second of [`NAMES`], or takes that back.
fn set_delegated(bed: &TestBed, is_delegated: bool) -> Result {
    if is_delegated {
        return delegate_to(bed, &format!("_acme-challenge.{ALIAS_ZONE}."));
    }
    bed.update_main_zones(&format!(
        "zone example.com.\nupdate delete {DELEGATED} CNAME\nsend\n"
    ))
}

/// Delegates the second of [`NAMES`] to another alias name.
fn delegate_to(bed: &TestBed, alias_name: &str) -> Result {
    let delete = format!("update delete {DELEGATED} CNAME");
    let add = format!("update add {DELEGATED} 0 CNAME {alias_name}");
    bed.update_main_zones(&format!("zone example.com.\n{delete}\n{add}\nsend\n"))
}

/// The entry of `web` in the list.
fn listed(outcome: &Outcome) -> Result<Value> {
    Ok(outcome.json()?["certificates"][0].clone())
}

#[test]
fn names_whose_delegation_is_missing_are_left_out_and_come_later() -> Result {
    let bed = bed_with_one_of_two()?;
    let program = bed.program(web(bed.settings(), &NAMES, ""))?;
    let issued = program.run(&["issue", "web", "--output", "json"])?;
    issued.assert_failure(3, &[]);
    let issued = issued.json()?;
    let left_out = &issued["left_out"][0];
    assert_eq!(left_out["domains"], json!(["www.example.com"]));
    assert_eq!(left_out["error"]["findings"][0]["kind"], "missing-cname");
    assert_eq!(bed.certificate("web")?.names, ["example.com"]);

    // The one with all names waits, as after any failed attempt.
    let waits = program.run(&["renew"])?;
    waits.assert_success();
    waits.assert_printed(&["web: waits until", "www.example.com"]);
    let entry = listed(&program.run(&["list", "--output", "json"])?)?;
    assert_eq!(entry["lacking"], json!(["www.example.com"]));
    assert_eq!(entry["changes"], json!([]));
    let check = program.run(&["list", "--check"])?;
    check.assert_failure(1, &[]);
    check.assert_printed(&["it lacks www.example.com"]);

    // As long as nothing more can be had, nothing is ordered.
    let again = program.run(&["renew", "web"])?;
    again.assert_failure(3, &["www.example.com", "CNAME"]);
    assert_eq!(bed.orders()?, 1);

    set_delegated(&bed, true)?;
    let whole = program.run(&["renew", "web"])?;
    whole.assert_success();
    whole.assert_printed(&["because www.example.com was left out"]);
    assert_eq!(bed.certificate("web")?.names, NAMES);
    let renew = program.run(&["renew"])?;
    renew.assert_printed(&["web: not due"]);
    program.run(&["list", "--check"])?.assert_success();
    assert_eq!(bed.orders()?, 2);
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn names_that_the_ca_cannot_validate_are_left_out() -> Result {
    let bed = bed_with_one_of_two()?;
    let issue = [
        &["issue"][..],
        &NAMES,
        &["--challenge-alias", ALIAS_ZONE],
        &["--skip-preflight", "--partial"],
    ]
    .concat();
    let issued = bed.run(&issue)?;
    issued.assert_failure(
        5,
        &[
            "example-com: obtained without www.example.com",
            "could not validate",
        ],
    );
    issued.assert_printed(&["but it lacks www.example.com"]);
    assert_eq!(bed.certificate("example-com")?.names, ["example.com"]);
    let orders = bed.orders()?;

    // One more order finds out that the name still fails, and none follows for the others.
    let renew = bed.run(&["renew", "example-com"])?;
    renew.assert_failure(5, &["www.example.com"]);
    assert_eq!(bed.certificate("example-com")?.names, ["example.com"]);
    let waits = bed.run(&["renew"])?;
    waits.assert_success();
    waits.assert_printed(&["example-com: waits until"]);
    assert!(bed.orders()? <= orders + 2, "{}", bed.orders()?);
    bed.assert_only_txt_was_touched(&[])
}

/// Renews while the CA refuses orders for both names with this problem.
fn refused_order(bed: &TestBed, status: u16, body: &Value) -> Result<Outcome> {
    let body = body.to_string();
    let proxy = bed.acme_proxy(move |exchange: &Exchange| {
        // The payload is base64url: orders for two names are longer.
        let request: Value = serde_json::from_str(&exchange.request).unwrap_or_default();
        let payload = request["payload"].as_str().map_or(0, str::len);
        match exchange.path.as_str() {
            "/order-plz" if payload > 100 => {
                let json = ("Content-Type", "application/problem+json".to_owned());
                Spoilt::Instead(status, vec![json], body.clone())
            }
            _ => Spoilt::No,
        }
    })?;
    let mut settings = web(bed.settings(), &NAMES, "");
    settings.directory = proxy.directory();
    bed.program(settings)?.run(&["renew"])
}

const REJECTED: &str = "urn:ietf:params:acme:error:rejectedIdentifier";

#[test]
fn names_that_the_ca_refuses_to_order_are_left_out() -> Result {
    let bed = TestBed::builder().delegate(&NAMES).start()?;
    let body = json!({ "type": REJECTED, "detail": "no", "subproblems": [{
        "type": REJECTED, "detail": "on the list",
        "identifier": { "type": "dns", "value": "WWW.example.com" },
    }] });
    let renew = refused_order(&bed, 403, &body)?;
    renew.assert_failure(5, &["web: obtained without www.example.com", "on the list"]);
    assert_eq!(bed.certificate("web")?.names, ["example.com"]);
    assert_eq!(bed.orders()?, 1);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_name_that_the_ca_refuses_in_words_alone_is_left_out() -> Result {
    let limit = "urn:ietf:params:acme:error:rateLimited";
    for (status, kind, detail) in [
        // As Boulder writes.
        (
            400,
            REJECTED,
            "Cannot issue for \"www.example.com\": forbidden by policy",
        ),
        (
            429,
            limit,
            "too many certificates (50) already issued for \"www.example.com\"",
        ),
    ] {
        let bed = TestBed::builder().delegate(&NAMES).start()?;
        let renew = refused_order(&bed, status, &json!({ "type": kind, "detail": detail }))?;
        renew.assert_failure(5, &["web: obtained without www.example.com"]);
        assert_eq!(bed.certificate("web")?.names, ["example.com"]);
        bed.assert_only_txt_was_touched(&[])?;
    }
    Ok(())
}

#[test]
fn without_the_setting_one_name_fails_the_certificate() -> Result {
    let bed = bed_with_one_of_two()?;
    let mut settings = web(bed.settings(), &NAMES, "");
    settings.more = settings.more.replace("partial = true\n", "");
    let renew = bed.program(settings)?.run(&["renew"])?;
    renew.assert_failure(3, &["web: failed", "www.example.com"]);
    assert_eq!(bed.orders()?, 0);
    // Nor is there a certificate without names.
    let none = bed.program(web(bed.settings(), &NAMES[1..], ""))?;
    none.run(&["renew", "web"])?
        .assert_failure(3, &["web: failed"]);
    assert_eq!(bed.orders()?, 0);
    Ok(())
}

#[test]
fn a_name_in_use_is_kept_for_half_of_the_time_before_the_end() -> Result {
    let bed = bed_with_one_of_two()?;
    set_delegated(&bed, true)?;
    bed.program(web(bed.settings(), &NAMES, ""))?
        .run(&["renew"])?
        .assert_success();
    set_delegated(&bed, false)?;
    // Another name waits for this one.
    let subdomain = "_acme-challenge.new.example.com.";
    bed.update_main_zones(&format!(
        "zone example.com.\nupdate add {subdomain} 0 CNAME _acme-challenge.{ALIAS_ZONE}.\nsend\n"
    ))?;
    let names = [NAMES[0], NAMES[1], "new.example.com"];
    let program = bed.program(web(bed.settings(), &names, ""))?;
    let failed = program.run(&["renew", "--output", "json"])?;
    failed.assert_failure(3, &[]);
    // Half of the last third of 90 days.
    let until = Timestamp::now() + SignedDuration::from_hours(75 * 24);
    let kept = failed.json()?["failed"][0]["error"]["kept_until"].clone();
    let kept: Timestamp = kept.as_str().unwrap_or_default().parse()?;
    let difference = kept.duration_since(until).abs();
    assert!(difference < SignedDuration::from_hours(1), "{kept}");
    let failed = program.run(&["renew", "web"])?;
    let words = "also: the certificate in use has the names that failed; from";
    failed.assert_failure(3, &[words, "on it is renewed without them"]);
    assert_eq!(bed.certificate("web")?.names, NAMES);
    assert_eq!(bed.orders()?, 1);
    Ok(())
}

#[test]
fn a_name_in_use_is_left_out_at_once_if_that_is_forced() -> Result {
    let bed = bed_with_one_of_two()?;
    set_delegated(&bed, true)?;
    let program = bed.program(web(bed.settings(), &NAMES, ""))?;
    program.run(&["renew"])?.assert_success();
    set_delegated(&bed, false)?;
    let forced = program.run(&["renew", "--force"])?;
    forced.assert_failure(3, &["web: obtained without www.example.com"]);
    assert_eq!(bed.certificate("web")?.names, ["example.com"]);
    // Without the name in the settings, nothing is missing.
    let without = bed.program(web(bed.settings(), &NAMES[..1], ""))?;
    let renew = without.run(&["renew", "web"])?;
    renew.assert_success();
    renew.assert_printed(&["web: not due"]);
    without.run(&["list", "--check"])?.assert_success();
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn a_name_in_use_is_left_out_when_the_ca_wants_the_certificate_to_be_replaced_early() -> Result {
    let bed = bed_with_one_of_two()?;
    set_delegated(&bed, true)?;
    let program = bed.program(web(bed.settings(), &NAMES, ""))?;
    program.run(&["renew"])?.assert_success();
    set_delegated(&bed, false)?;
    // It may be about to revoke it.
    let status = bed.folder().join("state/certificates/web/status.json");
    let ago = |hours| (Timestamp::now() - SignedDuration::from_hours(hours)).to_string();
    let info = json!({
        "version": 1, "look_at": Timestamp::now().to_string(), "unanswered": 0,
        "window": { "start": ago(3), "end": ago(1), "renew_at": ago(2) },
    });
    std::fs::write(&status, json!({ "renewal_info": info }).to_string())?;
    let renew = program.run(&["renew"])?;
    renew.assert_failure(3, &["web: obtained without www.example.com"]);
    assert_eq!(bed.certificate("web")?.names, ["example.com"]);
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn an_order_without_names_is_resumed_after_a_crash() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .ttl(1)
        .negative_ttl(1)
        .profile(Profile::Failpoints)
        .start()?;
    let program = bed.program(web(bed.settings(), &NAMES, "skip-preflight = true\n"))?;
    // The order for both names fails before.
    let crash = format!("{}=return", Point::Store.name());
    let killed = program.clone().env("FAILPOINTS", crash).run(&["renew"])?;
    assert_eq!(killed.code, None, "{killed}");
    let orders = bed.orders()?;
    let renew = program.run(&["renew"])?;
    renew.assert_failure(
        5,
        &[
            "web: obtained without www.example.com",
            "an earlier attempt failed",
        ],
    );
    assert_eq!(bed.orders()?, orders);
    assert_eq!(bed.certificate("web")?.names, ["example.com"]);
    bed.assert_only_txt_was_touched(&[])
}

/// A zone whose server answers once with a CNAME to the alias zone, then that there is none, and so on.
fn alternating_zone() -> Result<HostileServer> {
    let asked_before = AtomicUsize::new(0);
    HostileServer::start(move |asked, kind, answer| {
        let is_challenge = *asked == name(&format!("_acme-challenge.{ALTERNATING}"));
        if is_challenge
            && kind == RecordType::TXT
            && asked_before
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(2)
        {
            let alias = name(&format!("_acme-challenge.{ALIAS_ZONE}"));
            return with(answer, asked, [RData::CNAME(CNAME(alias))]);
        }
        none(answer, &name(ALTERNATING))
    })
}

#[test]
fn a_name_that_fails_at_every_second_look_is_left_out_like_others() -> Result {
    let bed = bed_with_one_of_two()?;
    let server = alternating_zone()?;
    let names = [NAMES[0], NAMES[1], ALTERNATING];
    let mut settings = web(bed.settings(), &names, "");
    let zone = (ALTERNATING.to_owned(), vec![server.address()]);
    settings.zones.push(zone);
    let outcome = bed.program(settings)?.run(&["renew"])?;
    let said = [
        "web: obtained without www.example.com",
        "web: obtained without other.example",
        // It does not find the zone.
        "the CA could not validate other.example",
    ];
    outcome.assert_failure(3, &said);
    assert_eq!(bed.certificate("web")?.names, ["example.com"]);
    bed.assert_only_txt_was_touched(&[])
}

/// Settings for a certificate `web` for these names, whose alias names are found by their CNAMEs.
fn followed(bed: &TestBed) -> Settings {
    let lines = format!("domains = {NAMES:?}\npartial = true");
    bed.settings().certificate("web", &lines)
}

#[test]
fn a_name_whose_alias_zone_cannot_be_read_is_left_out() -> Result {
    let bed = TestBed::builder().delegate(&NAMES).start()?;
    delegate_to(&bed, &format!("_acme-challenge.{SECOND_ALIAS_ZONE}."))?;
    let dead = bed.dead_port()?;
    let mut settings = followed(&bed);
    settings.providers[1].server = dead.address();
    let program = bed.program(settings)?;
    let renew = program.run(&["renew"])?;
    let words = [
        "web: obtained without www.example.com",
        &format!("the zone {SECOND_ALIAS_ZONE} cannot be read"),
        &dead.address().to_string(),
    ];
    renew.assert_failure(4, &words);
    assert_eq!(bed.certificate("web")?.names, ["example.com"]);
    assert_eq!(bed.orders()?, 1);

    let mended = bed.program(followed(&bed))?;
    mended.run(&["renew", "web"])?.assert_success();
    assert_eq!(bed.certificate("web")?.names, NAMES);
    assert_eq!(bed.txt()?, []);
    Ok(())
}

/// Lets nobody write below this name of the alias zone.
fn forbid(bed: &TestBed, name: &str) -> Result {
    let grant = "update-policy { grant acme-key zonesub";
    let deny =
        format!("update-policy {{ deny acme-key subdomain {name} ANY; grant acme-key zonesub");
    bed.replace_in_primary(grant, &deny)
}

#[test]
fn a_name_whose_alias_name_the_policy_refuses_is_left_out() -> Result {
    let bed = TestBed::builder().delegate(&NAMES).start()?;
    let forbidden = format!("forbidden.{ALIAS_ZONE}.");
    forbid(&bed, &forbidden)?;
    delegate_to(&bed, &format!("www.{forbidden}"))?;
    let program = bed.program(followed(&bed))?;
    let renew = program.run(&["renew"])?;
    let name = format!("TXT at www.forbidden.{ALIAS_ZONE}");
    renew.assert_failure(
        4,
        &["web: obtained without www.example.com", "REFUSED", &name],
    );
    assert!(!renew.stderr.contains("may be left"), "{renew}");
    assert_eq!(bed.certificate("web")?.names, ["example.com"]);
    assert_eq!(bed.txt()?, []);
    // Nothing is open in the ledger: what was refused is not in the zone.
    let open = program.run(&["ledger", "reconcile", "--output", "json"])?;
    open.assert_success();
    assert_eq!(open.json()?["left"], json!([]), "{open}");

    delegate_to(&bed, &format!("_acme-challenge.{ALIAS_ZONE}."))?;
    program.run(&["renew", "web"])?.assert_success();
    assert_eq!(bed.certificate("web")?.names, NAMES);
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn names_that_fail_in_different_steps_are_left_out_together() -> Result {
    let bed = TestBed::builder().delegate(&NAMES).ttl(1).negative_ttl(1);
    let bed = bed.start()?;
    let forbidden = format!("forbidden.{ALIAS_ZONE}");
    forbid(&bed, &forbidden)?;
    // Nobody follows the CNAMEs before the CA does. The third name has none.
    let name =
        |name: &str, alias: &str| format!("{{ name = \"{name}\", domain-alias = \"{alias}\" }}");
    let good = format!("_acme-challenge.{ALIAS_ZONE}");
    let names = [
        name(NAMES[0], &good),
        name(NAMES[1], &format!("www.{forbidden}")),
        name("new.example.com", &good),
    ];
    let lines = format!(
        "domains = [{}]\npartial = true\nskip-preflight = true",
        names.join(", ")
    );
    let program = bed.program(bed.settings().certificate("web", &lines))?;
    let renew = program.run(&["renew"])?;
    let said = [
        "web: obtained without www.example.com",
        "web: obtained without new.example.com",
    ];
    renew.assert_failure(4, &said);
    assert_eq!(bed.certificate("web")?.names, ["example.com"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_hundred_names_that_the_policy_refuses_hold_up_no_other_certificate() -> Result {
    let bed = TestBed::builder().delegate(&NAMES[..1]).start()?;
    let forbidden = format!("forbidden.{ALIAS_ZONE}.");
    forbid(&bed, &forbidden)?;
    let names: Vec<_> = (0..100).map(|n| format!("n{n}.example.com")).collect();
    let cname =
        |name: &String| format!("update add _acme-challenge.{name}. 0 CNAME {name}.{forbidden}\n");
    let cnames: String = names.iter().map(cname).collect();
    bed.update_main_zones(&format!("zone example.com.\n{cnames}send\n"))?;
    let settings = bed.settings().certificates(&NAMES[..1]);
    let program = bed.program(settings.certificate("hostile", &format!("domains = {names:?}")))?;
    program
        .run(&["renew"])?
        .assert_failure(4, &["hostile: failed", "REFUSED"]);
    bed.certificate("example-com")?;
    let shown = program.run(&["ledger", "show", "--output", "json"])?;
    // All together, those at ten names, and all when they are withdrawn.
    let failed = shown.stdout.matches("\"failed\"").count();
    assert!(failed <= 210, "{failed}");
    Ok(())
}
