//! A finding, as text for people, and which ones are the same.

use std::collections::{BTreeSet, HashMap};

use acme_alias_core::delegation::{Finding, FindingKind, Severity};
use acme_alias_core::name::DnsName;

use super::remedy;

/// Domains that are named; the others are counted.
const DOMAINS_SHOWN: usize = 20;

/// What tells a finding from others: the same may be found for several names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cause {
    kind: FindingKind,
    name: DnsName,
    answer: String,
    /// Certificates may want different records at one name.
    record: Option<String>,
}

impl Cause {
    pub(crate) fn of(finding: &Finding) -> Self {
        Cause {
            kind: finding.kind,
            name: finding.name.clone(),
            answer: finding.answer.clone(),
            record: finding.record.clone(),
        }
    }
}

/// The findings without repetition, each with all its domains, and each of these once.
pub(super) fn merged<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<Finding> {
    let mut merged: Vec<(Finding, BTreeSet<_>)> = Vec::new();
    let mut places = HashMap::new();
    for finding in findings {
        let place = *places.entry(Cause::of(finding)).or_insert(merged.len());
        if place == merged.len() {
            merged.push((finding.clone(), BTreeSet::new()));
            merged[place].0.domains.clear();
        }
        let (known, domains) = &mut merged[place];
        let new = finding
            .domains
            .iter()
            .filter(|domain| domains.insert(*domain));
        known.domains.extend(new.cloned());
    }
    merged.into_iter().map(|(finding, _)| finding).collect()
}

pub(super) fn of_finding(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let domains = finding.domains.iter().take(DOMAINS_SHOWN);
    let mut domains: Vec<_> = domains.map(ToString::to_string).collect();
    if finding.domains.len() > DOMAINS_SHOWN {
        domains.push(format!("{} more", finding.domains.len() - DOMAINS_SHOWN));
    }
    let mut text = format!("{severity}: {}\n", domains.join(", "));
    text.push_str(&format!("  {}: {}\n", finding.name.fqdn(), finding.answer));
    if let Some(server) = &finding.server {
        text.push_str(&format!("  asked: {server}\n"));
    }
    text.push_str(&format!("  help: {}\n", remedy::of_finding(finding)));
    if let Some(record) = &finding.record {
        text.push_str(&format!("\n      {record}\n"));
    }
    text
}
