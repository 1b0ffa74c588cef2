//! The result of a check of all delegations.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use acme_alias_core::delegation::{Cause, Finding, Severity};
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
    /// What was found, errors first, the same of several names once. The first finding of each certificate comes before
    /// the second one of any.
    pub(crate) findings: Vec<FoundFor>,
    /// Findings that are not kept.
    pub(crate) left_out: usize,
}

/// A finding, and whom it concerns.
#[derive(Clone, Debug)]
pub(crate) struct FoundFor {
    pub(crate) finding: Finding,
    /// The certificates that have one of its names and expect the same of it.
    pub(crate) certificates: BTreeSet<CertificateId>,
}

/// A check of all delegations that is under way.
#[derive(Debug)]
pub(crate) struct DelegationsSoFar {
    found: Delegations,
    /// The certificates that were obtained at some time.
    obtained: HashSet<CertificateId>,
    /// How many findings there were of each certificate.
    of_each: HashMap<CertificateId, OfOne>,
    kept: Vec<Kept>,
}

/// A finding that is kept.
#[derive(Debug)]
struct Kept {
    rank: Rank,
    found: FoundFor,
}

/// Which findings are kept if there are too many: the first ones in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    severity: Reverse<Severity>,
    /// How many findings its certificate has with it.
    place: usize,
    /// No service uses such a certificate.
    is_never_obtained: bool,
}

/// How many findings a certificate has.
#[derive(Clone, Copy, Debug, Default)]
struct OfOne {
    warnings: usize,
    errors: usize,
}

impl OfOne {
    fn count(&mut self, severity: Severity) -> &mut usize {
        match severity {
            Severity::Warning => &mut self.warnings,
            Severity::Error => &mut self.errors,
        }
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
            left_out: 0,
        }
    }
}

impl DelegationsSoFar {
    /// A check that begins now. `obtained` are the certificates that exist.
    pub(crate) fn new(at: Timestamp, obtained: HashSet<CertificateId>) -> Self {
        DelegationsSoFar {
            found: Delegations::new(at),
            obtained,
            of_each: HashMap::new(),
            kept: Vec::new(),
        }
    }

    /// Adds the result of a part.
    pub(crate) fn add(&mut self, checked: &Checked) {
        self.found.good += checked.count(None);
        self.found.warnings += checked.count(Some(Severity::Warning));
        self.found.errors += checked.count(Some(Severity::Error));
        let kept = self.kept.iter().enumerate();
        let mut places: HashMap<_, _> = kept
            .map(|(at, kept)| (Cause::of(&kept.found.finding), at))
            .collect();
        for name in &checked.names {
            for finding in &name.report.findings {
                let Some(rank) = self.rank(name, finding) else {
                    continue;
                };
                let cause = Cause::of(finding);
                let known = places.get(&cause).copied();
                if let Some(known) = known.and_then(|place| self.kept.get_mut(place)) {
                    known.add(rank, name, finding);
                    continue;
                }
                for id in &name.certificates {
                    let of_one = self.of_each.entry(id.clone()).or_default();
                    *of_one.count(finding.severity) += 1;
                }
                if rank.place > FINDINGS_OF_EACH_MAX {
                    self.found.left_out += 1;
                    continue;
                }
                places.insert(cause, self.kept.len());
                self.kept.push(Kept::new(rank, name, finding));
            }
        }
        self.kept.sort_by_key(|kept| kept.rank);
        self.found.left_out += self.kept.len().saturating_sub(FINDINGS_MAX);
        self.kept.truncate(FINDINGS_MAX);
    }

    /// The result, when all parts were added.
    pub(crate) fn ended(self) -> Delegations {
        let mut found = self.found;
        let kept = self.kept.into_iter().map(|kept| kept.found);
        found.findings.extend(kept);
        found
    }

    /// The rank of a finding, for the certificate with this name that has the fewest others; none if there is no certificate.
    fn rank(&self, name: &CheckedName, finding: &Finding) -> Option<Rank> {
        let ranks = name.certificates.iter().map(|id| {
            let mut of_one = self.of_each.get(id).copied().unwrap_or_default();
            Rank {
                severity: Reverse(finding.severity),
                place: *of_one.count(finding.severity) + 1,
                is_never_obtained: !self.obtained.contains(id),
            }
        });
        ranks.min()
    }
}

impl Kept {
    fn new(rank: Rank, name: &CheckedName, finding: &Finding) -> Self {
        Kept {
            rank,
            found: FoundFor {
                finding: finding.clone(),
                certificates: name.certificates.iter().cloned().collect(),
            },
        }
    }

    /// The same was found for another name.
    fn add(&mut self, rank: Rank, name: &CheckedName, finding: &Finding) {
        self.rank = self.rank.min(rank);
        let found = &mut self.found;
        found
            .finding
            .domains
            .extend(finding.domains.iter().cloned());
        found.certificates.extend(name.certificates.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use acme_alias_core::delegation::{CnameChain, DelegationReport, End, FindingKind};
    use acme_alias_core::name::{DnsName, Identifier};

    use super::super::sample::now;
    use super::*;

    fn id(id: &str) -> CertificateId {
        id.parse().unwrap()
    }

    /// A name of a certificate that has no CNAME.
    fn broken(domain: &str, certificate: &str) -> CheckedName {
        let identifier: Identifier = domain.parse().unwrap();
        let name: DnsName = identifier.challenge_name().clone();
        let finding = Finding {
            severity: Severity::Error,
            kind: FindingKind::MissingCname,
            domains: vec![identifier.clone()],
            name: name.clone(),
            server: None,
            answer: "there is no CNAME".to_owned(),
            remedy: "add this record".to_owned(),
            record: None,
        };
        CheckedName {
            identifiers: vec![identifier],
            certificates: vec![id(certificate)],
            report: DelegationReport {
                chain: CnameChain {
                    challenge_name: name,
                    hops: Vec::new(),
                    end: End::TooLong,
                },
                source: None,
                between: Vec::new(),
                alias: None,
                findings: vec![finding],
            },
        }
    }

    /// The result of a check of these names in parts. The certificate `victim` was obtained.
    fn checked(names: Vec<CheckedName>) -> Delegations {
        let mut so_far = DelegationsSoFar::new(now(), HashSet::from([id("victim")]));
        let mut names = names.into_iter().peekable();
        while names.peek().is_some() {
            so_far.add(&Checked {
                names: names.by_ref().take(300).collect(),
                full: false,
                took: Duration::ZERO,
                probed: None,
            });
        }
        so_far.ended()
    }

    /// The findings of so many certificates with so many broken names each, and of the victim after them.
    fn beside_victim(certificates: usize, names: usize) -> Delegations {
        let hostile = (0..certificates).flat_map(|c| {
            let domain = move |n| format!("a{c}x{n}.example.com");
            (0..names).map(move |n| broken(&domain(n), &format!("a{c}")))
        });
        checked(
            hostile
                .chain([broken("victim.example.com", "victim")])
                .collect(),
        )
    }

    #[test]
    fn the_findings_of_many_certificates_hide_none_of_another() {
        for (certificates, names) in [(101, 10), (1_200, 1), (400, 20)] {
            let found = beside_victim(certificates, names);
            let total = certificates * names + 1;
            let kept = found.findings.len();
            assert_eq!((found.errors, kept), (total, FINDINGS_MAX));
            assert_eq!(found.left_out, total - kept);
            let mut ids = found.findings.iter().map(|one| &one.certificates);
            assert!(ids.any(|ids| ids.contains(&id("victim"))));
        }
    }

    #[test]
    fn a_name_that_two_certificates_expect_the_same_of_has_one_finding() {
        let both = ["one", "two"].map(|id| broken("web.example.com", id));
        let found = checked(both.into());
        assert_eq!(
            (found.errors, found.findings.len(), found.left_out),
            (1, 1, 0)
        );
        assert_eq!(
            found.findings[0].certificates,
            [id("one"), id("two")].into()
        );
    }
}
