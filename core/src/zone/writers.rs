//! All zone writers of a process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::Mutex as AsyncMutex;

use super::at_servers::AtServers;
use super::configured_provider::{ConfiguredProvider, OpenError};
use super::recent::RecentSets;
use super::writer::ZoneWriter;
use crate::clock::Clock;
use crate::dns::Dns;
use crate::ledger::{Ledger, LedgerError};
use crate::name::DnsName;
use crate::provider::{Reading, TxtProvider};

/// The writers, made on first use: one per zone, provider and DNS client. Certificates with other servers for the zone
/// do not share one: what these servers answer concerns their own certificates only.
pub struct ZoneWriters {
    ledger: Arc<dyn Ledger>,
    recent: RecentSets,
    /// By zone and by the provider's credentials.
    writers: Mutex<HashMap<(DnsName, String), WritersOfZone>>,
}

/// The writers of one zone through one provider.
#[derive(Default)]
struct WritersOfZone {
    /// Held while the backend gets changes: from one process it gets them one after the other.
    turn: Arc<AsyncMutex<()>>,
    /// By the address of the DNS client, which the writer keeps.
    by_dns: HashMap<usize, Arc<ZoneWriter>>,
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

    /// The writer of `zone` through `provider`, which is opened if it is not yet. `dns` finds the servers of the zone, and
    /// reads its values there if the backend cannot be read.
    pub async fn get(
        &self,
        zone: &DnsName,
        provider: &Arc<ConfiguredProvider>,
        dns: &Arc<Dns>,
    ) -> Result<Arc<ZoneWriter>, OpenError> {
        let opened = provider.open().await?;
        let key = (zone.clone(), provider.credentials().to_owned());
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let WritersOfZone { turn, by_dns } = writers.entry(key).or_default();
        let writer = by_dns.entry(Arc::as_ptr(dns).addr()).or_insert_with(|| {
            let (configured, mut txt) = (Arc::clone(provider), Arc::clone(&opened.txt));
            if txt.reading() == Reading::AtServers {
                txt = Arc::new(AtServers::new(txt, Arc::clone(dns))) as Arc<dyn TxtProvider>;
            }
            let ledger = Arc::clone(&self.ledger);
            let (dns, turn) = (Arc::clone(dns), Arc::clone(turn));
            let writer = ZoneWriter::start(zone.clone(), configured, txt, ledger, dns, turn);
            Arc::new(writer)
        });
        Ok(Arc::clone(writer))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;
    use hickory_proto::rr::RecordType;
    use tokio::task::yield_now;

    use super::*;
    use crate::clock::SystemClock;
    use crate::dns::stub::{ALIAS_NAME, StubServer, ZONE, name};
    use crate::dns::{Config, ZoneServers};
    use crate::ledger::{Origin, RunId};
    use crate::provider::{Applied, Identity, Limits, ProviderError};
    use crate::testkit::MemoryLedger;
    use crate::testkit::memory_provider::MemoryProvider;
    use crate::txt::{Action, TxtChange, TxtSets};
    use crate::zone::ChangeContext;
    use crate::zone::recorder::Requested;

    /// A backend that cannot be read, and sees how many requests with changes are under way.
    #[derive(Debug)]
    struct Unreadable {
        backend: MemoryProvider,
        under_way: AtomicUsize,
    }

    #[async_trait]
    impl TxtProvider for Unreadable {
        async fn apply(
            &self,
            zone: &DnsName,
            changes: &[TxtChange],
        ) -> Result<Applied, ProviderError> {
            assert_eq!(self.under_way.fetch_add(1, Ordering::SeqCst), 0);
            for _ in 0..100 {
                yield_now().await;
            }
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            self.backend.apply(zone, changes).await
        }

        async fn values(&self, _: &DnsName, _: &[DnsName]) -> Result<TxtSets, ProviderError> {
            Ok(TxtSets::new())
        }

        async fn settle(&self, zone: &DnsName, applied: &Applied) -> Result<(), ProviderError> {
            self.backend.settle(zone, applied).await
        }

        fn reading(&self) -> Reading {
            Reading::AtServers
        }

        fn limits(&self) -> Limits {
            self.backend.limits()
        }

        fn identity(&self) -> Identity {
            self.backend.identity()
        }
    }

    fn provider() -> Arc<ConfiguredProvider> {
        let unreadable = Unreadable {
            backend: MemoryProvider::new([name(ZONE)]),
            under_way: AtomicUsize::new(0),
        };
        Arc::new(ConfiguredProvider::opened("a", unreadable))
    }

    fn writers() -> ZoneWriters {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ledger = Arc::new(MemoryLedger::new(Arc::clone(&clock)));
        ZoneWriters::new(ledger, clock)
    }

    /// A client that asks this server about the zone.
    fn client(server: &StubServer) -> Arc<Dns> {
        Arc::new(Dns::new(Config {
            zones: vec![ZoneServers {
                zone: name(ZONE),
                servers: vec![server.address],
            }],
            timeout: Duration::from_millis(300),
            allow_special_addresses: true,
            ..Config::default()
        }))
    }

    fn addition() -> Requested {
        Requested {
            change: TxtChange {
                name: name(ALIAS_NAME),
                value: "value".parse().unwrap(),
                action: Action::Add,
                ttl: None,
            },
            context: ChangeContext {
                run: RunId::new(Timestamp::UNIX_EPOCH),
                origin: Origin::default(),
            },
        }
    }

    #[tokio::test]
    async fn wrong_servers_of_one_client_keep_no_other_one_from_reading() {
        let (writers, provider) = (writers(), provider());
        let (good, wrong) = (StubServer::start(), StubServer::start());
        wrong.fail(Some(RecordType::TXT));
        let names = [name(ALIAS_NAME)];
        for (server, is_readable) in [(&wrong, false), (&good, true)] {
            let dns = client(server);
            let writer = writers.get(&name(ZONE), &provider, &dns).await.unwrap();
            assert_eq!(writer.values(&names).await.is_ok(), is_readable);
            let again = writers.get(&name(ZONE), &provider, &dns).await.unwrap();
            assert!(Arc::ptr_eq(&writer, &again));
        }
    }

    #[tokio::test]
    async fn a_backend_gets_the_changes_of_all_clients_one_after_the_other() {
        let (writers, provider) = (writers(), provider());
        let server = StubServer::start();
        let mut written = Vec::new();
        for _ in 0..3 {
            let dns = client(&server);
            let writer = writers.get(&name(ZONE), &provider, &dns).await.unwrap();
            written.extend(writer.begin_together(vec![vec![addition()]]));
        }
        for mut write in written {
            assert!(write.acknowledged().await.is_some());
        }
    }
}
