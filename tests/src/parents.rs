//! The zones above those of the bed: the root, the top-level domains and what lies between.

use std::collections::BTreeSet;

use crate::zone::Zone;

/// The zones above `zones` that are not among them, the root first. Each delegates what it contains, so that
/// a resolver finds its way down.
pub(crate) fn above<'a>(zones: impl Iterator<Item = &'a str>) -> Vec<Zone> {
    let zones: BTreeSet<_> = zones.collect();
    let parents: BTreeSet<_> = zones.iter().flat_map(|zone| ancestors(zone)).collect();
    let parents: Vec<_> = parents.difference(&zones).copied().collect();
    let all: Vec<_> = zones.iter().chain(&parents).copied().collect();
    let delegating = |parent: &&str| {
        let mut zone = Zone::new(parent);
        let below = |child: &&&str| closest_above(child, &all) == Some(*parent);
        for child in all.iter().filter(below) {
            zone.delegate(child);
        }
        zone
    };
    parents.iter().map(delegating).collect()
}

/// The names above a name, the closest first, the root (an empty name) last.
fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(next_above(name), |name| next_above(name))
}

fn next_above(name: &str) -> Option<&str> {
    let above = name.split_once('.').map_or("", |(_, above)| above);
    (!name.is_empty()).then_some(above)
}

/// The closest of `zones` above a zone.
fn closest_above<'a>(zone: &'a str, zones: &[&str]) -> Option<&'a str> {
    ancestors(zone).find(|above| zones.contains(above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zone_is_delegated_by_the_closest_zone_above_it() {
        let zones = ["example.com", "sub.example.com", "auth.example.net"];
        let parents = above(zones.into_iter());
        let apexes: Vec<_> = parents.iter().map(|zone| zone.apex.as_str()).collect();
        assert_eq!(apexes, ["", "com", "example.net", "net"]);
        let delegations = |zone: &Zone| {
            let text = zone.to_string();
            let lines = text.lines().filter(|line| line.contains(" NS "));
            let owners = lines.filter_map(|line| line.split_once(". ").map(|(owner, _)| owner));
            let below = owners.filter(|owner| *owner != zone.apex);
            below.map(str::to_owned).collect::<Vec<_>>()
        };
        let expected = [
            &["com", "net"][..],
            &["example.com"],
            &["auth.example.net"],
            &["example.net"],
        ];
        assert_eq!(
            parents.iter().map(delegations).collect::<Vec<_>>(),
            expected
        );
    }
}
