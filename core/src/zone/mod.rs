//! The alias zones: who writes in each of them, and how a set of values gets there and away.
//!
//! A [`Publication`] is the one way in. It is made before anything is written and knows every
//! value of a run, so that whatever happens afterwards it can withdraw them all, by value.

mod propagation;
mod publication;
mod writer;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use futures_util::future::join_all;

pub use self::propagation::{Lagging, PropagationError, Reached};
pub use self::publication::{Publication, Published};
pub use self::writer::{WriteError, ZoneWriter};
use crate::dns::{Dns, DnsError};
use crate::ledger::{Ledger, Open, Origin};
use crate::name::DnsName;
use crate::provider::{Identity, ProviderError, TxtProvider};
use crate::txt::TxtRecord;

/// The alias zones that a certificate may use, each with its writer.
pub struct AliasZones {
    dns: Arc<Dns>,
    ledger: Arc<Ledger>,
    writers: RwLock<Vec<Arc<ZoneWriter>>>,
    fallback: Option<Arc<dyn TxtProvider>>,
    propagation_timeout: Duration,
}

impl AliasZones {
    /// The zones of these writers, which write in `ledger` as well. An alias name outside all of them is written through
    /// `fallback` where there is one, in the zone that its SOA record tells. Values are given
    /// `propagation_timeout` to reach every server of a zone.
    pub fn new(
        dns: Arc<Dns>,
        ledger: Arc<Ledger>,
        writers: Vec<Arc<ZoneWriter>>,
        fallback: Option<Arc<dyn TxtProvider>>,
        propagation_timeout: Duration,
    ) -> Self {
        AliasZones {
            dns,
            ledger,
            writers: RwLock::new(writers),
            fallback,
            propagation_timeout,
        }
    }

    /// The apexes of the zones.
    pub fn names(&self) -> Vec<DnsName> {
        self.writers()
            .iter()
            .map(|writer| writer.zone().clone())
            .collect()
    }

    /// Whether alias names outside all zones can be written.
    pub fn has_fallback(&self) -> bool {
        self.fallback.is_some()
    }

    /// The writer of the longest alias zone that contains `alias_name`; one is started where
    /// there is none and the fallback may write there.
    async fn locate(&self, alias_name: &DnsName) -> Result<Arc<ZoneWriter>, ZoneError> {
        match (self.writer(alias_name), &self.fallback) {
            (Some(writer), _) => Ok(writer),
            (None, None) => Err(ZoneError::NoZone {
                name: alias_name.clone(),
            }),
            (None, Some(provider)) => {
                let zone =
                    self.dns
                        .apex(alias_name)
                        .await
                        .map_err(|source| ZoneError::Servers {
                            zone: alias_name.clone(),
                            source,
                        })?;
                let (provider, ledger) = (Arc::clone(provider), Arc::clone(&self.ledger));
                let writer = Arc::new(ZoneWriter::start(zone, provider, ledger));
                let mut writers = self.writers.write().unwrap_or_else(PoisonError::into_inner);
                writers.push(Arc::clone(&writer));
                Ok(writer)
            }
        }
    }

    /// Finds the zone of each alias name, and asks its backend for the values there: whether it can
    /// be reached, and takes our credentials, is known before the CA is asked for anything. Returns
    /// the values that are not ours.
    pub async fn check(&self, alias_names: &[DnsName]) -> Result<Vec<TxtRecord>, ZoneError> {
        for name in alias_names {
            self.locate(name).await?;
        }
        let by_zone = self.by_zone(alias_names.to_vec(), |name| name)?;
        let checks = by_zone.iter().map(async |(writer, names)| {
            let read = writer.values(names).await;
            read.map_err(|source| ZoneError::Read {
                zone: writer.zone().clone(),
                source,
            })
        });
        let mut foreign = Vec::new();
        for ((writer, names), there) in by_zone.iter().zip(join_all(checks).await) {
            let there = there?.into_iter().flat_map(|(name, values)| {
                let at_name = move |value| (name.clone(), value);
                values.into_iter().map(at_name)
            });
            let there = there.filter(|(name, _)| names.contains(name));
            let not_ours = self.ledger.foreign(there.collect());
            foreign.extend(not_ours.map_err(|error| ZoneError::Write {
                zone: writer.zone().clone(),
                source: error.into(),
            })?);
        }
        let record = |(name, value)| TxtRecord { name, value };
        Ok(foreign.into_iter().map(record).collect())
    }

    /// The serial of an alias zone, where its backend has one and the zone is one of these.
    pub async fn serial(&self, zone: &DnsName) -> Result<Option<u32>, ZoneError> {
        let is_it = |writer: &&Arc<ZoneWriter>| writer.zone() == zone;
        let Some(writer) = self.writers().iter().find(is_it).cloned() else {
            return Ok(None);
        };
        writer.serial().await.map_err(|source| ZoneError::Read {
            zone: zone.clone(),
            source,
        })
    }

    /// A publication of `records`; nothing is written before [`Publication::publish`].
    pub fn publication(
        &self,
        records: Vec<TxtRecord>,
        origin: Origin,
    ) -> Result<Publication, ZoneError> {
        Ok(Publication::new(
            Arc::clone(&self.dns),
            self.by_zone(records, |record| &record.name)?,
            origin,
            self.propagation_timeout,
        ))
    }

    /// Removes what dead runs left in these zones; returns what was there, and leaves in `abandoned`
    /// what lies in other zones.
    pub async fn reconcile(&self, abandoned: &mut Vec<Open>) -> Result<Vec<Open>, ZoneError> {
        let mut removed = Vec::new();
        let mut writers: Vec<_> = self.writers().iter().cloned().collect();
        if let Some(fallback) = &self.fallback {
            // What was written by somebody else is not for this one to look after.
            let Identity { kind, key, .. } = fallback.identity();
            for open in abandoned.iter() {
                if open.provider == kind && open.key == key {
                    writers.push(self.locate(&open.name).await?);
                }
            }
        }
        for writer in writers {
            let (ours, others) = std::mem::take(abandoned)
                .into_iter()
                .partition::<Vec<_>, _>(|open| open.zone == *writer.zone());
            *abandoned = others;
            if ours.is_empty() {
                continue;
            }
            let there = writer.reconcile(&ours).await;
            removed.extend(there.map_err(|source| ZoneError::Write {
                zone: writer.zone().clone(),
                source,
            })?);
        }
        Ok(removed)
    }

    /// The items, each with the writer of the zone that contains its name.
    fn by_zone<T>(
        &self,
        items: Vec<T>,
        name: impl Fn(&T) -> &DnsName,
    ) -> Result<ByZone<T>, ZoneError> {
        let mut by_zone: ByZone<T> = Vec::new();
        for item in items {
            let writer = self.writer(name(&item)).ok_or_else(|| ZoneError::NoZone {
                name: name(&item).clone(),
            })?;
            match by_zone
                .iter_mut()
                .find(|(known, _)| Arc::ptr_eq(known, &writer))
            {
                Some((_, items)) => items.push(item),
                None => by_zone.push((writer, vec![item])),
            }
        }
        Ok(by_zone)
    }

    fn writer(&self, alias_name: &DnsName) -> Option<Arc<ZoneWriter>> {
        let writers = self.writers();
        let containing = writers
            .iter()
            .filter(|writer| alias_name.is_within(writer.zone()));
        containing
            .max_by_key(|writer| writer.zone().labels().count())
            .cloned()
    }

    fn writers(&self) -> RwLockReadGuard<'_, Vec<Arc<ZoneWriter>>> {
        self.writers.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Things with a name, each with the writer of the zone that contains it.
type ByZone<T> = Vec<(Arc<ZoneWriter>, Vec<T>)>;

/// Values that could not be brought into a zone, or out of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ZoneError {
    /// No alias zone contains the name.
    #[error("no alias zone contains {name}")]
    NoZone {
        /// The alias name.
        name: DnsName,
    },
    /// The backend did not say what is in the zone.
    #[error("the zone {zone} cannot be worked on: {source}")]
    Read {
        /// The alias zone.
        zone: DnsName,
        /// What the backend said.
        source: ProviderError,
    },
    /// The backend did not take the change.
    #[error("the zone {zone} could not be changed: {source}")]
    Write {
        /// The alias zone.
        zone: DnsName,
        /// What the backend said.
        source: WriteError,
    },
    /// The change did not reach every server in time.
    #[error("the zone {zone} has the values, but not on all its servers: {source}")]
    Propagation {
        /// The alias zone.
        zone: DnsName,
        /// Which servers are behind.
        source: PropagationError,
    },
    /// The servers of the zone could not be found.
    #[error("the servers of the zone {zone} could not be found: {source}")]
    Servers {
        /// The alias zone.
        zone: DnsName,
        /// Why.
        source: DnsError,
    },
}

impl ZoneError {
    /// What the reader can do about it.
    pub fn remedy(&self) -> String {
        match self {
            ZoneError::NoZone { .. } => {
                "add an `[[alias-zones]]` entry for the zone that holds it".to_owned()
            }
            ZoneError::Read { source, .. } => source.remedy.clone(),
            ZoneError::Write { source, .. } => source.remedy(),
            ZoneError::Propagation { source, .. } => source.remedy(),
            ZoneError::Servers { zone, .. } => format!(
                "check the delegation of {zone}, or list its servers under `[[alias-zones]]` as \
                 `servers = [\"…\"]`"
            ),
        }
    }
}
