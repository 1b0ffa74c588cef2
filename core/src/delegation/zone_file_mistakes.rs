//! Mistakes that people make in zone files.

use futures_util::future::join_all;
use hickory_proto::rr::RecordType;

use super::chain::{CnameChain, Hop};
use super::expectation::Expectation;
use super::finding::{Finding, FindingKind};
use crate::dns::Dns;
use crate::name::DnsName;

/// What people write in place of the label `_acme-challenge`.
const MISSPELT: [&str; 7] = [
    "acme-challenge",
    "_acme-challange",
    "_acme-chalenge",
    "_acme-challlenge",
    "_acme-challenges",
    "_acme_challenge",
    "_acmechallenge",
];

/// A target without its final dot: the name of the zone was appended to it (RFC 1035 §5.1).
#[derive(Debug)]
pub(super) struct MissingDot<'a> {
    hop: &'a Hop,
    /// The target that was meant.
    meant: DnsName,
}

impl<'a> MissingDot<'a> {
    /// The first on the way, if what was meant is where the CNAME should lead.
    pub(super) fn find(chain: &'a CnameChain, expectation: &Expectation<'_>) -> Option<Self> {
        let is_wanted = |name: &DnsName| {
            expectation.alias_name == Some(name) || expectation.is_in_alias_zone(name)
        };
        chain.hops.iter().find_map(|hop| {
            let meant = (!is_wanted(&hop.target))
                .then(|| without_origin(hop).find(is_wanted))
                .flatten()?;
            Some(MissingDot { hop, meant })
        })
    }

    pub(super) fn finding(&self, expectation: &Expectation<'_>) -> Finding {
        let MissingDot { hop, meant } = self;
        let finding = expectation.error(
            FindingKind::MissingDot,
            &hop.name,
            format!(
                "its CNAME points to {}: the final dot is missing in the zone file, so the name of the zone was \
                 appended",
                hop.target.fqdn()
            ),
            "replace the CNAME with this record",
        );
        let target = expectation.alias_name.unwrap_or(meant);
        finding
            .asked(Some(&hop.server))
            .with_record(&hop.name, target)
    }
}

/// What the target of a CNAME was before the name of a zone that contains its owner was appended.
fn without_origin(hop: &Hop) -> impl Iterator<Item = DnsName> {
    let origins = hop.name.ancestors().skip(1);
    origins.filter_map(|origin| {
        let rest = hop.target.as_str().strip_suffix(origin.as_str())?;
        rest.strip_suffix('.')?.parse().ok()
    })
}

/// Where a CNAME is that was probably meant for this challenge name: under a misspelt label, or with the name of the
/// zone twice because its final dot is missing. Only for a name at which there is no CNAME.
pub(super) async fn near_miss(
    dns: &Dns,
    challenge_name: &DnsName,
    zone: Option<&DnsName>,
) -> Option<DnsName> {
    let base = challenge_name.parent()?;
    let misspelt = MISSPELT.iter().map(|label| base.child(label).ok());
    let doubled = zone.map(|zone| format!("{challenge_name}.{zone}").parse().ok());
    let candidates = misspelt.chain(doubled).flatten();
    let found = candidates.map(async |name| {
        let answer = dns.ask(&name, RecordType::CNAME).await.ok()?;
        answer.cname().map(|_| name)
    });
    join_all(found).await.into_iter().flatten().next()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::delegation::chain::End;

    fn name(text: &str) -> DnsName {
        text.parse().unwrap()
    }

    fn found(target: &str, alias_name: Option<&str>) -> Option<Finding> {
        let challenge_name = name("_acme-challenge.www.example.com");
        let chain = CnameChain {
            hops: vec![Hop {
                name: challenge_name.clone(),
                target: name(target),
                ttl: 600,
                server: "192.0.2.1:53".into(),
                wildcard: None,
                dname: None,
                txt_beside: false,
            }],
            challenge_name,
            end: End::TooLong,
        };
        let alias_name = alias_name.map(name);
        let expectation = Expectation {
            identifiers: &["www.example.com".parse().unwrap()],
            alias_name: alias_name.as_ref(),
            alias_zones: &BTreeSet::from([name("auth.example.net")]),
            any_zone: false,
        };
        Some(MissingDot::find(&chain, &expectation)?.finding(&expectation))
    }

    #[test]
    fn a_target_without_its_final_dot_is_recognised_whatever_the_zone_is() {
        for zone in ["example.com", "www.example.com", "com"] {
            let target = format!("x.auth.example.net.{zone}");
            let finding = found(&target, None).unwrap();
            assert!(finding.answer.contains("the final dot is missing"));
            let record = "_acme-challenge.www.example.com. 600 IN CNAME x.auth.example.net.";
            assert_eq!(finding.record.as_deref(), Some(record));
        }
        let other = found("y.auth.example.net.example.com", Some("x.auth.example.net"));
        assert!(
            other
                .unwrap()
                .record
                .unwrap()
                .ends_with("CNAME x.auth.example.net.")
        );
    }

    #[test]
    fn other_targets_are_not_mistaken_for_it() {
        for target in [
            "x.auth.example.net",
            "x.auth.example.net.example.org",
            "x.elsewhere.example.net.example.com",
            "auth.example.com",
        ] {
            assert!(found(target, None).is_none(), "{target}");
        }
    }
}
