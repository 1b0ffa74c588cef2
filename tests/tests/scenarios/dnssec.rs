//! DNSSEC validation of zones that are signed well, badly or not at all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::delegation::{
    DelegationCheck, DelegationChecker, DelegationReport, Expectation, FindingKind, ZoneReport,
};
use acme_alias_core::dns::TrustAnchors;
use acme_alias_core::dns::{Config, Dns, ZoneServers};
use acme_alias_core::dnssec::Security;
use acme_alias_core::name::Identifier;
use acme_alias_tests::{Error, Port, QueryProxy, Result, SignedTree, SignedZone, Signing, TestBed};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;

fn zone(apex: &'static str, signing: Signing, records: &[&str]) -> SignedZone {
    SignedZone {
        apex,
        signing,
        records: records.iter().map(|line| (*line).to_owned()).collect(),
    }
}

fn cname(name: &str, target: &str) -> String {
    format!("{name}. 600 IN CNAME {target}.")
}

/// The zone with the delegation of its apex into `alias.test`.
fn delegated(apex: &'static str, signing: Signing) -> SignedZone {
    let challenge_name = format!("_acme-challenge.{apex}");
    zone(apex, signing, &[&cname(&challenge_name, "x.alias.test")])
}

/// One signature, and not the one that it was.
fn another_target(text: &str) -> String {
    text.replace("x.alias.test.", "y.alias.test.")
}

/// The signatures of CNAME records by a key that nobody has.
fn another_key(text: &str) -> String {
    by_another_key(text, "RRSIG\tCNAME ")
}

/// The signatures of NSEC records by a key that nobody has.
fn another_key_of_proofs(text: &str) -> String {
    by_another_key(text, "RRSIG\tNSEC ")
}

fn by_another_key(text: &str, signature: &str) -> String {
    let line = |line: &str| match line.split_once(signature) {
        None => format!("{line}\n"),
        Some((owner, data)) => {
            let mut words: Vec<_> = data.split(' ').collect();
            words[5] = "1";
            format!("{owner}{signature}{}\n", words.join(" "))
        }
    };
    text.lines().map(line).collect()
}

fn tree() -> Result<SignedTree> {
    SignedTree::start(&[
        zone("test", Signing::Nsec3, &[]),
        zone("alias.test", Signing::Nsec, &[]),
        zone(
            "nsec.test",
            Signing::Nsec,
            &[
                &cname("_acme-challenge.nsec.test", "x.alias.test"),
                &cname("*.wild.nsec.test", "x.alias.test"),
                &cname("_acme-challenge.far.nsec.test", "x.late.test"),
            ],
        ),
        zone(
            "nsec3.test",
            Signing::Nsec3,
            &[
                &cname("_acme-challenge.nsec3.test", "x.alias.test"),
                &cname("*.wild.nsec3.test", "x.alias.test"),
            ],
        ),
        delegated("plain.test", Signing::Unsigned),
        delegated(
            "late.test",
            Signing::Within("20250101000000", "20250201000000"),
        ),
        delegated(
            "early.test",
            Signing::Within("20500101000000", "20510101000000"),
        ),
        delegated("other.test", Signing::OtherDs),
        delegated("bare.test", Signing::Stripped),
        delegated("forged.test", Signing::Altered(another_target)),
        delegated("stranger.test", Signing::Altered(another_key)),
        zone(
            "dname.test",
            Signing::Nsec,
            &[
                "old.dname.test. 600 IN DNAME New.DName.test.",
                &cname("_acme-challenge.new.dname.test", "x.alias.test"),
            ],
        ),
        zone(
            "renamed.test",
            Signing::Altered(another_target),
            &["old.renamed.test. 600 IN DNAME x.alias.test."],
        ),
        zone(
            "torn.test",
            Signing::Altered(another_key_of_proofs),
            &[&cname("*.wild.torn.test", "x.alias.test")],
        ),
        delegated("plain.torn.test", Signing::Unsigned),
        delegated("forgotten.test", Signing::Forgotten),
    ])
}

async fn check(
    tree: &SignedTree,
    trust_anchors: TrustAnchors,
    domain: &str,
) -> Result<DelegationReport> {
    let config = Config {
        resolvers: vec![tree.address()],
        port: tree.address().port(),
        allow_special_addresses: true,
        trust_anchors,
        ..Config::default()
    };
    check_by(config, domain).await
}

async fn check_by(config: Config, domain: &str) -> Result<DelegationReport> {
    let dns = Dns::new(config);
    let identifier: Identifier = domain.parse()?;
    let expectation = Expectation {
        identifiers: std::slice::from_ref(&identifier),
        alias_name: None,
        alias_zones: &BTreeSet::from(["alias.test".parse()?]),
        any_zone: true,
    };
    let checker = DelegationChecker::new(Arc::new(dns));
    let check = DelegationCheck::new(identifier.challenge_name(), expectation);
    Ok(checker.check(&check).await)
}

/// What each domain comes to.
const VERDICTS: &[(&str, std::result::Result<Security, &str>)] = &[
    ("nsec.test", Ok(Security::Secure)),
    ("a.wild.nsec.test", Ok(Security::Secure)),
    ("nsec3.test", Ok(Security::Secure)),
    ("a.wild.nsec3.test", Ok(Security::Secure)),
    ("plain.test", Ok(Security::Insecure)),
    (
        "late.test",
        Err("the signature of the SOA records of late.test. expired at 2025-02-01T00:00:00Z"),
    ),
    (
        "early.test",
        Err("is not valid before 2050-01-01T00:00:00Z"),
    ),
    ("other.test", Err("match none of its keys")),
    (
        "bare.test",
        Err("has no keys (DNSKEY), and the zone above has a DS record for it"),
    ),
    (
        "forged.test",
        Err("the CNAME records of _acme-challenge.forged.test. by key"),
    ),
    (
        "stranger.test",
        Err("is by key 1, which is not among the keys of stranger.test."),
    ),
    (
        "far.nsec.test",
        Err("the signature of the SOA records of late.test. expired"),
    ),
    ("old.dname.test", Ok(Security::Secure)),
    (
        "old.renamed.test",
        Err("the signature of the DNAME records of old.renamed.test. by key"),
    ),
    (
        "a.wild.torn.test",
        Err("or the proof that they are made from a wildcard (NSEC, NSEC3) is not valid"),
    ),
    (
        "plain.torn.test",
        Err("the proof that there are no DS records at plain.torn.test. is not valid"),
    ),
    (
        "forgotten.test",
        Err("the zone above has no DS record of forgotten.test., and does not prove"),
    ),
];

#[tokio::test]
async fn every_way_to_sign_has_its_verdict() -> Result {
    let tree = tree()?;
    let anchors = TrustAnchors::from_file(&tree.trust_anchor()).map_err(Error::new)?;
    let mut wrong = Vec::new();
    for (domain, verdict) in VERDICTS {
        let report = check(&tree, anchors.clone(), domain).await?;
        let source = report.source.as_ref().map(|source| &source.dnssec);
        let bogus: Vec<_> = report
            .findings
            .iter()
            .filter(|finding| finding.kind == FindingKind::Bogus)
            .collect();
        let answers: Vec<_> = bogus.iter().map(|finding| &finding.answer).collect();
        let as_expected = match &verdict {
            Ok(verdict) => source == Some(verdict) && bogus.is_empty(),
            Err(reason) => bogus.len() == 1 && bogus[0].answer.contains(reason),
        };
        if !as_expected {
            wrong.push(format!("{domain}: {source:?}, {answers:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What is wrong with the signatures on the way from a domain.
fn bogus(report: &DelegationReport) -> Vec<&str> {
    let findings = report.findings.iter();
    let bogus = findings.filter(|finding| finding.kind == FindingKind::Bogus);
    bogus.map(|finding| finding.answer.as_str()).collect()
}

fn is_about(question: &Message, name: &str, kind: RecordType) -> bool {
    let mut queries = question.queries.iter();
    queries.any(|query| query.name().to_ascii() == name && query.query_type() == kind)
}

fn servfail(mut answer: Message) -> Vec<Message> {
    answer.answers.clear();
    answer.authorities.clear();
    answer.metadata.authoritative = false;
    answer.metadata.response_code = ResponseCode::ServFail;
    vec![answer]
}

/// What is answered in the place of an answer.
type Spoil = fn(Message) -> Vec<Message>;

/// All servers of the tree as `spoil` lets them answer.
fn spoilt(
    tree: &SignedTree,
    spoil: impl FnMut(&Message, Message) -> Vec<Message> + Send + 'static,
) -> Result<(QueryProxy, Config)> {
    let proxy = QueryProxy::start(tree.address(), spoil)?;
    let config = Config {
        resolvers: vec![proxy.address()],
        port: proxy.address().port(),
        allow_special_addresses: true,
        trust_anchors: TrustAnchors::from_file(&tree.trust_anchor()).map_err(Error::new)?,
        ..Config::default()
    };
    Ok((proxy, config))
}

#[tokio::test]
async fn a_signed_zone_that_does_not_return_its_keys_is_bogus() -> Result {
    let tree = tree()?;
    let silence = |_| Vec::new();
    let answers: [(RecordType, Spoil, &str); 3] = [
        (RecordType::DNSKEY, servfail, "answered SERVFAIL"),
        (RecordType::DNSKEY, silence, "no answer within 500ms"),
        (RecordType::DS, servfail, "answered SERVFAIL"),
    ];
    for (kind, spoil, why) in answers {
        let (_proxy, config) = spoilt(&tree, move |question, answer| {
            if is_about(question, "nsec.test.", kind) {
                return spoil(answer);
            }
            vec![answer]
        })?;
        let timeout = Duration::from_millis(500);
        let report = check_by(Config { timeout, ..config }, "nsec.test").await?;
        let said = bogus(&report);
        let reason = format!("the {kind} records of nsec.test. could not be looked up");
        assert_eq!(said.len(), 1, "{report:?}");
        assert!(
            said[0].contains(&reason) && said[0].contains(why),
            "{said:?}"
        );
        assert!(report.has_errors());
    }
    Ok(())
}

#[tokio::test]
async fn servers_that_cannot_be_reached_from_here_leave_the_verdict_open() -> Result {
    let tree = tree()?;
    let dead = Port::claim()?;
    let zone = |apex: &str| -> Result<ZoneServers> {
        Ok(ZoneServers {
            zone: apex.parse()?,
            servers: vec![tree.address()],
        })
    };
    let config = Config {
        resolvers: vec![tree.address()],
        zones: vec![zone("nsec.test")?, zone("alias.test")?],
        trust_anchors: TrustAnchors::from_file(&tree.trust_anchor()).map_err(Error::new)?,
        timeout: Duration::from_millis(300),
        port: dead.number(),
        allow_special_addresses: true,
        ..Config::default()
    };
    let report = check_by(config, "nsec.test").await?;
    assert_eq!(bogus(&report), [""; 0]);
    let source = report.source.map(|source| source.dnssec.clone());
    let unknown = matches!(&source, Some(Security::Unknown(reason))
        if reason.contains("no server of the zone test gave"));
    assert!(unknown, "{source:?}");
    Ok(())
}

#[tokio::test]
async fn behind_a_resolver_that_validates_the_reason_is_found_as_well() -> Result {
    let tree = tree()?;
    let (_proxy, config) = spoilt(&tree, |question, answer| {
        let metadata = &question.metadata;
        if metadata.recursion_desired && !metadata.checking_disabled {
            return servfail(answer);
        }
        vec![answer]
    })?;
    let report = check_by(config, "late.test").await?;
    let said = bogus(&report);
    assert_eq!(said.len(), 1, "{report:?}");
    assert!(said[0].contains("expired at 2025-02-01"), "{said:?}");
    Ok(())
}

#[tokio::test]
async fn signatures_take_room_in_an_answer() -> Result {
    let tree = tree()?;
    let anchors = TrustAnchors::from_file(&tree.trust_anchor()).map_err(Error::new)?;
    let report = check(&tree, anchors, "plain.test").await?;
    let octets = |state: Option<Arc<ZoneReport>>| state.map(|state| state.signature_octets);
    assert_eq!(octets(report.source), Some(0));
    // An RRSIG by ECDSA P-256: 30 octets, `alias.test.`, 64 of the signature.
    assert_eq!(octets(report.alias), Some(30 + 12 + 64));
    Ok(())
}

#[tokio::test]
async fn a_root_that_is_not_trusted_gives_no_verdict() -> Result {
    let tree = tree()?;
    let report = check(&tree, TrustAnchors::default(), "late.test").await?;
    let source = report.source.map(|source| source.dnssec.clone());
    let unknown =
        matches!(&source, Some(Security::Unknown(reason)) if reason.contains("trust anchor"));
    assert!(unknown, "{source:?}");
    Ok(())
}

#[test]
fn a_broken_chain_of_trust_is_refused_before_the_order() -> Result {
    let tree = tree()?;
    let bed = TestBed::start()?;
    let mut settings = bed.settings();
    settings.resolver = tree.address();
    settings.trust_anchor = Some(tree.trust_anchor());
    for zone in ["test", "alias.test", "nsec.test", "late.test", "bare.test"] {
        settings.zones.push((zone.to_owned(), vec![tree.address()]));
    }
    settings.alias_zones[0].zone = "alias.test".to_owned();
    settings.alias_zones[0].servers = vec![tree.address()];
    let program = bed.program(settings.certificate("late", "domains = [\"late.test\"]"))?;

    let good = program.run(&["check", "nsec.test"])?;
    good.assert_success();
    for line in ["nsec.test: good", "zone nsec.test:", "DNSSEC: secure"] {
        assert!(good.stdout.contains(line), "{good}");
    }
    let bad = program.run(&["check", "late.test", "--output", "json"])?;
    bad.assert_failure(3, &[]);
    let checked = &bad.json()?["checked"][0];
    assert_eq!(
        checked["source_zone"]["dnssec"]["verdict"], "bogus",
        "{bad}"
    );
    assert_eq!(
        checked["alias_zone"]["dnssec"]["verdict"], "secure",
        "{bad}"
    );
    assert_eq!(checked["findings"][0]["kind"], "bogus", "{bad}");

    // A hidden primary has the zone without the signatures that others see.
    let hidden = program.run(&["check", "bare.test"])?;
    hidden.assert_success();
    assert!(
        hidden
            .stdout
            .contains("DNSSEC: not known: the servers configured for bare.test"),
        "{hidden}"
    );

    program.run(&["issue", "late"])?.assert_failure(
        3,
        &["DNSSEC is broken", "expired at 2025-02-01", "repair it"],
    );
    assert_eq!(bed.orders()?, 0);
    Ok(())
}

#[test]
fn a_resolver_without_signatures_leaves_the_verdict_open() -> Result {
    let bed = TestBed::start()?;
    let outcome = bed.run(&["check", "example.com"])?;
    outcome.assert_success();
    assert!(outcome.stdout.contains("DNSSEC: not known: "), "{outcome}");
    let mut settings = bed.settings();
    settings.trust_anchor = Some("/nonexistent".into());
    bed.program(settings)?
        .run(&["check", "example.com"])?
        .assert_failure(2, &["/nonexistent", "DNSKEY"]);
    Ok(())
}
