//! From an alias name to the writer of its zone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all, try_join_all};
use hickory_proto::rr::RecordType;

use super::alias_zones::AliasZones;
use super::configured_provider::ConfiguredProvider;
use super::error::{ZoneError, ZoneFailure};
use super::existing::{Existing, cache_time};
use super::publication::{ByZone, Publication};
use super::recorder::ChangeContext;
use super::writer::ZoneWriter;
use super::writers::ZoneWriters;
use crate::dns::Dns;
use crate::name::DnsName;
use crate::txt::TxtRecord;

/// The zones that a certificate may write in.
#[derive(Clone, Debug)]
pub struct Zones {
    /// The writers of the process.
    pub writers: Arc<ZoneWriters>,
    /// Finds zones and their servers.
    pub dns: Arc<Dns>,
    /// The zones that are configured.
    pub alias_zones: Arc<AliasZones>,
    /// Writes at alias names outside all of them, in the zone that their SOA record names.
    pub fallback: Option<Arc<ConfiguredProvider>>,
    /// How long values may take to reach every server of a zone.
    pub propagation_timeout: Duration,
}

impl Zones {
    /// The writer of the longest alias zone that contains `alias_name`, or else of the zone that the
    /// fallback provider writes in.
    async fn writer(&self, alias_name: &DnsName) -> Result<Arc<ZoneWriter>, ZoneError> {
        let (zone, provider) = match (self.alias_zones.closest(alias_name), &self.fallback) {
            (Some(closest), _) => closest,
            (None, Some(fallback)) => (self.zone_of(alias_name).await?, fallback),
            (None, None) => {
                let name = alias_name.clone();
                return Err(ZoneError::NoZone { name });
            }
        };
        let writer = self.writers.get(&zone, provider, &self.dns).await;
        writer.map_err(|source| ZoneError::Open { zone, source })
    }

    async fn zone_of(&self, alias_name: &DnsName) -> Result<DnsName, ZoneError> {
        let apex = self.dns.apex(alias_name).await;
        apex.map_err(|source| ZoneError::Servers {
            zone: alias_name.clone(),
            source,
        })
    }

    /// Asks the backend of each zone for the records at one of the alias names there: whether it can be reached,
    /// accepts our credentials, and serves the zone that is delegated, is known before the CA is asked for anything.
    pub async fn existing_at_one_name_of_each_zone(
        &self,
        alias_names: &[DnsName],
    ) -> Result<Existing, ZoneFailure> {
        self.read_where_delegated(alias_names, 1).await
    }

    /// The same for the records at all the alias names.
    pub async fn existing_where_delegated(
        &self,
        alias_names: &[DnsName],
    ) -> Result<Existing, ZoneFailure> {
        self.read_where_delegated(alias_names, usize::MAX).await
    }

    async fn read_where_delegated(
        &self,
        alias_names: &[DnsName],
        at_most: usize,
    ) -> Result<Existing, ZoneFailure> {
        let by_zone = self.by_zone(alias_names.to_vec(), |name| name).await?;
        let delegated = by_zone.iter().map(async |(writer, all)| {
            let checked = writer.check_delegation().await;
            checked.map_err(|error| ZoneFailure::at(all, error))
        });
        let (existing, delegated) = join(self.read(&by_zone, at_most), join_all(delegated)).await;
        // What the backend refuses comes first: it may be another zone.
        let existing = existing?;
        delegated.into_iter().collect::<Result<(), _>>()?;
        Ok(existing)
    }

    /// Asks the backend of each alias name's zone for the records there.
    pub async fn existing(&self, alias_names: &[DnsName]) -> Result<Existing, ZoneFailure> {
        let by_zone = self.by_zone(alias_names.to_vec(), |name| name).await?;
        self.read(&by_zone, usize::MAX).await
    }

    /// Reads what is at so many of the names in each zone.
    async fn read(
        &self,
        by_zone: &ByZone<DnsName>,
        at_most: usize,
    ) -> Result<Existing, ZoneFailure> {
        let reads = by_zone.iter().map(async |(writer, all)| {
            let names = &all[..all.len().min(at_most)];
            let read = writer.values(names).await;
            let zone = writer.zone().clone();
            // What cannot be read at one name cannot be read at the others.
            let read =
                read.map_err(|source| ZoneFailure::at(all, ZoneError::Read { zone, source }));
            (writer, names, read)
        });
        let mut existing = Existing::default();
        for (writer, names, sets) in join_all(reads).await {
            let mut sets = sets?;
            sets.retain(|name, set| names.contains(name) && !set.is_empty());
            if sets.is_empty() {
                continue;
            }
            let ours = self.writers.ledger().open_values_at(names).await;
            let ours = ours.map_err(|error| {
                let (zone, source) = (writer.zone().clone(), error.into());
                ZoneFailure::at([], ZoneError::Write { zone, source })
            })?;
            for (name, set) in &sets {
                let is_ours = |value: &&_| {
                    let mut ours = ours.iter();
                    ours.any(|open| open.name == *name && open.value == **value)
                };
                let foreign = set.values.iter().filter(|value| !is_ours(value));
                existing.foreign.extend(foreign.map(|value| TxtRecord {
                    name: name.clone(),
                    value: value.clone(),
                }));
            }
            existing.sets.extend(sets);
        }
        Ok(existing)
    }

    /// How long a CA's resolver that asked before may have in its cache that there is nothing at these names; `None` if it
    /// keeps nothing.
    pub async fn absence_cached(&self, alias_names: &[DnsName]) -> Option<Duration> {
        let by_zone = self.by_zone(alias_names.to_vec(), |name| name).await.ok()?;
        let ttls = by_zone.iter().map(async |(writer, _)| {
            let answer = self.dns.ask(writer.zone(), RecordType::SOA).await.ok()?;
            // RFC 2308 §5.
            Some(answer.soa()?.negative_ttl)
        });
        let ttls = join_all(ttls).await.into_iter();
        // A zone that does not tell is given the longest time.
        let longest = ttls.map(|ttl| cache_time(ttl.unwrap_or(u32::MAX))).max();
        longest.filter(|time| !time.is_zero())
    }

    /// The longest TTL, in seconds, that records have that are written at these names.
    pub async fn longest_ttl(&self, alias_names: &[DnsName]) -> u32 {
        let writers = alias_names.iter().map(|name| self.writer(name));
        let writers = try_join_all(writers).await.unwrap_or_default();
        let ttls = writers.iter().map(|writer| writer.ttl());
        ttls.max().unwrap_or_default()
    }

    /// A publication of `records`, at names where there was what `existing` has. Nothing is written before a
    /// [`Round`](super::Round) publishes it.
    pub async fn publication(
        &self,
        records: Vec<TxtRecord>,
        existing: Arc<Existing>,
        context: ChangeContext,
    ) -> Result<Publication, ZoneFailure> {
        let by_zone = self.by_zone(records, |record| &record.name).await?;
        Ok(Publication {
            dns: Arc::clone(&self.dns),
            zones: Arc::new(by_zone),
            context,
            existing,
            propagation_timeout: self.propagation_timeout,
        })
    }

    /// The writer of each name's zone.
    async fn writers_of<'a>(
        &self,
        names: &'a BTreeSet<DnsName>,
    ) -> Result<BTreeMap<&'a DnsName, Arc<ZoneWriter>>, ZoneFailure> {
        let writers = names
            .iter()
            .map(async |name| (name, self.writer(name).await));
        let (mut found, mut failed) = (BTreeMap::new(), Vec::new());
        for (name, writer) in join_all(writers).await {
            match writer {
                Ok(writer) => {
                    found.insert(name, writer);
                }
                Err(error) => failed.push((name, error)),
            }
        }
        let Some((_, first)) = failed.first() else {
            return Ok(found);
        };
        let same = failed
            .iter()
            .filter(|(_, error)| error.zone() == first.zone());
        Err(ZoneFailure::at(same.map(|(name, _)| *name), first.clone()))
    }

    /// The items, each with the writer of the zone that contains its name.
    async fn by_zone<T>(
        &self,
        items: Vec<T>,
        name: impl Fn(&T) -> &DnsName,
    ) -> Result<ByZone<T>, ZoneFailure> {
        let names: BTreeSet<_> = items.iter().map(&name).cloned().collect();
        let writers = self.writers_of(&names).await?;
        let mut by_zone: Vec<(Arc<ZoneWriter>, Vec<T>)> = Vec::new();
        let mut position: BTreeMap<*const ZoneWriter, usize> = BTreeMap::new();
        for item in items {
            let writer = writers.get(name(&item)).ok_or_else(|| {
                let name = name(&item).clone();
                ZoneFailure::at([&name.clone()], ZoneError::NoZone { name })
            })?;
            let next = by_zone.len();
            let at = *position.entry(Arc::as_ptr(writer)).or_insert(next);
            if at == next {
                by_zone.push((Arc::clone(writer), Vec::new()));
            }
            by_zone[at].1.push(item);
        }
        Ok(by_zone)
    }
}
