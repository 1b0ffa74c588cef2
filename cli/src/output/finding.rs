//! A finding, as text for people.

use acme_alias_core::delegation::{Finding, Severity};

use super::remedy;

/// Domains that are named; the others are counted.
const DOMAINS_SHOWN: usize = 20;

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
