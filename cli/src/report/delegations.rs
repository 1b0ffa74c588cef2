//! How the delegations of all certificates were when they were looked at.

use acme_alias_core::delegation::{Finding, Severity};
use jiff::Timestamp;

use crate::output::Checked;

/// Findings that are kept; the challenge names are all counted.
const FINDINGS_MAX: usize = 100;

/// How the delegations of all certificates were at one time.
#[derive(Clone, Debug)]
pub(crate) struct Delegations {
    pub(crate) at: Timestamp,
    /// Challenge names without a finding.
    pub(crate) good: usize,
    /// Those whose worst finding is a warning.
    pub(crate) warnings: usize,
    /// Those whose certificates would fail.
    pub(crate) errors: usize,
    /// What was found, errors first, the same of several names once.
    pub(crate) findings: Vec<Finding>,
}

impl Delegations {
    pub(crate) fn new(at: Timestamp, checked: &Checked) -> Self {
        let mut findings = Finding::merged(checked.findings().cloned());
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings.truncate(FINDINGS_MAX);
        Delegations {
            at,
            good: checked.count(None),
            warnings: checked.count(Some(Severity::Warning)),
            errors: checked.count(Some(Severity::Error)),
            findings,
        }
    }
}
