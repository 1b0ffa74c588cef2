//! CNAMEs into zones of others, or into unregistered domains: who could obtain certificates with them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::delegation::{DelegationCheck, DelegationChecker, Expectation, FindingKind};
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

/// The take-over that is reported, and the remedies of all findings.
async fn take_over(
    tree: &SignedTree,
    domain: &str,
    alias_name: Option<&str>,
    any_zone: bool,
) -> Result<(Option<String>, Vec<String>)> {
    let dns = Dns::new(Config {
        resolvers: vec![tree.address()],
        port: tree.address().port(),
        allow_special_addresses: true,
        timeout: Duration::from_secs(1),
        ..Config::default()
    });
    let identifier: Identifier = domain.parse()?;
    let alias_name: Option<DnsName> = alias_name.map(str::parse).transpose()?;
    let expectation = Expectation {
        identifiers: std::slice::from_ref(&identifier),
        alias_name: alias_name.as_ref(),
        alias_zones: &BTreeSet::from(["auth.test".parse()?]),
        any_zone,
    };
    let checker = DelegationChecker::new(Arc::new(dns));
    let check = DelegationCheck::new(identifier.challenge_name(), expectation);
    let found = checker.check(&check).await;
    let mut findings = found.findings.iter();
    let dangling = findings.find(|finding| finding.kind == FindingKind::Dangling);
    let remedies = found.findings.iter().map(|finding| finding.remedy.clone());
    Ok((
        dangling.map(|finding| finding.answer.clone()),
        remedies.collect(),
    ))
}

#[tokio::test]
async fn a_domain_that_is_not_registered_is_an_error_whatever_is_configured() -> Result {
    let tree = tree()?;
    let nobody = "this domain is not registered: anyone who registers it can obtain certificates";
    for domain in ["free.test", "nowhere.test"] {
        for (alias_name, any_zone) in [(None, false), (None, true), (Some("x.auth.test"), false)] {
            let (dangling, remedies) = take_over(&tree, domain, alias_name, any_zone).await?;
            assert_eq!(dangling.as_deref(), Some(nobody), "{domain} {alias_name:?}");
            let gives_in = |remedy: &String| remedy.contains("correct the configured alias name");
            assert!(!remedies.iter().any(gives_in), "{remedies:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_zone_that_others_can_write_to_is_named_and_what_a_registry_may_sell() -> Result {
    let tree = tree()?;
    let (dangling, _) = take_over(&tree, "second.test", None, false).await?;
    assert_eq!(
        dangling.as_deref(),
        Some(
            "anyone who can write to the zone co.test can obtain certificates for these names; \
             nobody.co.test does not exist, and may be free if co.test is a registry"
        )
    );
    let (dangling, _) = take_over(&tree, "other.test", None, false).await?;
    let anyone =
        "anyone who can write to the zone there.test can obtain certificates for these names";
    assert_eq!(dangling.as_deref(), Some(anyone));
    // A provider that is configured for it writes there.
    assert_eq!(take_over(&tree, "other.test", None, true).await?.0, None);
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_an_unregistered_domain() -> Result {
    let tree = tree()?;
    for any_zone in [false, true] {
        assert_eq!(take_over(&tree, "dead.test", None, any_zone).await?.0, None);
    }
    Ok(())
}

#[test]
fn a_cname_that_could_be_taken_over_is_refused_before_the_order() -> Result {
    let bed = TestBed::builder()
        .cname("_acme-challenge.lost.example.com", "x.nobody.example.org")
        .delegate(&["example.com"])
        .start()?;
    let issue = bed.run(&["issue", "lost.example.com"])?;
    issue.assert_failure(
        3,
        &[
            "anyone who can write to the zone example.org",
            "remove the CNAME unless the zone is yours",
        ],
    );
    // The alias name itself is configured as a zone.
    let mut settings = bed.settings();
    let servers = settings.alias_zones[0].servers.clone();
    let zone = std::mem::replace(&mut settings.alias_zones[0].zone, ALIAS_NAME.to_owned());
    settings.zones.push((zone, servers));
    let issue = bed.program(settings)?.run(&["issue", "example.com"])?;
    issue.assert_failure(3, &["the name is in the zone", "as its alias zone"]);
    assert_eq!(bed.orders()?, 0);
    Ok(())
}
