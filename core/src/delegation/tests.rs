//! What a checker keeps from one check to the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType;

use super::checker::DelegationChecker;
use super::expectation::{DelegationCheck, Expectation};
use super::finding::FindingKind;
use super::report::DelegationReport;
use crate::dns::stub::{ALIAS_NAME, CHALLENGE_NAME, StubServer, ZONE, name, pass};

fn checker(server: &StubServer) -> DelegationChecker {
    let dns = server.client(&[server.address], Duration::from_secs(30));
    DelegationChecker::new(Arc::new(dns))
}

async fn check(checker: &DelegationChecker) -> DelegationReport {
    let challenge_name = name(CHALLENGE_NAME);
    let expectation = Expectation {
        identifiers: &[ZONE.parse().unwrap()],
        alias_name: None,
        alias_zones: &BTreeSet::from([name(ZONE)]),
        any_zone: false,
    };
    let check = DelegationCheck::new(&challenge_name, expectation);
    checker.check(&check).await
}

#[tokio::test]
async fn names_are_queried_at_each_check_and_zones_when_their_report_has_expired() {
    let server = StubServer::start();
    let checker = checker(&server);
    let report = check(&checker).await;
    assert_eq!(report.findings, []);
    assert_eq!(report.chain.last(), &name(ALIAS_NAME));
    let counts = || [RecordType::TXT, RecordType::SOA].map(|kind| server.count(kind));
    let [txt, soa] = counts();
    check(&checker).await;
    assert_eq!(counts(), [2 * txt, soa]);
    // Nothing could be validated here, which is a problem that is looked at again soon.
    pass(Duration::from_secs(31)).await;
    check(&checker).await;
    assert_eq!(counts()[0], 3 * txt);
    assert!(counts()[1] > soa, "{:?}", counts());
}

#[tokio::test]
async fn a_zone_that_was_not_found_is_looked_for_at_the_next_check() {
    let server = StubServer::start();
    let checker = checker(&server);
    server.fail(Some(RecordType::SOA));
    let report = check(&checker).await;
    let kinds: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
    assert!(kinds.contains(&FindingKind::NoSoa), "{kinds:?}");
    assert!(report.source.is_none());
    server.fail(None);
    assert!(check(&checker).await.source.is_some());
    // The report that its server does not serve the zone is kept for a moment.
    pass(Duration::from_secs(31)).await;
    assert_eq!(check(&checker).await.findings, []);
}
