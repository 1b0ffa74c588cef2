//! What is wrong, and what to do.

use std::collections::{BTreeSet, HashMap, HashSet};

use acme_alias_core::delegation::{Finding, Severity};
use acme_alias_core::engine::WantedBy;
use acme_alias_core::printable::few;
use acme_alias_core::store::CertificateId;

use super::delegations::FoundFor;
use super::snapshot::Snapshot;
use super::status::{self, Trouble};
use crate::output::{Listed, State, Warn};

/// Something that is wrong.
pub(super) struct Problem {
    /// The certificate, or the domains; `None` if it is about all of them.
    pub(super) subject: Option<String>,
    /// Whether somebody should do something now.
    pub(super) is_urgent: bool,
    /// What is wrong, a sentence each.
    pub(super) what: Vec<String>,
    pub(super) remedies: Vec<String>,
}

/// The problems, those of the process first, then delegations, and then certificates in the order of the list. Of the
/// delegations of a certificate all but the first come later: they hide the problems of no other.
pub(super) fn problems(snapshot: &Snapshot) -> Vec<Problem> {
    let broken = broken_by_certificate(snapshot);
    let certificates = snapshot.listing.all.iter();
    let certificates = certificates.filter_map(|listed| of_certificate(snapshot, listed, &broken));
    let (urgent, others): (Vec<_>, Vec<_>) = certificates.partition(|one| one.is_urgent);
    let (first, further) = of_delegations(snapshot);
    let mut problems = of_process(snapshot);
    for part in [first, urgent, further, others] {
        problems.extend(part);
    }
    problems
}

fn of_process(snapshot: &Snapshot) -> Vec<Problem> {
    let Some(status) = &snapshot.status else {
        return Vec::new();
    };
    let of = |what: String, remedies: &[String]| Problem {
        subject: None,
        is_urgent: true,
        what: vec![what],
        remedies: remedies.to_vec(),
    };
    let refused = status.refused.as_ref().map(|trouble| {
        let what = format!(
            "The settings files cannot be used, and those that were read before stay in force: {}",
            trouble.message
        );
        of(what, &trouble.remedies)
    });
    let error = status.last.as_ref().and_then(|last| last.error.as_ref());
    let health = status.health(snapshot.at).err().map(|reason| {
        let remedies = error.map_or(&[][..], |error| &error.remedies[..]);
        of(format!("Certificates are not renewed: {reason}."), remedies)
    });
    health.into_iter().chain(refused).collect()
}

/// What is wrong with delegations, as far as the next renewal would fail.
fn broken_delegations(snapshot: &Snapshot) -> impl Iterator<Item = &FoundFor> {
    let process = snapshot.status.as_ref();
    let delegations = process.and_then(|status| status.delegations.as_ref());
    let findings = delegations.into_iter().flat_map(|all| &all.findings);
    findings.filter(|found| found.finding.severity == Severity::Error)
}

/// The delegations with which the next renewal would fail: the first of each certificate, and the others. Certificates
/// that have failed already have a problem of their own; what concerns others as well is shown for these.
fn of_delegations(snapshot: &Snapshot) -> (Vec<Problem>, Vec<Problem>) {
    let mut seen = HashSet::new();
    let failing = snapshot.listing.all.iter();
    let failing = failing.filter(|listed| listed.attempts().is_some());
    let failing: HashSet<_> = failing.map(|listed| &listed.overview.id).collect();
    let (mut first, mut further) = (Vec::new(), Vec::new());
    for FoundFor {
        finding,
        certificates,
    } in broken_delegations(snapshot)
    {
        let others = certificates.iter().filter(|id| !failing.contains(id));
        let others: Vec<_> = others.collect();
        if others.is_empty() {
            continue;
        }
        let is_first = others
            .into_iter()
            .fold(false, |is_first, id| seen.insert(id) | is_first);
        let part = if is_first { &mut first } else { &mut further };
        let domains: Vec<_> = finding.domains.iter().map(ToString::to_string).collect();
        part.push(Problem {
            subject: Some(few(&domains, ", ")),
            is_urgent: true,
            what: vec![format!("{}: {}.", finding.name.fqdn(), finding.answer)],
            remedies: vec![status::remedy(finding)],
        });
    }
    (first, further)
}

/// The same by certificate: one alias zone may concern all of them.
fn broken_by_certificate(snapshot: &Snapshot) -> HashMap<&CertificateId, Vec<&Finding>> {
    let mut broken: HashMap<_, Vec<_>> = HashMap::new();
    for found in broken_delegations(snapshot) {
        for id in &found.certificates {
            broken.entry(id).or_default().push(&found.finding);
        }
    }
    broken
}

fn of_certificate(
    snapshot: &Snapshot,
    listed: &Listed,
    broken: &HashMap<&CertificateId, Vec<&Finding>>,
) -> Option<Problem> {
    let now = snapshot.at;
    let alarm = listed.alarm(now, Warn::default());
    let is_urgent = alarm.is_some();
    if !is_urgent && listed.state(now) >= State::Due {
        return None;
    }
    let mut what = listed.notes(now);
    if what.is_empty() {
        what.extend(alarm);
    }
    let id = &listed.overview.id;
    let known = snapshot.status.as_ref();
    let known = known.and_then(|status| status.failures.get(id));
    let found = broken.get(id).into_iter().flatten();
    let found: BTreeSet<_> = found.map(|finding| status::remedy(finding)).collect();
    Some(Problem {
        subject: Some(id.to_string()),
        is_urgent,
        what,
        remedies: remedies(listed, known, found.into_iter().collect()),
    })
}

/// What to do. `known` is what this process knows of the last failure, and `found` are the remedies for its delegations.
fn remedies(listed: &Listed, known: Option<&Trouble>, found: Vec<String>) -> Vec<String> {
    let id = &listed.overview.id;
    let remedy = |text: String| vec![text];
    if listed.overview.wanted_by == WantedBy::Nobody {
        return remedy(format!(
            "Nobody wants it any more. Run `acme-alias forget {id}`, or add it to the settings again."
        ));
    }
    if listed.damage.is_some() {
        // It is part of what is wrong.
        return Vec::new();
    }
    if let Some(unusable) = &listed.unusable {
        return Trouble::from(unusable).remedies;
    }
    match known {
        Some(trouble) if !trouble.remedies.is_empty() => trouble.remedies.clone(),
        // The failure of an earlier process, and the check of this one found its cause.
        _ if listed.attempts().is_some() && !found.is_empty() => found,
        _ if listed.attempts().is_some() => remedy(format!(
            "Remove the cause. To try at once, run `acme-alias renew --force {id}`: it prints the remedy if it fails \
             again."
        )),
        // The next run does what was not tried yet.
        _ if listed.is_undeployed() && listed.overview.undeployed.is_empty() => Vec::new(),
        _ if listed.is_undeployed() => remedy(format!(
            "Remove the cause. `acme-alias show {id}` shows each target and when it is tried again."
        )),
        _ => remedy(format!("Run `acme-alias renew {id}`.")),
    }
}
