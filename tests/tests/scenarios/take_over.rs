//! CNAMEs that lead to somebody else, or to nobody: who could obtain certificates by them.

use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::delegation::{DelegationChecker, FindingKind, Question};
use acme_alias_core::dns::{Config, Dns};
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_tests::{ALIAS_NAME, Result, SignedTree, SignedZone, Signing, TestBed};

/// A registry `test`, and zones below it, one of which has registrants of its own.
fn tree() -> Result<SignedTree> {
    let zone = |apex, records: &[&str]| SignedZone {
        apex,
        signing: Signing::Unsigned,
        records: records.iter().map(|line| (*line).to_owned()).collect(),
    };
    SignedTree::start(&[
        zone(
            "test",
            &[
                "_acme-challenge.free.test. 600 IN CNAME x.nobody.test.",
                "_acme-challenge.second.test. 600 IN CNAME x.nobody.co.test.",
                "_acme-challenge.other.test. 600 IN CNAME _acme-challenge.there.test.",
                "_acme-challenge.nowhere.test. 600 IN CNAME x.nowhere.invalid.",
                "_acme-challenge.dead.test. 600 IN CNAME x.dark.test.",
                "dark.test. 600 IN NS ns.dark.test.",
                "ns.dark.test. 600 IN A 127.0.0.3",
            ],
        ),
        zone("co.test", &[]),
        zone("there.test", &[]),
        zone("auth.test", &[]),
    ])
}

/// The take-over that is told of, and the remedies of all findings.
async fn told(
    tree: &SignedTree,
    domain: &str,
    wanted: Option<&str>,
    any_zone: bool,
) -> Result<(Option<String>, Vec<String>)> {
    let dns = Dns::new(Config {
        resolvers: vec![tree.address()],
        port: tree.address().port(),
        timeout: Duration::from_secs(1),
        ..Config::default()
    });
    let identifier: Identifier = domain.parse()?;
    let wanted: Option<DnsName> = wanted.map(str::parse).transpose()?;
    let question = Question {
        identifiers: std::slice::from_ref(&identifier),
        wanted: wanted.as_ref(),
        alias_zones: &["auth.test".parse()?],
        any_zone,
    };
    let examiner = DelegationChecker::new(Arc::new(dns), None);
    let found = examiner
        .examine(identifier.challenge_name(), &question)
        .await;
    let mut findings = found.findings.iter();
    let dangling = findings.find(|finding| finding.kind == FindingKind::Dangling);
    let remedies = found.findings.iter().map(|finding| finding.remedy.clone());
    Ok((
        dangling.map(|finding| finding.answer.clone()),
        remedies.collect(),
    ))
}

#[tokio::test]
async fn a_domain_that_nobody_has_is_told_whatever_the_settings_say() -> Result {
    let tree = tree()?;
    let nobody = "nobody has this domain: whoever registers it can obtain certificates";
    for domain in ["free.test", "nowhere.test"] {
        for (wanted, any_zone) in [(None, false), (None, true), (Some("x.auth.test"), false)] {
            let (dangling, remedies) = told(&tree, domain, wanted, any_zone).await?;
            assert_eq!(dangling.as_deref(), Some(nobody), "{domain} {wanted:?}");
            let gives_in = |remedy: &String| remedy.contains("correct the alias in the settings");
            assert!(!remedies.iter().any(gives_in), "{remedies:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn whoever_has_the_zone_is_told_and_what_a_registry_may_have_to_sell() -> Result {
    let tree = tree()?;
    let (dangling, _) = told(&tree, "second.test", None, false).await?;
    assert_eq!(
        dangling.as_deref(),
        Some(
            "whoever writes in the zone co.test can obtain certificates for these names; \
             nobody.co.test is not there, and if co.test is a registry, it is free"
        )
    );
    let (dangling, _) = told(&tree, "other.test", None, false).await?;
    let whoever = "whoever writes in the zone there.test can obtain certificates for these names";
    assert_eq!(dangling.as_deref(), Some(whoever));
    // A provider that was named for it writes there.
    assert_eq!(told(&tree, "other.test", None, true).await?.0, None);
    Ok(())
}

#[tokio::test]
async fn silence_is_not_taken_for_a_domain_that_nobody_has() -> Result {
    let tree = tree()?;
    for any_zone in [false, true] {
        assert_eq!(told(&tree, "dead.test", None, any_zone).await?.0, None);
    }
    Ok(())
}

#[test]
fn what_could_be_taken_over_is_refused_before_the_order() -> Result {
    let bed = TestBed::builder()
        .cname("_acme-challenge.lost.example.com", "x.nobody.example.org")
        .delegate(&["example.com"])
        .start()?;
    let issue = bed.run(&["issue", "lost.example.com"])?;
    issue.assert_failure(
        3,
        &[
            "whoever writes in the zone example.org",
            "remove the CNAME if that is not you",
        ],
    );
    // The settings take the alias name itself for a zone.
    let mut settings = bed.settings();
    let servers = settings.alias_zones[0].servers.clone();
    let zone = std::mem::replace(&mut settings.alias_zones[0].zone, ALIAS_NAME.to_owned());
    settings.zones.push((zone, servers));
    let issue = bed.program(settings)?.run(&["issue", "example.com"])?;
    issue.assert_failure(3, &["the name lies in the zone", "as its alias zone"]);
    assert_eq!(bed.orders()?, 0);
    Ok(())
}
