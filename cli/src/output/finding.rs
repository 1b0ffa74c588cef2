//! A finding, as text for people.

use acme_alias_core::delegation::{Finding, Severity};

use super::remedy;

pub(super) fn of_finding(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let domains: Vec<_> = finding.domains.iter().map(ToString::to_string).collect();
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
