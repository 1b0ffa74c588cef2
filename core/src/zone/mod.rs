//! The alias zones: who writes in each of them, and how a set of values gets there and away.
//!
//! A [`Publication`] is the one way in. It is made before anything is written and knows every
//! value of a run, so that whatever happens afterwards it can withdraw them all, by value.

mod propagation;
mod publication;
mod writer;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

pub use self::propagation::{Lagging, PropagationError};
pub use self::publication::{Publication, Published};
pub use self::writer::{WriteError, ZoneWriter};
use crate::dns::{Dns, DnsError};
use crate::name::DnsName;
use crate::provider::{TxtProvider, TxtValue};

/// A TXT record of one value: an alias name and what stands there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxtRecord {
    /// The alias name.
    pub name: DnsName,
    /// The value.
    pub value: TxtValue,
}

/// The alias zones that a certificate may use, each with its writer.
pub struct AliasZones {
    dns: Arc<Dns>,
    writers: RwLock<Vec<Arc<ZoneWriter>>>,
    fallback: Option<Arc<dyn TxtProvider>>,
    propagation_timeout: Duration,
}

impl AliasZones {
    /// The zones of these writers. An alias name outside all of them is written through
    /// `fallback` where there is one, in the zone that its SOA record tells. Values are given
    /// `propagation_timeout` to reach every server of a zone.
    pub fn new(
        dns: Arc<Dns>,
        writers: Vec<Arc<ZoneWriter>>,
        fallback: Option<Arc<dyn TxtProvider>>,
        propagation_timeout: Duration,
    ) -> Self {
        AliasZones {
            dns,
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
    pub async fn locate(&self, alias_name: &DnsName) -> Result<Arc<ZoneWriter>, ZoneError> {
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
                let writer = Arc::new(ZoneWriter::start(zone, Arc::clone(provider)));
                let mut writers = self.writers.write().unwrap_or_else(PoisonError::into_inner);
                writers.push(Arc::clone(&writer));
                Ok(writer)
            }
        }
    }

    /// A publication of `records`; nothing is written before [`Publication::publish`].
    pub fn publication(&self, records: Vec<TxtRecord>) -> Result<Publication, ZoneError> {
        Publication::new(self, records)
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

/// Values that could not be brought into a zone, or out of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ZoneError {
    /// No alias zone contains the name.
    #[error("no alias zone contains {name}")]
    NoZone {
        /// The alias name.
        name: DnsName,
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
            ZoneError::Write { source, .. } => source.remedy(),
            ZoneError::Propagation { source, .. } => source.remedy(),
            ZoneError::Servers { zone, .. } => format!(
                "check the delegation of {zone}, or list its servers under `[[alias-zones]]` as \
                 `servers = [\"…\"]`"
            ),
        }
    }
}
