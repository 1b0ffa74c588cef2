//! Changes that have nothing to do with each other.

use std::collections::BTreeSet;

use super::Batch;
use crate::name::DnsName;

impl Batch {
    /// The batches in lists of which no two have a name in common.
    pub(super) fn without_common_names(list: Vec<Batch>) -> Vec<Vec<Batch>> {
        let mut apart: Vec<(BTreeSet<DnsName>, Vec<Batch>)> = Vec::new();
        for batch in list {
            let changes = batch.changes.iter();
            let names: BTreeSet<_> = changes.map(|one| one.change.name.clone()).collect();
            // It may connect lists that had nothing in common before.
            let (connected, others): (Vec<_>, Vec<_>) = apart
                .into_iter()
                .partition(|(others, _)| !others.is_disjoint(&names));
            apart = others;
            let mut all = (names, Vec::new());
            for (names, batches) in connected {
                all.0.extend(names);
                all.1.extend(batches);
            }
            all.1.push(batch);
            apart.push(all);
        }
        apart.into_iter().map(|(_, batches)| batches).collect()
    }
}
