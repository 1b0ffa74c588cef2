//! What a CA's resolver may have in its cache instead of the values that a round has published.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::existing::cache_time;
use super::publication::Publication;
use super::writers::ZoneWriters;
use crate::ledger::OpenValue;
use crate::name::DnsName;

/// The older TXT sets of the names of a round, as the ledger knows them.
#[derive(Debug, Default)]
pub(super) struct OlderSets {
    /// Until when values that were withdrawn may be cached.
    withdrawn: BTreeMap<DnsName, Timestamp>,
    /// The TTL, in seconds, of values that other jobs have there now.
    others: BTreeMap<DnsName, u32>,
}

impl OlderSets {
    /// Asks the ledger about the names of all publications. What cannot be read is logged, and left out.
    pub(super) async fn read(writers: &ZoneWriters, publications: &[Publication]) -> Self {
        let mut ttls: BTreeMap<DnsName, u32> = BTreeMap::new();
        for publication in publications {
            for (writer, records) in publication.zones.iter() {
                // Records with a TTL of 0 are not cached.
                let ttl = writer.ttl();
                if ttl > 0 {
                    ttls.extend(records.iter().map(|record| (record.name.clone(), ttl)));
                }
            }
        }
        let mut older = OlderSets::default();
        if ttls.is_empty() {
            return older;
        }
        let names: Vec<_> = ttls.keys().cloned().collect();
        match writers.cached_until(&names).await {
            Ok(withdrawn) => older.withdrawn.extend(withdrawn),
            Err(error) => warn!(%error, "caches of withdrawn values are not outlasted"),
        }
        match writers.ledger().open_values_at(&names).await {
            Ok(open) => {
                let others = open.into_iter().filter(|open| !is_of(open, publications));
                let with_ttl =
                    others.filter_map(|open| Some((ttls.get(&open.name)?, open.name.clone())));
                older
                    .others
                    .extend(with_ttl.map(|(ttl, name)| (name, *ttl)));
            }
            Err(error) => warn!(%error, "caches of the values of other jobs are not outlasted"),
        }
        older
    }

    /// The name of the publication whose older set may be cached for longest, and until when, if its values
    /// have been visible since `now`.
    pub(super) fn cached(
        &self,
        publication: &Publication,
        now: Timestamp,
    ) -> Option<(DnsName, Timestamp)> {
        let after = |ttl| now + SignedDuration::try_from(cache_time(ttl)).unwrap_or_default();
        let until = |name: &DnsName| {
            let ttls = [
                publication.existing.ttl(name),
                self.others.get(name).copied(),
            ];
            let ttls = ttls.into_iter().flatten().filter(|ttl| *ttl > 0);
            let until = ttls.map(after).chain(self.withdrawn.get(name).copied());
            until.max()
        };
        let names: BTreeSet<_> = publication.names();
        let cached = names
            .into_iter()
            .filter_map(|name| Some((until(&name)?, name)));
        let (until, name) = cached.filter(|(until, _)| *until > now).max()?;
        Some((name, until))
    }
}

fn is_of(open: &OpenValue, publications: &[Publication]) -> bool {
    let zones = publications
        .iter()
        .flat_map(|publication| publication.zones.iter());
    let mut records = zones.flat_map(|(_, records)| records);
    records.any(|record| record.name == open.name && record.value == open.value)
}
