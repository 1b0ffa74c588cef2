//! How fresh alias names are added to those that are stored.

use std::collections::BTreeMap;

use crate::name::DnsName;

/// Adds fresh alias names to those that are stored, by challenge name. An alias name that is stored
/// stays if it has the same parent as the fresh one. Returns the alias names that hold now, for the
/// challenge names of `fresh`.
pub(crate) fn add(
    stored: &mut BTreeMap<DnsName, DnsName>,
    fresh: &BTreeMap<DnsName, DnsName>,
) -> BTreeMap<DnsName, DnsName> {
    let mut held = BTreeMap::new();
    for (challenge_name, fresh) in fresh {
        let alias_name = match stored.get(challenge_name) {
            Some(stored) if stored.parent() == fresh.parent() => stored.clone(),
            _ => {
                stored.insert(challenge_name.clone(), fresh.clone());
                fresh.clone()
            }
        };
        held.insert(challenge_name.clone(), alias_name);
    }
    held
}
