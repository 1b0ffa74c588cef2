//! The sockets for queries, of which a process has a limited number: the rest of its file descriptors is for
//! files, the CA and the backends.
//!
//! When they are short, a query waits for one. The name that has used sockets least goes first: names whose
//! servers are slow hold each socket for as long as they can, and must not hold up all others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, getrlimit};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Queries under way at a time, in the whole process.
const QUERIES_MAX: u64 = 256;
/// Those of them over TCP. An answer of 64 KB takes megabytes of memory until it is used.
const TCP_QUERIES_MAX: usize = 24;
/// The sockets that one query may have open: one for each time that it is sent.
const SOCKETS_OF_A_QUERY: u64 = 3;
/// File descriptors that queries leave to others.
const RESERVED: u64 = 256;
/// What a query that is under way counts, in microseconds, until it has ended.
const UNDER_WAY: u64 = 50_000;

/// File descriptors belong to the process, and so do the permits for them.
static SOCKETS: LazyLock<Arc<Sockets>> = LazyLock::new(|| {
    let limit = getrlimit(Resource::Nofile).current;
    let queries = queries_at_once(limit.unwrap_or(u64::MAX));
    Arc::new(Sockets::new(usize::try_from(queries).unwrap_or(1)))
});

/// The turns of queries over TCP.
static TCP: LazyLock<Arc<Sockets>> = LazyLock::new(|| Arc::new(Sockets::new(TCP_QUERIES_MAX)));

/// Waits until a query that has its sockets may go on over TCP. `usage` is that of the name that it is for.
pub(super) async fn tcp_permit(usage: Option<Arc<Usage>>) -> Permit {
    TCP.permit(usage.unwrap_or_default()).await
}

/// Waits until a query may open its sockets. `usage` is that of the name that it is for, if there is one.
pub(super) async fn permit(usage: Option<Arc<Usage>>) -> Permit {
    SOCKETS.permit(usage.unwrap_or_default()).await
}

/// How long the queries for one name have had their sockets, in microseconds.
#[derive(Debug, Default)]
pub(super) struct Usage(AtomicU64);

impl Usage {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The sockets of a process.
#[derive(Debug)]
struct Sockets(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    /// Queries that wait, the first one first.
    waiting: Vec<(Arc<Usage>, oneshot::Sender<Permit>)>,
}

/// A query may open its sockets, until this is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    sockets: Arc<Sockets>,
    usage: Arc<Usage>,
    since: Instant,
}

impl Sockets {
    fn new(free: usize) -> Self {
        let waiting = Vec::new();
        Sockets(Mutex::new(State { free, waiting }))
    }

    async fn permit(self: &Arc<Self>, usage: Arc<Usage>) -> Permit {
        let (sender, turn) = oneshot::channel();
        self.state().waiting.push((Arc::clone(&usage), sender));
        self.hand_out();
        match turn.await {
            Ok(permit) => permit,
            // It is dropped only after the permit was sent.
            Err(_) => Permit::new(self, usage),
        }
    }

    /// Hands out what is free.
    fn hand_out(self: &Arc<Self>) {
        while let Some((usage, turn)) = self.next() {
            // If nobody waits for it any more, it is dropped, and handed out again.
            drop(turn.send(Permit::new(self, usage)));
        }
    }

    /// Takes the query out that goes first, if a socket is free.
    fn next(&self) -> Option<(Arc<Usage>, oneshot::Sender<Permit>)> {
        let mut state = self.state();
        state.waiting.retain(|(_, turn)| !turn.is_closed());
        if state.free == 0 {
            return None;
        }
        let waiting = state.waiting.iter().enumerate();
        let (first, _) = waiting.min_by_key(|(_, (usage, _))| usage.get())?;
        state.free -= 1;
        Some(state.waiting.remove(first))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    fn new(sockets: &Arc<Sockets>, usage: Arc<Usage>) -> Self {
        usage.0.fetch_add(UNDER_WAY, Ordering::Relaxed);
        Permit {
            sockets: Arc::clone(sockets),
            usage,
            since: Instant::now(),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let used = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        let Usage(usage) = &*self.usage;
        usage.fetch_add(used, Ordering::Relaxed);
        usage.fetch_sub(UNDER_WAY, Ordering::Relaxed);
        self.sockets.state().free += 1;
        self.sockets.hand_out();
    }
}

/// How many queries may be under way with this limit of file descriptors.
fn queries_at_once(descriptors: u64) -> u64 {
    let left = descriptors - RESERVED.min(descriptors / 2);
    (left / SOCKETS_OF_A_QUERY).clamp(1, QUERIES_MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    #[test]
    fn queries_leave_file_descriptors_to_others() {
        for (descriptors, expected) in [(u64::MAX, 256), (1_024, 256), (512, 85), (64, 10), (0, 1)]
        {
            assert_eq!(queries_at_once(descriptors), expected, "{descriptors}");
        }
    }

    /// Sends so many queries for one name at a time; returns how long all of them took.
    async fn send(sockets: &Arc<Sockets>, queries: usize, each: Duration) -> Duration {
        let (begun, usage) = (Instant::now(), Arc::new(Usage::default()));
        let query = async || {
            let _permit = sockets.permit(Arc::clone(&usage)).await;
            sleep(each).await;
        };
        join_all((0..queries).map(|_| query())).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn names_with_slow_servers_hold_up_no_other() {
        let sockets = Arc::new(Sockets::new(8));
        let slow = (0..50).map(|_| send(&sockets, 16, Duration::from_secs(1)));
        let good = async {
            sleep(Duration::from_secs(10)).await;
            send(&sockets, 8, Duration::from_millis(10)).await
        };
        let (slow, good) = tokio::join!(join_all(slow), good);
        assert!(slow.iter().max() >= Some(&Duration::from_secs(100)));
        assert!(good < Duration::from_secs(2), "{good:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_nobody_waits_for_goes_to_the_next() {
        let sockets = Arc::new(Sockets::new(1));
        let held = sockets.permit(Arc::default()).await;
        let given_up = sockets.permit(Arc::default());
        let given_up = tokio::time::timeout(Duration::from_secs(1), given_up).await;
        assert!(given_up.is_err());
        let mut polled = Box::pin(sockets.permit(Arc::default()));
        assert!(futures_util::poll!(&mut polled).is_pending());
        drop(held);
        drop(polled);
        let next = sockets.permit(Arc::default()).await;
        drop(next);
        assert_eq!(sockets.state().free, 1);
    }
}
