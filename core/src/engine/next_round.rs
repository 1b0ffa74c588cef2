//! Which certificates of a group are in the next round.

use std::collections::{BTreeMap, BTreeSet};

use super::prepared::Prepared;
use crate::name::DnsName;

/// Certificates in one round, so that a large group leaves room for others.
pub(super) const IN_ONE_ROUND: usize = 50;
/// Challenge names in one round that lead to one alias name. It has room for the values of some of them only, and the others
/// wait within the round, each time until no cache has older values. Rounds of other groups wait until it ends.
const AT_ONE_NAME: usize = 200;

/// The members of the next round, whose alias names are all free, and the others. Of certificates with equal names a round
/// has one: until the order of one is finalized, a CA may return the same order for the other (RFC 8555 §7.4 leaves that
/// to the CA).
pub(super) fn next_round(
    members: Vec<Prepared>,
    is_free: impl Fn(&Prepared) -> bool,
) -> (Vec<Prepared>, Vec<Prepared>) {
    let (mut next, mut others) = (Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    let mut counts = BTreeMap::new();
    for prepared in members {
        if next.len() < IN_ONE_ROUND
            && is_free(&prepared)
            && (next.is_empty() || has_room(&counts, &prepared))
            && names.insert(prepared.identifiers())
        {
            for (_, alias_name) in prepared.plan.aliases.iter() {
                *counts.entry(alias_name.clone()).or_default() += 1;
            }
            next.push(prepared);
        } else {
            others.push(prepared);
        }
    }
    (next, others)
}

/// Whether no alias name has too many challenge names with those of this certificate.
fn has_room(counts: &BTreeMap<DnsName, usize>, prepared: &Prepared) -> bool {
    let mut added: BTreeMap<&DnsName, usize> = BTreeMap::new();
    for (_, alias_name) in prepared.plan.aliases.iter() {
        *added.entry(alias_name).or_default() += 1;
    }
    let count = |name| counts.get(name).copied().unwrap_or_default();
    let mut all = added.into_iter();
    all.all(|(name, added)| count(name) + added <= AT_ONE_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these certificates are in each round, with so many names each that lead to one alias name.
    fn rounds(certificates: &[usize]) -> Vec<usize> {
        let members = certificates.iter().enumerate();
        let members = members.map(|(n, names)| Prepared::with_names(&format!("c{n}"), *names));
        let (mut members, mut rounds): (Vec<_>, _) = (members.collect(), Vec::new());
        while !members.is_empty() {
            let next;
            (next, members) = next_round(members, |_| true);
            rounds.push(next.len());
        }
        rounds
    }

    #[test]
    fn a_round_has_a_limit_of_certificates_and_of_names_that_lead_to_one_alias_name() {
        assert_eq!(rounds(&[1; 120]), [50, 50, 20]);
        assert_eq!(rounds(&[51; 8]), [3, 3, 2]);
        assert_eq!(rounds(&[1, 100, 100, 100]), [2, 2]);
        // It has to be obtained all the same.
        assert_eq!(rounds(&[500, 500]), [1, 1]);
    }
}
