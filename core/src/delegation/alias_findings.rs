//! What is wrong with an alias name: who can write there, and which values exist there.

use std::collections::BTreeMap;

use super::chain::{CnameChain, End};
use super::expectation::{DelegationCheck, Expectation};
use super::finding::{Finding, FindingKind};
use super::report::DelegationReport;
use super::zone_report::ZoneReport;
use crate::dns::DnsError;
use crate::name::DnsName;

/// The payload that crosses every path in one UDP datagram (DNS flag day 2020), without the rest of an answer.
const UDP_PAYLOAD: usize = 1232 - 100;
/// A TXT record without its value: a pointer to the name, the fixed fields, a length.
const RECORD_OVERHEAD: usize = 13;
/// The answer to a challenge: SHA-256 in base64url (RFC 8555 §8.4).
const CHALLENGE_OCTETS: usize = 43;

/// Whether the zone of the alias name is the one that is configured.
pub(super) fn cut(
    expectation: &Expectation<'_>,
    name: &DnsName,
    zone: &DnsName,
) -> Option<Finding> {
    let configured = expectation.alias_zone_of(name)?;
    (*zone != configured).then(|| {
        expectation.error(
            FindingKind::ZoneCut,
            name,
            format!(
                "the name is in the zone {zone}, but {configured} is configured as its alias zone"
            ),
            if configured.is_within(zone) {
                format!(
                    "configure {zone} as the alias zone instead, or delegate {configured} as a zone of its own"
                )
            } else {
                format!("configure {zone} as an alias zone")
            },
        )
    })
}

/// The values that exist at the alias name.
pub(super) fn values(expectation: &Expectation<'_>, chain: &CnameChain) -> Vec<Finding> {
    let End::At { txt, .. } = &chain.end else {
        return Vec::new();
    };
    let last = chain.last();
    let stale = txt.ours.iter().map(|text| {
        expectation.warning(
            FindingKind::StaleValue,
            last,
            format!("a TXT value of ours exists: \"{text}\""),
            "if no run is under way, one was killed: the next run removes its values",
        )
    });
    let foreign = txt.foreign.findings(expectation.identifiers, last);
    stale.chain(foreign).collect()
}

/// Whether the CNAMEs lead into an unregistered domain, or into the zone of somebody else: anyone who can write
/// there can obtain certificates. `zone` is the one that holds the alias name, if it is known.
pub(super) fn dangling(
    expectation: &Expectation<'_>,
    chain: &CnameChain,
    zone: Option<&DnsName>,
) -> Option<Finding> {
    let last = chain.last();
    if chain.hops.is_empty() || expectation.is_in_alias_zone(last) {
        return None;
    }
    let unregistered = || {
        expectation.error(
            FindingKind::Dangling,
            last,
            "this domain is not registered: anyone who registers it can obtain certificates",
            "remove the CNAME at once, or register the domain",
        )
    };
    match (&chain.end, zone) {
        (End::Unanswered(DnsError::NoZone { .. }), _) => Some(unregistered()),
        // A zone of one label is a registry's.
        (End::At { exists: false, .. }, Some(zone)) if zone.labels().count() == 1 => {
            Some(unregistered())
        }
        // If any zone will do, the provider that is configured for it writes there.
        (End::At { exists, .. }, Some(zone)) if !expectation.any_zone => {
            let free = free_below(zone, last).filter(|_| !*exists);
            let free = free.map(|domain| {
                format!("; {domain} does not exist, and may be free if {zone} is a registry")
            });
            Some(expectation.error(
                FindingKind::Dangling,
                last,
                format!(
                    "anyone who can write to the zone {zone} can obtain certificates for these names{}",
                    free.unwrap_or_default()
                ),
                "remove the CNAME unless the zone is yours",
            ))
        }
        _ => None,
    }
}

/// The name directly below `zone` on the way to `name`, if it is one that a registry could sell.
fn free_below(zone: &DnsName, name: &DnsName) -> Option<DnsName> {
    let domain = name
        .ancestors()
        .find(|ancestor| ancestor.parent().as_ref() == Some(zone))?;
    (!domain.as_str().starts_with('_')).then_some(domain)
}

/// Adds a finding for each alias name at which the values that exist, with those that one certificate adds, do
/// not fit into one UDP answer.
pub(super) fn add_large_answers(checks: &[DelegationCheck<'_>], reports: &mut [DelegationReport]) {
    let mut sizes: BTreeMap<(Option<&str>, DnsName), usize> = BTreeMap::new();
    for (check, report) in checks.iter().zip(reports.iter()) {
        if let Some(name) = report.alias_name() {
            let existing = || octets(&report.chain.end, report.alias.as_deref());
            let together = (check.certificate, name.clone());
            let values = check.expectation.identifiers.len();
            *sizes.entry(together).or_insert_with(existing) +=
                values * (CHALLENGE_OCTETS + RECORD_OVERHEAD);
        }
    }
    for (check, report) in checks.iter().zip(reports) {
        let Some(name) = report.alias_name().cloned() else {
            continue;
        };
        let together = (check.certificate, name);
        let octets = sizes.get(&together).copied().unwrap_or_default();
        if octets > UDP_PAYLOAD {
            report.add(check.expectation.warning(
                FindingKind::LargeAnswer,
                &together.1,
                format!(
                    "the TXT values, with those that a certificate adds, take {octets} octets and do not fit \
                     into one UDP answer"
                ),
                "check that its servers answer over TCP; remove values that nobody needs, or give domains \
                 alias names of their own",
            ));
        }
    }
}

/// How many octets of an answer the values at the alias name take, with their signatures.
fn octets(end: &End, zone: Option<&ZoneReport>) -> usize {
    let values = match end {
        End::At { txt, .. } => txt.octets + txt.count * RECORD_OVERHEAD,
        _ => 0,
    };
    values + zone.map_or(0, |zone| zone.signature_octets)
}
