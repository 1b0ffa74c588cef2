//! All zone writers of a process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::at_servers::AtServers;
use super::configured_provider::{ConfiguredProvider, OpenError};
use super::recent::RecentSets;
use super::writer::ZoneWriter;
use crate::clock::Clock;
use crate::dns::Dns;
use crate::ledger::{Ledger, LedgerError};
use crate::name::DnsName;
use crate::provider::{Reading, TxtProvider};

/// The writers, made on first use: one per zone and provider.
pub struct ZoneWriters {
    ledger: Arc<dyn Ledger>,
    recent: RecentSets,
    /// By zone and by the provider's credentials.
    writers: Mutex<HashMap<(DnsName, String), Arc<ZoneWriter>>>,
}

impl fmt::Debug for ZoneWriters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ZoneWriters")
    }
}

impl ZoneWriters {
    /// No writers yet. They will record their changes in `ledger`.
    pub fn new(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Self {
        ZoneWriters {
            recent: RecentSets::new(Arc::clone(&ledger), clock),
            ledger,
            writers: Mutex::default(),
        }
    }

    /// The ledger that the writers record in.
    pub fn ledger(&self) -> &dyn Ledger {
        &*self.ledger
    }

    /// Which of these names had other values a short time ago, and until when they may be in a cache.
    pub(super) async fn cached_until(
        &self,
        names: &[DnsName],
    ) -> Result<Vec<(DnsName, Timestamp)>, LedgerError> {
        self.recent.cached_until(names).await
    }

    /// The writer of `zone` through `provider`, which is opened if it is not yet. `dns` finds the servers of the zone, if
    /// its values are read there.
    pub async fn get(
        &self,
        zone: &DnsName,
        provider: &Arc<ConfiguredProvider>,
        dns: &Arc<Dns>,
    ) -> Result<Arc<ZoneWriter>, OpenError> {
        let opened = provider.open().await?;
        let key = (zone.clone(), provider.credentials().to_owned());
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = writers.entry(key).or_insert_with(|| {
            let (configured, mut txt) = (Arc::clone(provider), Arc::clone(&opened.txt));
            if txt.reading() == Reading::AtServers {
                txt = Arc::new(AtServers::new(txt, Arc::clone(dns))) as Arc<dyn TxtProvider>;
            }
            let ledger = Arc::clone(&self.ledger);
            let dns = Arc::clone(dns);
            let writer = ZoneWriter::start(zone.clone(), configured, txt, ledger, dns);
            Arc::new(writer)
        });
        Ok(Arc::clone(writer))
    }
}
