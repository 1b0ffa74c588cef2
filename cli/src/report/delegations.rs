//! The result of a check of all delegations.

use std::collections::HashMap;

use acme_alias_core::delegation::{Finding, Severity};
use acme_alias_core::store::CertificateId;
use jiff::Timestamp;

use crate::output::{Checked, CheckedName};

/// Findings that are kept, those of the same cause as one; the challenge names are all counted.
const FINDINGS_MAX: usize = 1_000;
/// The same of each certificate, as many errors and as many warnings: one with a hundred names leaves room for others.
const FINDINGS_OF_EACH_MAX: usize = 10;

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

/// A check of all delegations that is under way.
#[derive(Debug)]
pub(crate) struct DelegationsSoFar {
    found: Delegations,
    /// How many findings there were of each certificate.
    of_each: HashMap<CertificateId, OfOne>,
}

/// How many findings a certificate has.
#[derive(Clone, Copy, Debug, Default)]
struct OfOne {
    warnings: usize,
    errors: usize,
}

impl OfOne {
    /// Counts one more. Returns whether there is room for it.
    fn add(&mut self, severity: Severity) -> bool {
        let count = match severity {
            Severity::Warning => &mut self.warnings,
            Severity::Error => &mut self.errors,
        };
        *count += 1;
        *count <= FINDINGS_OF_EACH_MAX
    }
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
}

impl DelegationsSoFar {
    /// A check that begins now.
    pub(crate) fn new(at: Timestamp) -> Self {
        DelegationsSoFar {
            found: Delegations::new(at),
            of_each: HashMap::new(),
        }
    }

    /// Adds the result of a part.
    pub(crate) fn add(&mut self, checked: &Checked) {
        self.found.good += checked.count(None);
        self.found.warnings += checked.count(Some(Severity::Warning));
        self.found.errors += checked.count(Some(Severity::Error));
        let mut findings = std::mem::take(&mut self.found.findings);
        for name in &checked.names {
            let new = name.report.findings.iter();
            findings.extend(new.filter(|one| self.has_room(name, one)).cloned());
        }
        let mut findings = Finding::merged(findings);
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings.truncate(FINDINGS_MAX);
        self.found.findings = findings;
    }

    /// The result, when all parts were added.
    pub(crate) fn ended(self) -> Delegations {
        self.found
    }

    /// Whether one of the certificates with this name has room for a finding.
    fn has_room(&mut self, name: &CheckedName, finding: &Finding) -> bool {
        let mut has_room = name.certificates.is_empty();
        for id in &name.certificates {
            let of_one = self.of_each.entry(id.clone()).or_default();
            has_room |= of_one.add(finding.severity);
        }
        has_room
    }
}
