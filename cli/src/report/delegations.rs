//! The result of a check of all delegations.

use acme_alias_core::delegation::{Finding, Severity};
use jiff::Timestamp;

use crate::output::Checked;

/// Findings that are kept, those of the same cause as one; the challenge names are all counted.
const FINDINGS_MAX: usize = 100;

/// The result of a check of all delegations.
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
    /// The result of a check that begins now.
    pub(crate) fn new(at: Timestamp) -> Self {
        Delegations {
            at,
            good: 0,
            warnings: 0,
            errors: 0,
            findings: Vec::new(),
        }
    }

    /// Adds the result of a part.
    pub(crate) fn add(&mut self, checked: &Checked) {
        self.good += checked.count(None);
        self.warnings += checked.count(Some(Severity::Warning));
        self.errors += checked.count(Some(Severity::Error));
        let findings = std::mem::take(&mut self.findings).into_iter();
        self.findings = Finding::merged(findings.chain(checked.findings().cloned()));
        self.findings
            .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        self.findings.truncate(FINDINGS_MAX);
    }
}
