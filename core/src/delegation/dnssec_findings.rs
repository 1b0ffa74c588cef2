//! Records that a validating resolver, as every CA has one, refuses.

use futures_util::future::join_all;
use hickory_proto::rr::RecordType;

use super::chain::Hop;
use super::expectation::Expectation;
use super::finding::{Finding, FindingKind};
use super::zone_report::ZoneReport;
use crate::dnssec::{Security, Validator};
use crate::name::DnsName;

/// Findings about the zones, and about the CNAME records of `hops`, each with its zone.
///
/// A CNAME is validated if its zone is secure. What is wrong with a zone is wrong with every name in it, and
/// nothing can be wrong with a name in a zone that is not signed.
pub(super) async fn findings<'a>(
    validator: &Validator,
    expectation: &Expectation<'_>,
    zones: impl Iterator<Item = &'a ZoneReport>,
    hops: impl Iterator<Item = (&'a Hop, Option<&'a ZoneReport>)>,
) -> Vec<Finding> {
    let hops = hops.filter(|(_, zone)| zone.is_none_or(|zone| zone.dnssec == Security::Secure));
    let verdicts = hops.map(|(hop, _)| async move {
        // A CNAME that a DNAME makes has no signature of its own (RFC 6672 §5.3.1).
        let (name, kind) = match &hop.dname {
            Some(owner) => (owner, RecordType::DNAME),
            None => (&hop.name, RecordType::CNAME),
        };
        (name, validator.verdict(name, kind).await)
    });
    let hops = join_all(verdicts).await;
    let zones = zones.map(|zone| (&zone.zone, &zone.dnssec));
    let mut findings: Vec<Finding> = Vec::new();
    for (name, verdict) in zones.chain(hops.iter().map(|(name, verdict)| (*name, verdict))) {
        let Security::Bogus(reason) = verdict else {
            continue;
        };
        let finding = bogus(expectation, name, reason);
        if findings.iter().all(|known| known.answer != finding.answer) {
            findings.push(finding);
        }
    }
    findings
}

fn bogus(expectation: &Expectation<'_>, name: &DnsName, reason: &str) -> Finding {
    expectation.error(
        FindingKind::Bogus,
        name,
        format!("DNSSEC is broken: {reason}"),
        "repair it, since no CA accepts such an answer: sign the zone again, correct the DS record in the \
         zone above, or make the servers answer DNSKEY queries, over TCP as well",
    )
}
