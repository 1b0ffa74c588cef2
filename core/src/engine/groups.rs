//! Which certificates share alias names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::prepared::Prepared;
use crate::name::DnsName;
use crate::store::CertificateId;

/// Divides certificates into groups. Two that have an alias name in common are in one group.
pub(super) fn groups(prepared: Vec<Prepared>) -> Vec<Vec<Prepared>> {
    let mut groups: BTreeMap<usize, Vec<Prepared>> = BTreeMap::new();
    let mut group_of: BTreeMap<DnsName, usize> = BTreeMap::new();
    for (number, certificate) in prepared.into_iter().enumerate() {
        let names = certificate.alias_names();
        // A certificate may connect groups that had nothing in common before.
        let mut connected: Vec<_> = names
            .iter()
            .filter_map(|name| group_of.get(name))
            .copied()
            .collect();
        connected.sort_unstable();
        connected.dedup();
        let group = connected.first().copied().unwrap_or(number);
        for other in connected.into_iter().skip(1) {
            let moved = groups.remove(&other).unwrap_or_default();
            for member in &moved {
                group_of.extend(member.alias_names().into_iter().map(|name| (name, group)));
            }
            groups.entry(group).or_default().extend(moved);
        }
        group_of.extend(names.into_iter().map(|name| (name, group)));
        groups.entry(group).or_default().push(certificate);
    }
    groups.into_values().collect()
}

/// Certificates of one CA that wait for their turn at alias names.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<Vec<Prepared>>>);

impl Waiting {
    pub(super) fn add(&self, certificates: Vec<Prepared>) {
        self.locked().extend(certificates);
    }

    /// Takes out those of these certificates that still wait, and those that share alias names with them.
    pub(super) fn take(&self, ids: &BTreeSet<CertificateId>) -> Vec<Prepared> {
        let mut waiting = self.locked();
        let has_one = |group: &Vec<Prepared>| group.iter().any(|one| ids.contains(one.id()));
        let groups = groups(std::mem::take(&mut *waiting)).into_iter();
        let (taken, left): (Vec<_>, Vec<_>) = groups.partition(has_one);
        waiting.extend(left.into_iter().flatten());
        taken.into_iter().flatten().collect()
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Prepared>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The groups of certificates that are described as `id: names`, each as its ids.
    fn ids(certificates: &[(&str, &[&str])]) -> Vec<Vec<String>> {
        let prepared = certificates
            .iter()
            .map(|(id, names)| Prepared::for_test(id, names));
        let groups = groups(prepared.collect()).into_iter();
        let mut ids: Vec<Vec<_>> = groups
            .map(|group| group.iter().map(|member| member.id().to_string()).collect())
            .collect();
        for group in &mut ids {
            group.sort();
        }
        ids.sort();
        ids
    }

    #[test]
    fn certificates_without_a_common_name_stay_alone() {
        let groups = ids(&[("a", &["one.example"]), ("b", &["two.example"]), ("c", &[])]);
        assert_eq!(groups, [["a"], ["b"], ["c"]]);
    }

    #[test]
    fn a_common_name_joins_certificates() {
        let shared: &[&str] = &["shared.example"];
        let groups = ids(&[("a", shared), ("b", &["two.example"]), ("c", shared)]);
        assert_eq!(groups, [vec!["a", "c"], vec!["b"]]);
    }

    #[test]
    fn a_certificate_with_the_names_of_two_groups_joins_them() {
        let groups = ids(&[
            ("a", &["one.example"]),
            ("b", &["two.example"]),
            ("c", &["three.example"]),
            ("d", &["one.example", "two.example"]),
            ("e", &["two.example"]),
        ]);
        assert_eq!(groups, [vec!["a", "b", "d", "e"], vec!["c"]]);
    }

    #[test]
    fn those_that_wait_are_taken_once_with_those_that_share_names_with_them() {
        let waiting = Waiting::default();
        let of = |id, names| Prepared::for_test(id, names);
        let ids = |id: &str| BTreeSet::from([id.parse().unwrap()]);
        waiting.add(vec![of("a", &["one.example"]), of("c", &["other.example"])]);
        waiting.add(vec![of("b", &["one.example", "two.example"])]);
        let taken = waiting.take(&ids("b"));
        let taken: Vec<_> = taken.iter().map(|one| one.id().to_string()).collect();
        assert_eq!(taken, ["a", "b"]);
        assert!(waiting.take(&ids("a")).is_empty());
        assert_eq!(waiting.take(&ids("c")).len(), 1);
    }
}
