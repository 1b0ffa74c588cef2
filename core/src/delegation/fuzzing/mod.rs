//! The check of delegations on a network that follows a script, for `crate::fuzzing`.

#![expect(clippy::expect_used, reason = "a broken promise must panic")]

mod network;
mod script;
mod world;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use tokio::time::{Instant, sleep};

use self::network::ScriptedNetwork;
use self::script::{Options, Script};
use self::world::RESOLVER;
use super::caa_identity::CaaIdentity;
use super::chain::End;
use super::checker::DelegationChecker;
use super::expectation::{DelegationCheck, Expectation};
use super::own_values::OwnValues;
use super::report::DelegationReport;
use crate::dns::scripted::within;
use crate::dns::{Config, Dns};
use crate::name::{DnsName, Identifier};

/// Queries that a budget has in one of two cases.
const SMALL_BUDGET: u32 = 20;
/// The time limit of one check (`NameLimits`), and a little for the last steps of the runtime.
const TIME_MAX: Duration = Duration::from_millis(30_100);
/// Messages of one budget beyond its queries: of 16 queries that are under way when it is used up, each may be
/// sent two times more, and once over TCP.
const MESSAGES_BEYOND: usize = 16 * 3;
/// Zones of one name have limits of their own, and so have searches that are charged to nobody. There are never
/// more than these queries for all of them.
const QUERIES_MAX: usize = 2_000;

/// Checks delegations on the network that `data` describes. Returns all that is shown of the reports.
pub(crate) async fn walk(data: &[u8]) -> Vec<String> {
    let script = Script::arbitrary(&mut Unstructured::new(data));
    let script = script.expect("a script from any octets");
    let options = script.options;
    let network = Arc::new(ScriptedNetwork::new(script));
    let shown = within(network.clone(), check(options)).await;
    let seen = network.seen();
    assert!(seen.violations.is_empty(), "{:?}", seen.violations);
    let limit = budget(options) as usize;
    let mut queries = 0;
    for (payer, traffic) in &seen.traffic {
        queries += traffic.queries;
        if payer.is_some() {
            assert!(traffic.queries <= limit, "{traffic:?}");
            assert!(traffic.messages <= limit + MESSAGES_BEYOND, "{traffic:?}");
        }
    }
    assert!(queries <= QUERIES_MAX, "{queries} queries");
    shown
}

fn budget(options: Options) -> u32 {
    if options.small_budget {
        SMALL_BUDGET
    } else {
        Config::default().queries_per_name
    }
}

async fn check(options: Options) -> Vec<String> {
    let dns = Dns::new(Config {
        resolvers: vec![SocketAddr::new(RESOLVER, 53)],
        queries_per_name: budget(options),
        allow_private_addresses: options.allow_private,
        ..Config::default()
    });
    let checker = DelegationChecker::new(Arc::new(dns));
    let mut shown = Vec::new();
    for _ in 0..=u8::from(options.second_check) {
        let begun = Instant::now();
        let reports = reports(&checker, options).await;
        assert!(begun.elapsed() <= TIME_MAX, "{:?}", begun.elapsed());
        shown.extend(reports.iter().flat_map(texts));
        // What is kept for the shortest time has expired.
        sleep(Duration::from_secs(6)).await;
    }
    shown
}

async fn reports(checker: &DelegationChecker, options: Options) -> Vec<DelegationReport> {
    let identifiers = ["example.com", "www.example.com"].map(|name| {
        let identifier: Identifier = name.parse().expect("a name");
        [identifier]
    });
    let alias_name: DnsName = "a.alias.test".parse().expect("a name");
    let alias_zones = BTreeSet::from(["alias.test".parse().expect("a name")]);
    let caa = CaaIdentity {
        issuer: "ca.example".to_owned(),
        others: Vec::new(),
        account: Some("https://ca.example/account/1".to_owned()),
    };
    let own_values = OwnValues::default();
    let checks = identifiers.iter().map(|identifiers| {
        let expectation = Expectation {
            identifiers,
            alias_name: options.with_alias_name.then_some(&alias_name),
            alias_zones: &alias_zones,
            any_zone: options.any_zone,
        };
        DelegationCheck {
            caa: options.with_caa.then_some(&caa),
            own_values: options.with_values.then_some(&own_values),
            ..DelegationCheck::new(identifiers[0].challenge_name(), expectation)
        }
    });
    let checks: Vec<_> = checks.take(1 + usize::from(options.second_name)).collect();
    checker.check_all(&checks).await
}

/// Everything that is shown of a report.
fn texts(report: &DelegationReport) -> Vec<String> {
    let findings = report.findings.iter().flat_map(|finding| {
        let names = [finding.name.to_string(), finding.answer.clone()];
        let server = finding.server.clone().into_iter();
        names
            .into_iter()
            .chain(server)
            .chain([finding.remedy.clone()])
    });
    let end = match &report.chain.end {
        End::At { answer, .. } => Some(answer.clone()),
        End::BadTarget(target) => Some(target.clone()),
        End::Unanswered(error) => Some(error.to_string()),
        End::Loop(_) | End::TooLong => None,
    };
    findings.chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn without_rules_nothing_is_wrong() {
        let end = "the name exists, without TXT records (NODATA)";
        assert_eq!(walk(&[0]).await, [end]);
    }
}
