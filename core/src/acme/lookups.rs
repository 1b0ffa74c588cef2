//! Looking up the hosts of one CA. A hostile one may name thousands, each of which resolves slowly.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Hosts that are looked up at a time. Each takes a thread of its own, whose sockets stay open until the system gives up,
/// which may take minutes: long after the request that needs the host.
const AT_ONCE: usize = 16;

/// Finds the addresses of a host, and waits for them.
type Find = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// The lookups for one CA, by the system. Clones share their number.
#[derive(Clone, Debug)]
pub(super) struct Lookups {
    turns: Arc<Semaphore>,
    find: Find,
}

impl Default for Lookups {
    fn default() -> Self {
        Lookups::by(|host| Ok((host, 0).to_socket_addrs()?.collect()))
    }
}

impl Lookups {
    fn by(find: Find) -> Self {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        Lookups { turns, find }
    }

    async fn addresses(self, host: String) -> io::Result<Vec<SocketAddr>> {
        // The semaphore is never closed.
        let turn = self.turns.acquire_owned().await.ok();
        let found = spawn_blocking(move || {
            // Until it has ended, even if nobody waits any more.
            let _turn = turn;
            (self.find)(&host)
        });
        found.await?
    }
}

impl Resolve for Lookups {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.clone().addresses(name.as_str().to_owned());
        Box::pin(async move {
            let found: Addrs = Box::new(addresses.await?.into_iter());
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, PoisonError};

    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn hosts_that_resolve_slowly_take_few_threads_even_if_nobody_waits_any_more() {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        static GATE: Mutex<()> = Mutex::new(());
        let lookups = Lookups::by(|_| {
            BEGUN.fetch_add(1, Ordering::Relaxed);
            drop(GATE.lock().unwrap_or_else(PoisonError::into_inner));
            Ok(Vec::new())
        });
        {
            let _closed = GATE.lock().unwrap();
            for _ in 0..3 {
                let hosts = (0..3 * AT_ONCE).map(|n| format!("h{n}.ca.example"));
                let found = join_all(hosts.map(|host| lookups.clone().addresses(host)));
                assert!(found.now_or_never().is_none());
            }
            assert_eq!(lookups.turns.available_permits(), 0);
        }
        // When they have ended, others are looked up.
        let next = lookups.addresses("ca.example".to_owned()).await;
        assert_eq!(next.unwrap(), []);
        assert!(BEGUN.load(Ordering::Relaxed) <= AT_ONCE + 1);
    }
}
