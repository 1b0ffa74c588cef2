//! The alias name: whose it is, and what stands there.

use std::collections::BTreeMap;

use super::{Asked, CnameChain, DelegationReport, End, Finding, FindingKind, Question, ZoneState};
use crate::dns::DnsError;
use crate::name::DnsName;
use crate::txt::TxtValue;

/// The payload that crosses every path in one UDP datagram (DNS flag day 2020), and what the rest of an
/// answer takes of it.
const UDP_PAYLOAD: usize = 1232 - 100;
/// A TXT record beside its value: a pointer to the name, the fixed fields, a length.
const RECORD_OVERHEAD: usize = 13;
/// The answer to a challenge: SHA-256 in base64url (RFC 8555 §8.4).
const CHALLENGE_OCTETS: usize = 43;

/// Whether the zone of the alias name is the one that the settings have.
pub(super) fn cut(question: &Question<'_>, name: &DnsName, zone: &DnsName) -> Option<Finding> {
    let zones = question.alias_zones.iter();
    let configured = zones
        .filter(|zone| name.is_within(zone))
        .max_by_key(|zone| zone.labels().count())?;
    (zone != configured).then(|| {
        question.error(
            FindingKind::ZoneCut,
            name,
            format!(
                "the name lies in the zone {zone}, and the settings have {configured} as its alias zone"
            ),
            format!(
                "delegate {configured} as a zone of its own, or correct `zone` under `[[alias-zones]]`"
            ),
        )
    })
}

/// What stands at the alias name already. `ours` may be there by our doing.
pub(super) fn values(
    question: &Question<'_>,
    walk: &CnameChain,
    ours: &[(DnsName, TxtValue)],
) -> Vec<Finding> {
    let End::At { txt, .. } = &walk.end else {
        return Vec::new();
    };
    let last = walk.last();
    let is_ours = |text: &String| {
        ours.iter()
            .any(|(name, value)| name == last && value.as_str() == text)
    };
    let finding = |text| {
        if is_ours(text) {
            question.warning(
                FindingKind::StaleValue,
                last,
                format!("a TXT value of ours is there: \"{text}\""),
                "a run is under way, or one was killed: `acme-alias ledger reconcile` removes what dead \
                 runs left",
            )
        } else {
            Finding::foreign_value(question.identifiers.to_vec(), last, text)
        }
    };
    txt.iter().map(finding).collect()
}

/// Whether the CNAMEs lead into nobody's zone, or somebody else's: whoever can write there can obtain
/// certificates. `zone` is the one that holds the alias name, where that is known.
pub(super) fn dangling(
    question: &Question<'_>,
    walk: &CnameChain,
    zone: Option<&DnsName>,
) -> Option<Finding> {
    let last = walk.last();
    if walk.hops.is_empty() || question.is_in_alias_zone(last) {
        return None;
    }
    let nobody = || {
        question.error(
            FindingKind::Dangling,
            last,
            "nobody has this domain: whoever registers it can obtain certificates",
            "remove the CNAME at once, or register the domain",
        )
    };
    match (&walk.end, zone) {
        (End::Unanswered(DnsError::NoZone { .. }), _) => Some(nobody()),
        // A zone of one label is a registry's.
        (End::At { exists: false, .. }, Some(zone)) if zone.labels().count() == 1 => Some(nobody()),
        // Where any zone will do, the provider that was named for it writes there.
        (End::At { exists, .. }, Some(zone)) if !question.any_zone => {
            let free = free_below(zone, last).filter(|_| !*exists);
            let free = free.map(|domain| {
                format!("; {domain} is not there, and if {zone} is a registry, it is free")
            });
            Some(question.error(
                FindingKind::Dangling,
                last,
                format!(
                    "whoever writes in the zone {zone} can obtain certificates for these names{}",
                    free.unwrap_or_default()
                ),
                "remove the CNAME if that is not you",
            ))
        }
        _ => None,
    }
}

/// The name directly below `zone` on the way to `name`, where it is one that a registry could sell.
fn free_below(zone: &DnsName, name: &DnsName) -> Option<DnsName> {
    let domain = name
        .ancestors()
        .find(|ancestor| ancestor.parent().as_ref() == Some(zone))?;
    (!domain.as_str().starts_with('_')).then_some(domain)
}

/// Tells of each alias name at which what is there, with what one certificate adds, would not fit into one UDP
/// answer.
pub(super) fn crowds(asked: &[Asked<'_>], examinations: &mut [DelegationReport]) {
    let mut sizes: BTreeMap<(Option<&str>, DnsName), usize> = BTreeMap::new();
    for (asked, examination) in asked.iter().zip(examinations.iter()) {
        if let Some(name) = examination.alias_name() {
            let there = || octets(&examination.walk.end, examination.alias.as_ref());
            let together = (asked.certificate, name.clone());
            let values = asked.question.identifiers.len();
            *sizes.entry(together).or_insert_with(there) +=
                values * (CHALLENGE_OCTETS + RECORD_OVERHEAD);
        }
    }
    for (asked, examination) in asked.iter().zip(examinations) {
        let Some(name) = examination.alias_name().cloned() else {
            continue;
        };
        let together = (asked.certificate, name);
        let octets = sizes.get(&together).copied().unwrap_or_default();
        if octets > UDP_PAYLOAD {
            examination.add(asked.question.warning(
                FindingKind::LargeAnswer,
                &together.1,
                format!(
                    "the TXT values there, with those that a certificate adds, make {octets} octets, which \
                     do not fit into one UDP answer"
                ),
                "see that its servers answer over TCP; remove what nobody needs, or give domains alias \
                 names of their own (`acme-alias delegate --unique`)",
            ));
        }
    }
}

/// How much of an answer is taken by what stands at the alias name, with its signatures.
fn octets(end: &End, zone: Option<&ZoneState>) -> usize {
    let texts = match end {
        End::At { txt, .. } => txt.as_slice(),
        _ => &[],
    };
    let values = texts.iter().map(|text| text.len() + RECORD_OVERHEAD);
    values.sum::<usize>() + zone.map_or(0, |zone| zone.signature_octets)
}
