//! What validation says of zones that are signed well, badly or not at all.

use std::sync::Arc;

use acme_alias_core::delegation::{Examination, Examiner, FindingKind, Question};
use acme_alias_core::dns::{Config, Dns};
use acme_alias_core::dnssec::{Security, TrustAnchors};
use acme_alias_core::name::Identifier;
use acme_alias_tests::{Error, Result, SignedTree, SignedZone, Signing, TestBed};

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
    let line = |line: &str| match line.split_once("RRSIG\tCNAME ") {
        None => format!("{line}\n"),
        Some((owner, signature)) => {
            let mut words: Vec<_> = signature.split(' ').collect();
            words[5] = "1";
            format!("{owner}RRSIG\tCNAME {}\n", words.join(" "))
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
    ])
}

async fn examine(
    tree: &SignedTree,
    trust_anchors: TrustAnchors,
    domain: &str,
) -> Result<Examination> {
    let dns = Dns::new(Config {
        resolvers: vec![tree.address()],
        port: tree.address().port(),
        trust_anchors,
        ..Config::default()
    });
    let identifier: Identifier = domain.parse()?;
    let question = Question {
        identifiers: std::slice::from_ref(&identifier),
        wanted: None,
        alias_zones: &["alias.test".parse()?],
        any_zone: true,
    };
    let examiner = Examiner::new(Arc::new(dns), None);
    Ok(examiner
        .examine(identifier.challenge_name(), &question)
        .await)
}

#[tokio::test]
async fn every_way_to_sign_has_its_verdict() -> Result {
    let tree = tree()?;
    let anchors = TrustAnchors::from_file(&tree.trust_anchor()).map_err(Error::new)?;
    let mut wrong = Vec::new();
    for (domain, verdict) in [
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
            Err("begins to hold at 2050-01-01T00:00:00Z only"),
        ),
        ("other.test", Err("match none of its keys")),
        (
            "bare.test",
            Err("has no keys (DNSKEY), and the zone above says that it is signed"),
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
    ] {
        let examination = examine(&tree, anchors.clone(), domain).await?;
        let source = examination.source.as_ref().map(|source| &source.dnssec);
        let bogus: Vec<_> = examination
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

#[tokio::test]
async fn a_root_that_is_not_trusted_gives_no_verdict() -> Result {
    let tree = tree()?;
    let examination = examine(&tree, TrustAnchors::default(), "late.test").await?;
    let source = examination.source.map(|source| source.dnssec);
    let unknown =
        matches!(&source, Some(Security::Unknown(reason)) if reason.contains("trust anchor"));
    assert!(unknown, "{source:?}");
    Ok(())
}

#[test]
fn a_broken_chain_is_told_before_the_order() -> Result {
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
            .contains("DNSSEC: not known: the servers that the settings name for bare.test"),
        "{hidden}"
    );

    program
        .run(&["issue", "late"])?
        .assert_failure(3, &["DNSSEC is broken", "expired at 2025-02-01", "mend it"]);
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
