//! The remedies of findings, followed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Builder, Program, QueryProxy, Result, SECOND_ALIAS_ZONE, Settings,
    TestBed,
};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{RData, Record, RecordType};

use super::follow::{
    assert_all_works, first_policy, flags_of, issue, one_zone, only_servers, put_value_and_die,
    replace_records, words,
};
use crate::checks::{is_about, kinds};

/// A name, and what is wrong with its delegation.
const WRONG: [(&str, &str); 8] = [
    ("missing.example.com", "missing-cname"),
    ("elsewhere.example.com", "cname-elsewhere"),
    ("round.example.com", "loop"),
    ("long.example.com", "too-many-hops"),
    ("bad.example.com", "bad-target"),
    ("two.example.com", "several-hops"),
    ("www.wild.example.com", "wildcard"),
    ("lost.example.com", "cname-elsewhere"),
];

fn with_wrong_delegations() -> Builder {
    let builder = TestBed::builder()
        .cname(
            "_acme-challenge.elsewhere.example.com",
            "old.auth.example.net",
        )
        .cname("_acme-challenge.round.example.com", "a.example.com")
        .cname("a.example.com", "_acme-challenge.round.example.com")
        .cname("_acme-challenge.long.example.com", "hop1.example.org")
        .record("_acme-challenge.bad.example.com", "CNAME .")
        .cname("_acme-challenge.two.example.com", "b.example.com")
        .cname("b.example.com", ALIAS_NAME)
        .cname("*.wild.example.com", ALIAS_NAME)
        .cname("_acme-challenge.lost.example.com", "x.nobody.example.org");
    (1..=20).fold(builder, |builder, i| {
        let next = format!("hop{}.example.org", i + 1);
        builder.cname(&format!("hop{i}.example.org"), &next)
    })
}

#[test]
fn every_record_that_check_shows_mends_its_name() -> Result {
    let bed = with_wrong_delegations().start()?;
    let alias = format!("challenge-alias = \"{ALIAS_ZONE}\"");
    let settings = WRONG.iter().fold(one_zone(&bed), |settings, (name, _)| {
        let id = name.replace('.', "-");
        settings.certificate(&id, &format!("domains = [\"{name}\"]\n{alias}"))
    });
    let program = bed.program(settings)?;
    for (name, kind) in WRONG {
        let check = program.run(&["check", name, "--output", "json"])?;
        assert!(kinds(&check, name)?.contains(kind), "{name}: {check}");
        replace_records(&bed, &program.run(&["check", name])?)?;
        issue(&program, &[&name.replace('.', "-")], &[])?;
    }
    assert_all_works(&bed, &program)
}

#[test]
fn without_a_configured_alias_the_only_alias_zone_is_where_names_should_lead() -> Result {
    let bed = with_wrong_delegations().start()?;
    let program = bed.program(one_zone(&bed))?;
    let works_already = "elsewhere.example.com";
    for (name, _) in WRONG {
        let check = program.run(&["check", name])?;
        if name == works_already {
            check.assert_success();
        } else {
            replace_records(&bed, &check)?;
        }
        issue(&program, &[name], &[])?;
    }
    assert_all_works(&bed, &program)
}

#[test]
fn records_that_a_failed_issue_shows_mend_names_given_by_flags() -> Result {
    let bed = with_wrong_delegations().start()?;
    let program = bed.program(only_servers(&bed))?;
    let flags = flags_of(&bed.settings().providers[0]);
    for (name, _) in WRONG {
        let arguments = [name, "--challenge-alias", ALIAS_ZONE];
        let plain: Vec<_> = flags.iter().map(String::as_str).collect();
        let outcome = program.run(&[&["issue"], &arguments[..], &plain].concat())?;
        replace_records(&bed, &outcome)?;
        if outcome.code != Some(0) {
            outcome.assert_failure(3, &[]);
            issue(&program, &arguments, &flags)?;
        }
    }
    assert_all_works(&bed, &program)
}

/// A bed in which the alias name `x` has a CNAME itself.
fn with_cname_at_the_alias_name(target: &str) -> Result<TestBed> {
    TestBed::builder()
        .cname("_acme-challenge.example.com", "x.auth.example.net")
        .alias_record("x.auth.example.net", &format!("CNAME {target}."))
        .start()
}

#[test]
fn an_alias_name_with_a_cname_is_mended_in_both_ways() -> Result {
    let with_alias = |bed: &TestBed, alias: &str| {
        let lines = format!("domains = [\"example.com\"]\ndomain-alias = \"{alias}\"");
        bed.program(one_zone(bed).certificate("web", &lines))
    };
    let bed = with_cname_at_the_alias_name("y.auth.example.net")?;
    let check = with_alias(&bed, "x.auth.example.net")?.run(&["check"])?;
    let remedy = "or configure y.auth.example.net as the alias name";
    assert!(words(&check).contains(remedy), "{check}");
    let program = with_alias(&bed, "y.auth.example.net")?;
    program.run(&["check"])?.assert_success();
    issue(&program, &["web"], &[])?;
    program.run(&["renew", "--force"])?.assert_success();

    // Where the name that it leads to cannot be written, the CNAME has to go.
    for target in ["y.auth.example.net", "y.elsewhere.example.org"] {
        let bed = with_cname_at_the_alias_name(target)?;
        let program = with_alias(&bed, "x.auth.example.net")?;
        let check = program.run(&["check"])?;
        assert!(words(&check).contains("remove that CNAME"), "{check}");
        let is_possible = target.contains("auth");
        assert_eq!(
            words(&check).contains("or configure"),
            is_possible,
            "{check}"
        );
        change_alias_zone(&bed, "update delete x.auth.example.net. CNAME\n")?;
        issue(&program, &["web"], &[])?;
        assert_all_works(&bed, &program)?;
    }
    Ok(())
}

/// Changes what the key of the alias zone may not change.
fn change_alias_zone(bed: &TestBed, lines: &str) -> Result {
    let (closed, open) = (
        first_policy("acme-key"),
        "update-policy { grant acme-key zonesub ANY; };",
    );
    bed.replace_in_primary(&closed, open)?;
    bed.update_alias_zone(ALIAS_ZONE, lines)?;
    bed.replace_in_primary(open, &closed)
}

#[test]
fn a_name_outside_the_alias_zones_works_with_its_zone_or_with_a_provider() -> Result {
    let beyond = format!("_acme-challenge.{SECOND_ALIAS_ZONE}");
    let bed = TestBed::builder()
        .cname("_acme-challenge.example.com", &beyond)
        .start()?;
    let mut settings = bed.settings();
    let zone = settings.alias_zones.remove(1);
    settings
        .zones
        .push((zone.zone.clone(), zone.servers.clone()));
    let program = bed.program(settings.clone())?;
    let check = program.run(&["check", "example.com"])?;
    for remedy in ["[[alias-zones]]", "--provider"] {
        assert!(words(&check).contains(remedy), "{check}");
    }
    issue(&program, &["example.com", "--provider", "second"], &[])?;
    assert_all_works(&bed, &program)?;
    settings.alias_zones.push(zone);
    settings.state = bed.folder().join("with-zone");
    let program = bed.program(settings)?;
    issue(&program, &["example.com"], &[])?;
    assert_all_works(&bed, &program)
}

#[test]
fn the_apex_that_is_named_works_as_the_alias_zone() -> Result {
    let bed = TestBed::start()?;
    for configured in ["example.net", "_acme-challenge.auth.example.net"] {
        let mut settings = one_zone(&bed).certificate("web", "domains = [\"example.com\"]");
        let servers = settings.alias_zones[0].servers.clone();
        settings.zones.push((ALIAS_ZONE.to_owned(), servers));
        configured.clone_into(&mut settings.alias_zones[0].zone);
        settings.state = bed.folder().join(configured);
        let program = bed.program(settings.clone())?;
        let check = program.run(&["check", "--output", "json"])?;
        assert!(
            kinds(&check, "example.com")?.contains("zone-cut"),
            "{check}"
        );
        let check = program.run(&["check"])?;
        let remedy = format!("configure {ALIAS_ZONE} as ");
        assert!(words(&check).contains(&remedy), "{check}");
        let is_above = ALIAS_ZONE.ends_with(configured);
        let is_delegation = words(&check).contains(&format!("delegate {configured}"));
        assert_eq!(is_delegation, !is_above, "{check}");
        ALIAS_ZONE.clone_into(&mut settings.alias_zones[0].zone);
        let program = bed.program(settings)?;
        issue(&program, &["web"], &[])?;
        assert_all_works(&bed, &program)?;
    }
    Ok(())
}

#[test]
fn records_for_caa_let_the_ca_issue() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .record("example.com", "CAA 0 issue \"other.example\"")
        .start()?;
    let program = bed.program(one_zone(&bed))?;
    let arguments = ["example.com", "--caa-issuer", "ca.example"];
    let check = program.run(&[&["check"][..], &arguments].concat())?;
    check.assert_failure(3, &[]);
    assert!(
        words(&check).contains("acme-alias delegate --caa"),
        "{check}"
    );
    let delegate = ["--caa", "--format", "nsupdate"];
    let mut settings = one_zone(&bed);
    settings.alias_zones.clear();
    let alias = ["--challenge-alias", ALIAS_ZONE];
    let script = bed
        .program(settings)?
        .run(&[&["delegate"][..], &arguments, &delegate, &alias].concat())?;
    bed.update_main_zones(&script.stdout)?;
    program
        .run(&[&["check"][..], &arguments].concat())?
        .assert_success();
    issue(&program, &["example.com"], &[])
}

#[test]
fn values_that_are_reported_are_removed_as_advised() -> Result {
    let bed = TestBed::start()?;
    put_value_and_die(&bed, one_zone(&bed), &["issue", "example.com"])?;
    let program = bed.program(one_zone(&bed))?;
    let check = program.run(&["check", "example.com"])?;
    assert!(
        words(&check).contains("`acme-alias ledger reconcile`"),
        "{check}"
    );
    program.run(&["ledger", "reconcile"])?.assert_success();
    assert_eq!(bed.txt()?, []);
    bed.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, "foreign")?;
    let check = program.run(&["check", "example.com"])?;
    assert!(words(&check).contains("remove it by hand"), "{check}");
    let delete = format!("update delete {ALIAS_NAME}. TXT \"foreign\"\n");
    bed.update_alias_zone(ALIAS_ZONE, &delete)?;
    issue(&program, &["example.com"], &[])?;
    assert_all_works(&bed, &program)
}

#[test]
fn a_negative_ttl_is_lowered_as_advised() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .negative_ttl(3600)
        .start()?;
    let program = bed.program(one_zone(&bed))?;
    let check = program.run(&["check", "example.com"])?;
    let remedy = format!("lower the SOA minimum of {ALIAS_ZONE}");
    assert!(words(&check).contains(&remedy), "{check}");
    let soa = "ns1.auth.example.net. hostmaster.auth.example.net. 10 3600 600 86400 60";
    change_alias_zone(&bed, &format!("update add {ALIAS_ZONE}. 600 SOA {soa}\n"))?;
    bed.wait_until("the secondary has it", |bed| {
        let soa = bed.ask(bed.secondary(), ALIAS_ZONE, "SOA")?;
        Ok(soa.iter().any(|line| line.ends_with(" 60")))
    })?;
    issue(&program, &["example.com"], &[])?;
    assert_all_works(&bed, &program)
}

/// Runs it with a server of `example.com` that misbehaves until it is mended.
fn with_server(
    bed: &TestBed,
    server: &QueryProxy,
    more: impl Fn(&mut Settings),
) -> Result<Program> {
    let mut settings = one_zone(bed).certificate("web", "domains = [\"example.com\"]");
    let mut zones = settings.zones.iter_mut();
    if let Some((_, servers)) = zones.find(|(zone, _)| zone == "example.com") {
        *servers = vec![server.address()];
    }
    more(&mut settings);
    bed.program(settings)
}

#[test]
fn txt_records_beside_the_cname_are_removed_as_advised() -> Result {
    let bed = TestBed::start()?;
    let is_wrong = Arc::new(AtomicBool::new(true));
    let wrong = Arc::clone(&is_wrong);
    let server = QueryProxy::start(bed.main_server(), move |question, mut answer| {
        if wrong.load(Ordering::SeqCst) && is_about(question, RecordType::TXT) {
            let names: Vec<_> = answer.answers.iter().map(|r| r.name.clone()).collect();
            let txt = |name| {
                let data = RData::TXT(TXT::new(vec!["beside".to_owned()]));
                Record::from_rdata(name, 60, data)
            };
            answer.answers = names.into_iter().map(txt).collect();
        }
        vec![answer]
    })?;
    let program = with_server(&bed, &server, |_| {})?;
    let check = program.run(&["check"])?;
    check.assert_failure(3, &[]);
    let remedy = "remove the TXT records at _acme-challenge.example.com.";
    assert!(words(&check).contains(remedy), "{check}");
    is_wrong.store(false, Ordering::SeqCst);
    issue(&program, &["web"], &[])?;
    assert_all_works(&bed, &program)
}

#[test]
fn a_server_that_the_settings_name_wrongly_is_removed_there() -> Result {
    let bed = TestBed::start()?;
    let dead = bed.dead_port()?;
    let mut settings = one_zone(&bed).certificate("web", "domains = [\"example.com\"]");
    settings.alias_zones[0].servers.push(dead.address());
    let program = bed.program(settings.clone())?;
    let check = program.run(&["check"])?;
    for remedy in [&dead.address().to_string(), "`servers`"] {
        assert!(words(&check).contains(remedy), "{check}");
    }
    assert!(!words(&check).contains("its NS set"), "{check}");
    settings.alias_zones[0].servers.pop();
    let program = bed.program(settings)?;
    issue(&program, &["web"], &[])?;
    assert_all_works(&bed, &program)
}
