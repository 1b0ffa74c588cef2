use std::collections::BTreeSet;

use super::*;
use crate::delegation::chain::FoundTxt;
use crate::delegation::finding::Severity;

fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

/// A chain from `_acme-challenge.example.com` along `targets`.
fn chain(targets: &[&str]) -> CnameChain {
    let challenge_name = name("_acme-challenge.example.com");
    let mut at = challenge_name.clone();
    let mut hops = Vec::new();
    for target in targets {
        hops.push(Hop {
            name: at,
            target: name(target),
            ttl: 600,
            server: "192.0.2.1:53".into(),
            wildcard: None,
            dname: None,
            txt_beside: false,
        });
        at = name(target);
    }
    let end = End::At {
        server: "192.0.2.2:53".into(),
        answer: "NXDOMAIN".into(),
        exists: false,
        txt: FoundTxt::default(),
        zone: None,
    };
    CnameChain {
        challenge_name,
        hops,
        end,
    }
}

fn findings(chain: &CnameChain, alias_name: Option<&str>, zones: &[&str]) -> Vec<Finding> {
    let alias_name = alias_name.map(name);
    let alias_zones = zones.iter().map(|zone| name(zone)).collect();
    chain_findings(
        chain,
        &Expectation {
            identifiers: &["example.com".parse().unwrap()],
            alias_name: alias_name.as_ref(),
            alias_zones: &alias_zones,
            any_zone: false,
        },
    )
}

fn kinds(findings: &[Finding]) -> Vec<FindingKind> {
    findings.iter().map(|finding| finding.kind).collect()
}

const ZONE: &str = "auth.example.net";
const ALIAS: &str = "_acme-challenge.auth.example.net";

#[test]
fn a_cname_to_the_configured_alias_name_is_good() {
    assert_eq!(findings(&chain(&[ALIAS]), Some(ALIAS), &[ZONE]), []);
    assert_eq!(findings(&chain(&[ALIAS]), None, &[ZONE]), []);
}

#[test]
fn a_missing_cname_comes_with_the_record_to_add() {
    for alias_name in [Some(ALIAS), None] {
        let found = findings(&chain(&[]), alias_name, &[ZONE]);
        assert_eq!(kinds(&found), [FindingKind::MissingCname]);
        assert_eq!(
            found[0].record.as_deref(),
            Some("_acme-challenge.example.com. 600 IN CNAME _acme-challenge.auth.example.net.")
        );
    }
}

#[test]
fn txt_records_at_the_challenge_name_must_be_removed_first() {
    let mut chain = chain(&[]);
    chain.end = End::At {
        server: "192.0.2.2:53".into(),
        answer: "the name exists, without CNAME records (NODATA)".into(),
        exists: true,
        txt: FoundTxt::of(&["left-over".into()], |_| false),
        zone: None,
    };
    let found = findings(&chain, Some(ALIAS), &[ZONE]);
    assert_eq!(kinds(&found), [FindingKind::MissingCname]);
    assert!(found[0].answer.contains("TXT records exist there"));
    assert!(
        found[0]
            .remedy
            .starts_with("remove the TXT records there first")
    );
    assert!(chain.has_txt_in_its_way());
}

#[test]
fn without_an_alias_name_and_with_several_zones_no_record_is_suggested() {
    let found = findings(&chain(&[]), None, &[ZONE, "other.example.net"]);
    assert_eq!(kinds(&found), [FindingKind::MissingCname]);
    assert_eq!(found[0].record, None);
}

#[test]
fn a_challenge_name_inside_an_alias_zone_needs_no_cname() {
    assert_eq!(findings(&chain(&[]), None, &["example.com"]), []);
}

#[test]
fn a_cname_elsewhere_is_an_error_even_within_the_same_zone() {
    let found = findings(&chain(&["x.auth.example.net"]), Some(ALIAS), &[ZONE]);
    assert_eq!(kinds(&found), [FindingKind::CnameElsewhere]);
    assert!(found[0].answer.contains("x.auth.example.net."));
    assert!(found[0].answer.contains(ALIAS));
}

#[test]
fn an_alias_name_that_is_a_cname_itself_is_an_error() {
    let found = findings(&chain(&[ALIAS, "x.auth.example.net"]), Some(ALIAS), &[ZONE]);
    assert_eq!(
        kinds(&found),
        [FindingKind::AliasIsCname, FindingKind::SeveralHops]
    );
    assert!(
        found[0]
            .remedy
            .contains("configure x.auth.example.net as the alias name")
    );
}

#[test]
fn an_alias_name_outside_all_zones_is_an_error_unless_any_zone_will_do() {
    let chain = chain(&[ALIAS]);
    let found = findings(&chain, None, &["other.example.net"]);
    assert_eq!(kinds(&found), [FindingKind::OutsideAliasZones]);
    let expectation = Expectation {
        identifiers: &[],
        alias_name: None,
        alias_zones: &BTreeSet::new(),
        any_zone: true,
    };
    assert_eq!(chain_findings(&chain, &expectation), []);
}

#[test]
fn several_hops_are_a_warning_that_names_the_limit_of_cas() {
    let found = findings(&chain(&["a.example.org", ALIAS]), Some(ALIAS), &[ZONE]);
    assert_eq!(kinds(&found), [FindingKind::SeveralHops]);
    assert_eq!(found[0].severity, Severity::Warning);
    assert!(!found[0].answer.contains("CAs follow"));
    let five = ["a.example", "b.example", "c.example", "d.example", ALIAS];
    let found = findings(&chain(&five), Some(ALIAS), &[ZONE]);
    assert!(found[0].answer.contains("CAs follow at most 4"));
}

#[test]
fn a_wildcard_is_a_warning_and_txt_beside_the_cname_an_error() {
    let mut chain = chain(&[ALIAS]);
    chain.hops[0].wildcard = Some(name("example.com").child("*").unwrap());
    chain.hops[0].txt_beside = true;
    let found = findings(&chain, Some(ALIAS), &[ZONE]);
    assert_eq!(
        kinds(&found),
        [FindingKind::Wildcard, FindingKind::TxtBesideCname]
    );
    assert_eq!(found[0].severity, Severity::Warning);
    assert_eq!(found[1].severity, Severity::Error);
}

#[test]
fn a_loop_is_shown_with_all_its_names() {
    let mut chain = chain(&["a.example.org", "_acme-challenge.example.com"]);
    chain.end = End::Loop(name("_acme-challenge.example.com"));
    let found = findings(&chain, Some(ALIAS), &[ZONE]);
    assert_eq!(kinds(&found), [FindingKind::Loop]);
    assert!(
        found[0]
            .answer
            .contains("a.example.org -> _acme-challenge.example.com")
    );
}

#[test]
fn a_long_list_of_alias_zones_is_counted() {
    let zones: Vec<_> = (1..=17).map(|i| format!("zone{i:02}.example")).collect();
    let zones: Vec<_> = zones.iter().map(String::as_str).collect();
    let found = findings(&chain(&[ALIAS]), None, &zones);
    assert!(
        found[0].answer.contains("zone05.example, and 12 more"),
        "{}",
        found[0].answer
    );
}

#[test]
fn a_servfail_has_its_probable_cause() {
    let mut chain = chain(&[ALIAS]);
    let attempts = "192.0.2.1:53 answered SERVFAIL".to_owned();
    for (error, words) in [
        (
            DnsError::Unanswered {
                name: name(ALIAS),
                zone: name(ZONE),
                attempts: attempts.clone(),
            },
            "the zone is probably not loaded",
        ),
        (
            DnsError::Resolver {
                name: name(ALIAS),
                kind: "SOA",
                attempts,
            },
            "the servers of the zone have loaded it",
        ),
    ] {
        chain.end = End::Unanswered(error);
        let found = findings(&chain, Some(ALIAS), &[ZONE]);
        assert_eq!(kinds(&found), [FindingKind::Unanswered]);
        assert!(found[0].answer.contains("192.0.2.1:53 answered SERVFAIL"));
        assert!(found[0].remedy.contains(words), "{found:?}");
    }
}

#[test]
fn a_loop_of_long_names_is_shown_in_part() {
    let long = ["x"; 3].map(|label| label.repeat(60)).join(".");
    let targets = (0..14).map(|n| format!("h{}.{long}.example", n % 13));
    let targets: Vec<_> = targets.collect();
    let targets: Vec<_> = targets.iter().map(String::as_str).collect();
    let mut chain = chain(&targets);
    chain.end = End::Loop(name(targets[0]));
    let findings = findings(&chain, None, &[ZONE]);
    let answer = &findings[0].answer;
    assert!(answer.ends_with(" -> 12 more"), "{answer}");
    assert!(answer.len() < 700, "{answer}");
}
