//! The result of a check.

use std::cmp::Reverse;
use std::sync::Arc;

use super::chain::{CnameChain, End};
use super::finding::{Finding, FindingKind, Severity};
use super::zone_report::ZoneReport;
use crate::name::DnsName;

/// Everything that was found about one challenge name. Reports of names in one zone share the report of the
/// zone.
#[derive(Clone, Debug)]
pub struct DelegationReport {
    /// The CNAMEs to the alias name.
    pub chain: CnameChain,
    /// The zone that holds the challenge name.
    pub source: Option<Arc<ZoneReport>>,
    /// Other zones that the CNAMEs lead through.
    pub between: Vec<Arc<ZoneReport>>,
    /// The zone that holds the alias name.
    pub alias: Option<Arc<ZoneReport>>,
    /// All findings, worst first.
    pub findings: Vec<Finding>,
}

impl DelegationReport {
    /// Whether a challenge would fail.
    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    /// The name at which TXT records would be found, if the CNAMEs lead to one.
    pub fn alias_name(&self) -> Option<&DnsName> {
        has_alias(&self.chain, &self.findings).then(|| self.chain.last())
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
        sort(&mut self.findings);
    }
}

/// Whether the CNAMEs lead to an alias name.
pub(super) fn has_alias(chain: &CnameChain, findings: &[Finding]) -> bool {
    let is_nowhere = |finding: &Finding| {
        matches!(
            finding.kind,
            FindingKind::MissingCname | FindingKind::MissingDot
        )
    };
    matches!(chain.end, End::At { .. }) && !findings.iter().any(is_nowhere)
}

/// Sorts findings, worst first.
pub(super) fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| Reverse(finding.severity));
}
