//! Both sides of a zone cut: which servers the zone above names, and whether it delegates the zone at all.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use acme_alias_core::delegation::{
    DelegationCheck, DelegationChecker, DelegationReport, Expectation, Finding, FindingKind,
};
use acme_alias_core::dns::{Config, Dns, ZoneServers};
use acme_alias_core::name::Identifier;
use acme_alias_tests::{QueryProxy, Result, SignedTree, SignedZone, Signing};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{RData, RecordType};

fn zone(apex: &'static str, signing: Signing, records: &[&str]) -> SignedZone {
    SignedZone {
        apex,
        signing,
        records: records.iter().map(|line| (*line).to_owned()).collect(),
    }
}

async fn check(config: Config, domain: &str) -> Result<DelegationReport> {
    let identifier: Identifier = domain.parse()?;
    let expectation = Expectation {
        identifiers: std::slice::from_ref(&identifier),
        alias_name: None,
        alias_zones: &BTreeSet::from(["auth.test".parse()?]),
        any_zone: false,
    };
    let checker = DelegationChecker::new(Arc::new(Dns::new(config)));
    let check = DelegationCheck::new(identifier.challenge_name(), expectation);
    Ok(checker.check(&check).await)
}

fn kinds(report: &DelegationReport) -> Vec<FindingKind> {
    let findings = report.findings.iter();
    findings.map(|finding| finding.kind).collect()
}

fn finding(report: &DelegationReport, kind: FindingKind) -> Option<&Finding> {
    let mut findings = report.findings.iter();
    findings.find(|finding| finding.kind == kind)
}

#[tokio::test]
async fn an_alias_zone_that_is_configured_and_not_delegated_is_reported() -> Result {
    let hidden = SignedTree::start(&[zone("auth.test", Signing::Unsigned, &[])])?;
    let public = SignedTree::start(&[zone(
        "test",
        Signing::Unsigned,
        &["_acme-challenge.host.test. 600 IN CNAME x.auth.test."],
    )])?;
    let config = Config {
        resolvers: vec![public.address()],
        zones: vec![ZoneServers {
            zone: "auth.test".parse()?,
            servers: vec![hidden.address()],
        }],
        port: public.address().port(),
        allow_special_addresses: true,
        ..Config::default()
    };
    let found = check(config, "host.test").await?;
    assert_eq!(kinds(&found), [FindingKind::NotDelegated], "{found:?}");
    Ok(())
}

#[tokio::test]
async fn a_missing_delegation_is_reported_although_one_server_has_both_zones() -> Result {
    let tree = SignedTree::start(&[
        zone(
            "test",
            Signing::Unsigned,
            &[
                "_acme-challenge.host.test. 600 IN CNAME x.auth.test.",
                "_acme-challenge.good.test. 600 IN CNAME x.known.auth.test.",
            ],
        ),
        zone("auth.test", Signing::Forgotten, &[]),
        zone("known.auth.test", Signing::Unsigned, &[]),
    ])?;
    let config = || Config {
        resolvers: vec![tree.address()],
        port: tree.address().port(),
        allow_special_addresses: true,
        ..Config::default()
    };
    let found = check(config(), "host.test").await?;
    assert_eq!(kinds(&found), [FindingKind::NotDelegated], "{found:?}");
    let delegated =
        |found: &DelegationReport| found.alias.as_ref().and_then(|alias| alias.delegated);
    assert_eq!(delegated(&found), Some(false));
    let found = check(config(), "good.test").await?;
    assert_eq!(delegated(&found), Some(true), "{found:?}");
    Ok(())
}

/// The zone `moved.test` at its new server, below a zone `test` that still names the old one as well.
struct Moved {
    above: SignedTree,
    new: SignedTree,
}

impl Moved {
    fn start() -> Result<Moved> {
        Ok(Moved {
            above: SignedTree::start(&[zone(
                "test",
                Signing::Unsigned,
                &[
                    "moved.test. 600 IN NS ns.moved.test.",
                    "moved.test. 600 IN NS old.moved.test.",
                    "ns.moved.test. 600 IN A 127.0.0.1",
                    "old.moved.test. 600 IN A 127.0.0.2",
                ],
            )])?,
            new: SignedTree::start(&[zone(
                "moved.test",
                Signing::Unsigned,
                &[
                    "_acme-challenge.moved.test. 600 IN CNAME x.auth.moved.test.",
                    "old.moved.test. 600 IN A 127.0.0.2",
                ],
            )])?,
        })
    }

    fn config(&self) -> Result<Config> {
        Ok(Config {
            resolvers: vec![self.new.address()],
            zones: vec![ZoneServers {
                zone: "test".parse()?,
                servers: vec![self.above.address()],
            }],
            port: self.new.address().port(),
            allow_special_addresses: true,
            ..Config::default()
        })
    }
}

#[tokio::test]
async fn a_server_that_only_the_zone_above_names_is_asked_as_well() -> Result {
    let moved = Moved::start()?;
    let dead = check(moved.config()?, "moved.test").await?;
    let lame = finding(&dead, FindingKind::LameServer);
    assert!(
        lame.is_some_and(|lame| lame.answer.contains("by the zone above")
            && lame.remedy.contains("the delegation in the zone above")),
        "{dead:?}"
    );

    let _old = QueryProxy::start_beside(
        moved.new.address(),
        Ipv4Addr::new(127, 0, 0, 2),
        |_, answer| {
            let mut message = Message::from_vec(answer).unwrap_or_else(|_| Message::query());
            for record in &mut message.answers {
                if let RData::CNAME(CNAME(target)) = &mut record.data {
                    *target = "y.auth.moved.test.".parse().unwrap_or_default();
                }
            }
            message.to_vec().into_iter().collect()
        },
    )?;
    let found = check(moved.config()?, "moved.test").await?;
    let disagree = finding(&found, FindingKind::ServersDisagree);
    assert!(
        disagree.is_some_and(|disagree| disagree
            .answer
            .contains("y.auth.moved.test. at old.moved.test (127.0.0.2:")
            && disagree.remedy.contains("named by the zone above only")),
        "{found:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_server_of_the_zone_above_that_does_not_delegate_the_zone_is_named() -> Result {
    let moved = Moved::start()?;
    let denies = QueryProxy::start(moved.above.address(), |question, mut answer| {
        let mut queries = question.queries.iter();
        if queries.any(|query| query.query_type() == RecordType::NS) {
            answer.authorities.clear();
            answer.metadata.authoritative = true;
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        vec![answer]
    })?;
    let mut config = moved.config()?;
    config.zones[0].servers.push(denies.address());
    let found = check(config, "moved.test").await?;
    let denied = finding(&found, FindingKind::NotDelegated);
    let by = denies.address().to_string();
    assert!(
        denied.is_some_and(|denied| denied.answer.contains(&by)),
        "{found:?}"
    );
    Ok(())
}
