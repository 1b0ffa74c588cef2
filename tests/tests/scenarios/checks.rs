//! `check`: findings about delegations, good and bad, without writing anything.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Outcome, Port, QueryProxy, Result, Running, TestBed,
};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{RData, Record, RecordType};

/// The kinds of the findings about a domain, in an outcome as JSON.
pub(crate) fn kinds(outcome: &Outcome, domain: &str) -> Result<BTreeSet<String>> {
    let json = outcome.json()?;
    let checked = json["checked"].as_array().cloned().unwrap_or_default();
    let about = checked.iter().filter(|one| {
        let domains = one["domains"].as_array();
        domains.is_some_and(|domains| domains.iter().any(|known| *known == domain))
    });
    let findings = about.flat_map(|one| one["findings"].as_array().cloned().unwrap_or_default());
    Ok(findings
        .filter(|finding| {
            let domains = finding["domains"].as_array();
            domains.is_some_and(|domains| domains.iter().any(|known| *known == domain))
        })
        .map(|finding| finding["kind"].as_str().unwrap_or_default().to_owned())
        .collect())
}

fn set(kinds: &[&str]) -> BTreeSet<String> {
    kinds.iter().map(|kind| (*kind).to_owned()).collect()
}

pub(crate) fn is_about(question: &Message, kind: RecordType) -> bool {
    question
        .queries
        .iter()
        .any(|query| query.query_type() == kind)
}

#[test]
fn a_good_delegation_is_drawn_and_nothing_is_written() -> Result {
    let bed = TestBed::start()?;
    let outcome = bed.run(&["check", "example.com", "*.example.com", "example.org"])?;
    outcome.assert_success();
    let hop = format!(
        "_acme-challenge.example.com. 600 CNAME {ALIAS_NAME}.  (asked: {})",
        bed.main_server()
    );
    let zone = format!("zone {ALIAS_ZONE}: {} has serial 1;", bed.primary());
    outcome.assert_printed(&[
        &hop,
        "example.com, *.example.com: good",
        "2 challenge names: 2 good, 0 with warnings",
        &zone,
    ]);
    assert_eq!((bed.orders()?, bed.serial(ALIAS_ZONE)?), (0, 1));
    let json = bed.run(&["check", "example.com", "--output", "json"])?;
    let json = json.json()?;
    let end = &json["checked"][0]["end"];
    assert_eq!(end["kind"], "at");
    assert_eq!(end["server"], bed.primary().to_string());
    assert!(json["per_second"].as_f64().is_some_and(|rate| rate > 0.0));
    bed.run(&["check"])?
        .assert_failure(2, &["no domain to check"]);
    Ok(())
}

/// The kinds of the findings about each domain.
const KINDS: &[(&str, &[&str])] = &[
    ("good.example.com", &[]),
    ("caa.example.com", &["caa"]),
    ("*.caa.example.com", &["caa"]),
    ("round.example.com", &["loop"]),
    ("www.wild.example.com", &["wildcard"]),
    ("tame.example.com", &[]),
    ("lost.example.com", &["outside-alias-zones", "dangling"]),
    ("missing.example.com", &["missing-cname"]),
    ("d.example.com", &["dname"]),
    ("bad.example.com", &["bad-target"]),
    ("two.example.com", &["several-hops"]),
];

#[test]
fn every_fault_of_a_delegation_has_its_kind_and_its_remedy() -> Result {
    let bed = TestBed::builder()
        .delegate(&["caa.example.com", "good.example.com"])
        .cname("_acme-challenge.round.example.com", "a.example.com")
        .cname("a.example.com", "_acme-challenge.round.example.com")
        .cname("*.wild.example.com", ALIAS_NAME)
        .cname("*.tame.example.com", ALIAS_NAME)
        .cname("_acme-challenge.tame.example.com", ALIAS_NAME)
        .cname("_acme-challenge.lost.example.com", "x.nobody.example.org")
        .record("_acme-challenge.bad.example.com", "CNAME .")
        .cname("_acme-challenge.two.example.com", "b.example.com")
        .cname("b.example.com", ALIAS_NAME)
        .record("d.example.com", &format!("DNAME {ALIAS_ZONE}."))
        .record("caa.example.com", "CAA 0 issue \"other.example\"")
        .record(
            "caa.example.com",
            "CAA 0 issuewild \"ca.example; validationmethods=http-01\"",
        )
        .start()?;
    let domains = [
        "caa.example.com",
        "*.caa.example.com",
        "good.example.com",
        "round.example.com",
        "www.wild.example.com",
        "tame.example.com",
        "lost.example.com",
        "missing.example.com",
        "d.example.com",
        "bad.example.com",
        "two.example.com",
    ];
    let check = [
        &["check", "--output", "json", "--caa-issuer", "ca.example"][..],
        &domains,
    ]
    .concat();
    let outcome = bed.run(&check)?;
    assert_eq!(outcome.code, Some(3), "{outcome}");
    for (domain, expected) in KINDS {
        assert_eq!(
            kinds(&outcome, domain)?,
            set(expected),
            "{domain}: {outcome}"
        );
    }
    let said = bed.run(&[&["check"][..], &domains].concat())?.stdout;
    let line = "_acme-challenge.missing.example.com. 600 IN CNAME";
    assert!(
        said.contains("there is no CNAME") && !said.contains(line),
        "two alias zones: {said}"
    );
    assert!(
        said.contains("remove the CNAME unless the zone is yours"),
        "{said}"
    );
    Ok(())
}

#[test]
fn servers_that_are_dead_lame_late_or_disagree_are_named() -> Result {
    let bed = TestBed::start()?;
    let dead = Port::claim()?;
    let lame = QueryProxy::start(bed.main_server(), |_, mut answer| {
        answer.answers.clear();
        answer.metadata.authoritative = false;
        answer.metadata.response_code = ResponseCode::Refused;
        vec![answer]
    })?;
    let other = QueryProxy::start(bed.main_server(), |question, mut answer| {
        if is_about(question, RecordType::CNAME) {
            answer.answers.clear();
        }
        vec![answer]
    })?;
    // An old version, with a negative TTL of an hour.
    let late = QueryProxy::start(bed.secondary(), |_, mut answer| {
        for record in &mut answer.answers {
            if let RData::SOA(soa) = &mut record.data {
                (soa.serial, soa.minimum, record.ttl) = (77, 3_600, 3_600);
            }
        }
        vec![answer]
    })?;
    let mut settings = bed.settings();
    let mut zones = settings.zones.iter_mut();
    if let Some((_, servers)) = zones.find(|(zone, _)| zone == "example.com") {
        servers.extend([dead.address(), lame.address(), other.address()]);
    }
    settings.alias_zones[0].servers.push(late.address());
    let outcome = bed
        .program(settings)?
        .run(&["check", "example.com", "--output", "json"])?;
    assert_eq!(outcome.code, Some(3), "{outcome}");
    let expected = [
        "lame-server",
        "servers-disagree",
        "serials-differ",
        "negative-ttl",
    ];
    assert_eq!(kinds(&outcome, "example.com")?, set(&expected), "{outcome}");
    for address in [dead.address(), lame.address()] {
        let named = format!("{address} is named as a server of example.com");
        assert!(outcome.stdout.contains(&named), "{outcome}");
    }
    let disagree = format!("no CNAME at {}", other.address());
    assert!(outcome.stdout.contains(&disagree), "{outcome}");
    assert!(outcome.stdout.contains("cached for 3600 s"), "{outcome}");
    Ok(())
}

#[test]
fn values_at_the_alias_name_are_reported_as_own_foreign_or_shared() -> Result {
    let bed = TestBed::start()?;
    let check = ["check", "example.com", "--output", "json"];
    let stuck = bed.stuck_server()?;
    let mut settings = bed.settings();
    settings.alias_zones[0].servers.push(stuck.address());
    let running = bed.program(settings)?.spawn(&["issue", "example.com"])?;
    bed.wait_until("the primary has the value", |bed| {
        Ok(!bed.txt()?.is_empty())
    })?;
    Running::kill(running)?;
    assert_eq!(
        kinds(&bed.run(&check)?, "example.com")?,
        set(&["stale-value"])
    );
    bed.run(&["ledger", "reconcile"])?.assert_success();
    assert_eq!(kinds(&bed.run(&check)?, "example.com")?, set(&[]));

    for i in 0..30 {
        // The first has the form of an answer to a challenge.
        let length = if i == 0 { 43 } else { 40 };
        bed.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, &format!("{i:0length$}"))?;
    }
    let outcome = bed.run(&check)?;
    outcome.assert_success();
    let found = kinds(&outcome, "example.com")?;
    let expected = set(&["foreign-value", "shared-alias", "large-answer"]);
    assert!(found.is_superset(&expected), "{outcome}");
    Ok(())
}

#[test]
fn txt_records_at_the_challenge_name_must_be_removed_first() -> Result {
    let bed = TestBed::builder()
        .record("_acme-challenge.example.com", "TXT \"left-over\"")
        .start()?;
    let outcome = bed.run(&["check", "example.com"])?;
    assert_eq!(outcome.code, Some(3), "{outcome}");
    for said in [
        "TXT records exist there",
        "remove the TXT records there first; add a CNAME",
    ] {
        assert!(outcome.stdout.contains(said), "{outcome}");
    }
    let json = bed.run(&["check", "example.com", "--output", "json"])?;
    let json = json.json()?;
    assert_eq!(json["checked"][0]["end"]["txt"][0], "left-over");
    assert!(json["checked"][0]["alias_name"].is_null());
    Ok(())
}

#[test]
fn a_challenge_name_in_the_alias_zone_is_checked_as_its_own_alias_name() -> Result {
    let bed = TestBed::start()?;
    bed.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, "not ours")?;
    let outcome = bed.run(&["check", ALIAS_ZONE, "--output", "json"])?;
    outcome.assert_success();
    assert_eq!(kinds(&outcome, ALIAS_ZONE)?, set(&["foreign-value"]));
    let checked = &outcome.json()?["checked"][0];
    assert_eq!(checked["alias_name"], ALIAS_NAME);
    assert_eq!(checked["alias_zone"]["zone"], ALIAS_ZONE);
    Ok(())
}

#[test]
fn txt_values_of_any_form_are_shown() -> Result {
    let long = format!("TXT \"{}\" \"{}\"", "a".repeat(200), "b".repeat(200));
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .alias_record(ALIAS_NAME, &long)
        .alias_record(ALIAS_NAME, "TXT \"caf\\195\\169 \\027[2J\"")
        .start()?;
    let outcome = bed.run(&["check", "example.com"])?;
    outcome.assert_success();
    let shown = format!(
        "{}{}… (145 more characters)\"",
        "a".repeat(200),
        "b".repeat(55)
    );
    outcome.assert_printed(&[&shown, "café \\u{1b}[2J"]);
    Ok(())
}

#[test]
fn the_values_of_a_certificate_count_towards_the_size_of_the_answer() -> Result {
    let hosts: Vec<_> = (0..21).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate(&hosts).start()?;
    let check = |hosts: &[String]| {
        let arguments = ["check", "--output", "json"].map(str::to_owned);
        bed.run(&[&arguments[..], hosts].concat())
    };
    // 56 octets each, of 1132.
    let few = check(&hosts[..20])?;
    assert_eq!(kinds(&few, "h0.example.com")?, set(&[]), "{few}");
    let many = check(&hosts)?;
    many.assert_success();
    for host in ["h0.example.com", "h20.example.com"] {
        assert_eq!(kinds(&many, host)?, set(&["large-answer"]), "{many}");
    }
    assert!(many.stdout.contains("take 1176 octets"), "{many}");
    // The values of two certificates rarely exist at the same time.
    let list = |hosts: &[String]| format!("domains = {hosts:?}");
    let settings = bed
        .settings()
        .certificate("one", &list(&hosts[..11]))
        .certificate("two", &list(&hosts[11..]));
    let apart = bed.program(settings)?.run(&["check", "--output", "json"])?;
    assert_eq!(kinds(&apart, "h0.example.com")?, set(&[]), "{apart}");
    Ok(())
}

#[test]
fn the_zones_between_are_checked_as_well() -> Result {
    let bed = TestBed::builder()
        .cname("_acme-challenge.example.com", "via.example.org")
        .cname("via.example.org", ALIAS_NAME)
        .start()?;
    let dead = Port::claim()?;
    let other = QueryProxy::start(bed.main_server(), |question, mut answer| {
        if is_about(question, RecordType::CNAME) {
            answer.answers.clear();
        }
        vec![answer]
    })?;
    let mut settings = bed.settings();
    let mut zones = settings.zones.iter_mut();
    if let Some((_, servers)) = zones.find(|(zone, _)| zone == "example.org") {
        servers.extend([dead.address(), other.address()]);
    }
    let outcome = bed
        .program(settings)?
        .run(&["check", "example.com", "--output", "json"])?;
    assert_eq!(outcome.code, Some(3), "{outcome}");
    let expected = ["several-hops", "lame-server", "servers-disagree"];
    assert_eq!(kinds(&outcome, "example.com")?, set(&expected), "{outcome}");
    let between = &outcome.json()?["checked"][0]["zones_between"];
    assert_eq!(between[0]["zone"], "example.org", "{outcome}");
    assert!(
        outcome
            .stdout
            .contains("the servers of example.org do not agree"),
        "{outcome}"
    );
    Ok(())
}

#[test]
fn an_alias_name_in_another_zone_than_configured_is_an_error() -> Result {
    let bed = TestBed::start()?;
    let mut settings = bed.settings();
    // The alias name itself is configured as a zone.
    let servers = settings.alias_zones[0].servers.clone();
    settings.zones.push((ALIAS_ZONE.to_owned(), servers));
    settings.alias_zones[0].zone = ALIAS_NAME.to_owned();
    let outcome = bed
        .program(settings)?
        .run(&["check", "example.com", "--output", "json"])?;
    assert_eq!(outcome.code, Some(3), "{outcome}");
    assert_eq!(
        kinds(&outcome, "example.com")?,
        set(&["zone-cut"]),
        "{outcome}"
    );
    Ok(())
}

#[test]
fn a_watch_ends_when_nothing_is_wrong() -> Result {
    let bed = TestBed::start()?;
    let there = Arc::new(AtomicBool::new(false));
    let is_there = Arc::clone(&there);
    let main = QueryProxy::start(bed.main_server(), move |question, mut answer| {
        if is_about(question, RecordType::TXT) && !is_there.load(Ordering::SeqCst) {
            answer.answers.clear();
        }
        vec![answer]
    })?;
    let mut settings = bed.settings();
    settings.zones.retain(|(zone, _)| zone != "example.com");
    settings
        .zones
        .push(("example.com".to_owned(), vec![main.address()]));
    let running = bed
        .program(settings)?
        .spawn(&["check", "example.com", "--watch"])?;
    running.wait_until_said("there is no CNAME")?;
    there.store(true, Ordering::SeqCst);
    let outcome = running.wait()?;
    outcome.assert_success();
    assert!(outcome.stdout.contains("example.com: good"), "{outcome}");
    Ok(())
}

#[test]
fn hundreds_of_domains_are_checked_at_once() -> Result {
    let hosts: Vec<_> = (0..300).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let arguments = [&["check".to_owned()][..], &hosts].concat();
    let outcome = bed.run(&arguments)?;
    outcome.assert_success();
    assert!(
        outcome.stdout.contains("300 challenge names: 300 good"),
        "{outcome}"
    );
    Ok(())
}

#[test]
fn txt_beside_the_cname_is_an_error() -> Result {
    // No name server loads such a zone; the providers that do it answer so.
    let bed = TestBed::start()?;
    let both = QueryProxy::start(bed.main_server(), |question, mut answer| {
        let name = question.queries[0].name().clone();
        if is_about(question, RecordType::TXT) && name.to_ascii().starts_with("_acme-challenge.") {
            let txt = RData::TXT(TXT::new(vec!["left-behind".to_owned()]));
            answer.answers = vec![Record::from_rdata(name, 60, txt)];
        }
        vec![answer]
    })?;
    let mut settings = bed.settings();
    settings.zones.retain(|(zone, _)| zone != "example.com");
    settings
        .zones
        .push(("example.com".to_owned(), vec![both.address()]));
    let program = bed.program(settings.certificate("web", "domains = [\"example.com\"]"))?;
    let outcome = program.run(&["check", "--output", "json"])?;
    assert_eq!(outcome.code, Some(3), "{outcome}");
    let expected = set(&["txt-beside-cname"]);
    assert_eq!(kinds(&outcome, "example.com")?, expected, "{outcome}");
    let issued = program.run(&["issue", "web"])?;
    issued.assert_failure(
        3,
        &[
            "TXT records exist beside the CNAME",
            "remove the TXT records",
        ],
    );
    assert_eq!(bed.orders()?, 0);
    Ok(())
}

#[test]
fn errors_of_check_are_refused_before_the_order() -> Result {
    let bed = TestBed::builder()
        .delegate(&["caa.example.com", "example.com"])
        .record("caa.example.com", "CAA 0 issue \"other.example\"")
        .start()?;
    let other = QueryProxy::start(bed.main_server(), |question, mut answer| {
        if is_about(question, RecordType::CNAME) {
            answer.answers.clear();
        }
        vec![answer]
    })?;
    let mut settings = bed.settings();
    let mut zones = settings.zones.iter_mut();
    if let Some((_, servers)) = zones.find(|(zone, _)| zone == "example.com") {
        servers.push(other.address());
    }
    let split = bed.program(settings.certificate("web", "domains = [\"example.com\"]"))?;
    split.run(&["issue", "web"])?.assert_failure(
        3,
        &["the servers of example.com do not agree", "no CNAME at"],
    );

    let settings = bed
        .settings()
        .certificate("caa", "domains = [\"caa.example.com\"]");
    let forbidden = bed
        .program(settings)?
        .env("ACME_ALIAS_ACME__CAA_ISSUER", "ca.example");
    forbidden.run(&["issue", "caa"])?.assert_failure(
        3,
        &[
            "CAA does not let ca.example issue for caa.example.com",
            "names another CA",
        ],
    );
    assert_eq!(bed.orders()?, 0);
    Ok(())
}
