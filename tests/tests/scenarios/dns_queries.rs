//! One checker for many certificates: how many DNS queries it sends, and for which CAs.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail as they do")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use acme_alias_core::delegation::{
    CaaIdentity, DelegationCheck, DelegationChecker, DelegationReport, Expectation, FindingKind,
};
use acme_alias_core::dns::{Config, Dns, TrustAnchors, ZoneServers};
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_tests::{ALIAS_ZONE, Error, Result, SignedTree, SignedZone, Signing, TestBed};

/// Names that are checked at once.
const NAMES: u64 = 50;

fn identity(issuer: &str) -> CaaIdentity {
    CaaIdentity {
        issuer: issuer.to_owned(),
        others: Vec::new(),
        account: None,
    }
}

/// A client that knows the servers of these zones.
fn client(bed: &TestBed) -> Arc<Dns> {
    let zone = |apex: &str, servers| ZoneServers {
        zone: apex.parse().unwrap(),
        servers,
    };
    Arc::new(Dns::new(Config {
        resolvers: vec![bed.resolver()],
        zones: vec![
            zone("com", vec![bed.main_server()]),
            zone("example.com", vec![bed.main_server()]),
            zone(ALIAS_ZONE, vec![bed.primary(), bed.secondary()]),
        ],
        ..Config::default()
    }))
}

/// Checks a certificate for each domain, all at once.
async fn check(
    checker: &DelegationChecker,
    domains: &[String],
    alias_zone: &str,
    caa: &CaaIdentity,
) -> Result<Vec<DelegationReport>> {
    let identifiers = domains.iter().map(|domain| domain.parse());
    let identifiers = identifiers.collect::<std::result::Result<Vec<Identifier>, _>>()?;
    let alias_zones: BTreeSet<DnsName> = BTreeSet::from([alias_zone.parse()?]);
    let checks = identifiers.iter().map(|identifier| DelegationCheck {
        caa: Some(caa),
        ..DelegationCheck::new(
            identifier.challenge_name(),
            Expectation {
                identifiers: std::slice::from_ref(identifier),
                alias_name: None,
                alias_zones: &alias_zones,
                any_zone: false,
            },
        )
    });
    Ok(checker.check_all(&checks.collect::<Vec<_>>()).await)
}

fn hosts(prefix: &str, zone: &str) -> Vec<String> {
    (0..NAMES).map(|i| format!("{prefix}{i}.{zone}")).collect()
}

/// The queries between two counts.
fn between(
    before: &BTreeMap<&'static str, u64>,
    after: &BTreeMap<&'static str, u64>,
) -> BTreeMap<&'static str, u64> {
    let difference = after.iter().map(|(kind, count)| {
        let before = before.get(kind).copied().unwrap_or_default();
        (*kind, count - before)
    });
    difference.filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn a_certificate_among_many_takes_four_queries() -> Result {
    let (first, second) = (hosts("a", "example.com"), hosts("b", "example.com"));
    let bed = TestBed::builder()
        .delegate_apart(&first)
        .delegate_apart(&second)
        .start()?;
    let dns = client(&bed);
    let checker = DelegationChecker::new(Arc::clone(&dns));
    let caa = identity("ca.example");
    let reports = check(&checker, &first, ALIAS_ZONE, &caa).await?;
    assert!(reports.iter().all(|report| report.findings.is_empty()));
    let cold = dns.queries();
    let reports = check(&checker, &second, ALIAS_ZONE, &caa).await?;
    assert!(reports.iter().all(|report| report.findings.is_empty()));
    let warm = between(&cold, &dns.queries());
    let expected = [
        // The probe for a wildcard below the challenge name.
        ("CNAME", NAMES),
        // At the challenge name and the alias name.
        ("TXT", 2 * NAMES),
        ("CAA", NAMES),
    ];
    assert_eq!(warm, BTreeMap::from(expected));
    // What concerns the zones is shared from the beginning.
    assert!(cold.values().sum::<u64>() < 5 * NAMES, "{cold:?}");
    Ok(())
}

#[tokio::test]
async fn a_name_in_a_signed_zone_takes_one_query_more_to_validate_its_cname() -> Result {
    let domains = hosts("a", "signed.test");
    let record =
        |domain: &String| format!("_acme-challenge.{domain}. 600 IN CNAME {domain}.alias.test.");
    let zone = |apex, records| SignedZone {
        apex,
        signing: Signing::Nsec,
        records,
    };
    let tree = SignedTree::start(&[
        zone("test", Vec::new()),
        zone("signed.test", domains.iter().map(record).collect()),
        zone("alias.test", Vec::new()),
    ])?;
    let dns = Arc::new(Dns::new(Config {
        resolvers: vec![tree.address()],
        port: tree.address().port(),
        allow_special_addresses: true,
        trust_anchors: TrustAnchors::from_file(&tree.trust_anchor()).map_err(Error::new)?,
        ..Config::default()
    }));
    let checker = DelegationChecker::new(Arc::clone(&dns));
    let caa = identity("ca.example");
    check(&checker, &domains, "alias.test", &caa).await?;
    let cold = dns.queries();
    let reports = check(&checker, &domains, "alias.test", &caa).await?;
    assert!(reports.iter().all(|report| report.findings.is_empty()));
    let warm = between(&cold, &dns.queries());
    // The signed CNAME, too.
    let expected = [("CNAME", 2 * NAMES), ("TXT", 2 * NAMES), ("CAA", NAMES)];
    assert_eq!(warm, BTreeMap::from(expected));
    Ok(())
}

#[tokio::test]
async fn one_checker_serves_certificates_of_several_cas() -> Result {
    let domains = ["caa.example.com".to_owned()];
    let bed = TestBed::builder()
        .delegate_apart(&domains)
        .record("caa.example.com", "CAA 0 issue \"one.example\"")
        .start()?;
    let checker = DelegationChecker::new(client(&bed));
    for (issuer, expected) in [
        ("one.example", None),
        ("other.example", Some(FindingKind::Caa)),
    ] {
        let reports = check(&checker, &domains, ALIAS_ZONE, &identity(issuer)).await?;
        let kind = reports[0].findings.first().map(|finding| finding.kind);
        assert_eq!(kind, expected, "{issuer}");
    }
    Ok(())
}
