//! A bounded cache with single flight.
//!
//! A caller that asks for a key during its fetch waits for that fetch and gets its result, an error
//! included. After a while it fetches by itself. Values stay until they expire; errors are not kept. Time is tokio's
//! monotonic time.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

/// How long a caller waits for the fetch of another one. Somebody may have chosen that the other one first waits for slow
/// servers.
const PATIENCE: Duration = Duration::from_secs(2);

/// A value and the moment from which it must be fetched again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timed<T> {
    pub(crate) value: T,
    pub(crate) expires: Instant,
}

impl<T> Timed<T> {
    /// Another value that expires at the same time.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Timed<U> {
        Timed {
            value: change(self.value),
            expires: self.expires,
        }
    }
}

/// Filled by the first of those who ask; empty while the fetch is under way.
type Cell<V, E> = Arc<OnceCell<Result<Timed<V>, E>>>;

/// Values by key.
pub(crate) struct Cache<K, V, E> {
    capacity: usize,
    patience: Duration,
    cells: Mutex<HashMap<K, Cell<V, E>>>,
}

impl<K, V, E> fmt::Debug for Cache<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl<K: Clone + Eq + Hash, V: Clone, E: Clone> Cache<K, V, E> {
    /// An empty cache that keeps up to `capacity` values.
    pub(crate) fn new(capacity: usize) -> Self {
        Cache {
            capacity,
            patience: PATIENCE,
            cells: Mutex::default(),
        }
    }

    /// The same, in which a caller waits for the fetch of another one for this long.
    pub(crate) fn with_patience(capacity: usize, patience: Duration) -> Self {
        Cache {
            patience,
            ..Cache::new(capacity)
        }
    }

    /// The value of `key`, if it is known and not expired.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let now = Instant::now();
        match self.cells().get(key)?.get()? {
            Ok(timed) if timed.expires > now => Some(timed.value.clone()),
            _ => None,
        }
    }

    /// Stores a value that was found without a fetch, if it is not expired.
    pub(crate) fn insert(&self, key: K, value: Timed<V>) {
        if value.expires <= Instant::now() {
            return;
        }
        let mut cells = self.cells();
        self.make_room(&mut cells);
        cells.insert(key, Arc::new(OnceCell::new_with(Some(Ok(value)))));
    }

    /// The value of `key`: the one that is known, or else the result of `fetch`, which all concurrent
    /// callers share. If the caller that fetches is dropped, another one starts its own fetch. So does each one that has
    /// waited for long.
    pub(crate) async fn get_or_fetch(
        &self,
        key: &K,
        fetch: impl Future<Output = Result<Timed<V>, E>>,
    ) -> Result<Timed<V>, E> {
        let cell = self.cell(key);
        let mut fetch = pin!(fetch);
        let is_ours = AtomicBool::new(false);
        let shared = {
            let mut shared = pin!(cell.get_or_init(|| {
                is_ours.store(true, Ordering::Relaxed);
                fetch.as_mut()
            }));
            match timeout(self.patience, &mut shared).await {
                Ok(result) => Some(result.clone()),
                Err(_) if is_ours.load(Ordering::Relaxed) => Some(shared.await.clone()),
                Err(_) => None,
            }
        };
        let Some(result) = shared else {
            let timed = fetch.await?;
            self.insert(key.clone(), timed.clone());
            return Ok(timed);
        };
        if !is_current(&cell, Instant::now()) {
            let mut cells = self.cells();
            if cells.get(key).is_some_and(|kept| Arc::ptr_eq(kept, &cell)) {
                cells.remove(key);
            }
        }
        result
    }

    /// Forgets the values of the keys for which `wanted` is true. A fetch that is under way goes on, and
    /// its result is not kept.
    pub(crate) fn remove(&self, wanted: impl Fn(&K) -> bool) {
        self.cells().retain(|key, _| !wanted(key));
    }

    /// The cell of `key`: one with a value, one that is being filled, or a new one.
    fn cell(&self, key: &K) -> Cell<V, E> {
        let mut cells = self.cells();
        let now = Instant::now();
        if let Some(cell) = cells.get(key).filter(|cell| is_usable(cell, now)) {
            return Arc::clone(cell);
        }
        self.make_room(&mut cells);
        let cell = Cell::default();
        cells.insert(key.clone(), Arc::clone(&cell));
        cell
    }

    /// Drops what is expired from a full cache. If that is not enough, the quarter that expires first goes,
    /// so that the cost of a scan is shared by many insertions.
    fn make_room(&self, cells: &mut HashMap<K, Cell<V, E>>) {
        if cells.len() < self.capacity {
            return;
        }
        let now = Instant::now();
        // A cell that nobody else holds is not being filled.
        cells.retain(|_, cell| is_current(cell, now) || Arc::strong_count(cell) > 1);
        if cells.len() < self.capacity {
            return;
        }
        let expiry = |cell: &Cell<V, E>| match cell.get() {
            Some(Ok(timed)) => Some(timed.expires),
            _ => None,
        };
        let mut expiries: Vec<_> = cells.values().filter_map(expiry).collect();
        if expiries.is_empty() {
            return;
        }
        let quarter = expiries.len() / 4;
        let (_, last, _) = expiries.select_nth_unstable(quarter);
        let last = *last;
        cells.retain(|_, cell| expiry(cell).is_none_or(|expires| expires > last));
    }

    fn cells(&self) -> MutexGuard<'_, HashMap<K, Cell<V, E>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V, E> Cache<K, V, E> {
    /// The number of values, expired ones included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.len()
    }
}

/// Whether the cell has a value that is not expired.
fn is_current<V, E>(cell: &Cell<V, E>, now: Instant) -> bool {
    matches!(cell.get(), Some(Ok(timed)) if timed.expires > now)
}

/// Whether the cell has such a value, or is being filled.
fn is_usable<V, E>(cell: &Cell<V, E>, now: Instant) -> bool {
    cell.get().is_none() || is_current(cell, now)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::join_all;
    use tokio::time::{advance, sleep};

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn lasting<T>(value: T, duration: Duration) -> Timed<T> {
        Timed {
            value,
            expires: Instant::now() + duration,
        }
    }

    /// Counts its fetches, each of which takes a second.
    #[derive(Default)]
    struct Fetches(AtomicUsize);

    impl Fetches {
        async fn fetch<E>(&self, result: Result<u8, E>) -> Result<Timed<u8>, E> {
            self.0.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_secs(1)).await;
            result.map(|value| lasting(value, MINUTE))
        }

        fn count(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_fetched_again_when_it_has_expired() {
        let cache: Cache<_, _, Infallible> = Cache::new(8);
        let fetches = Fetches::default();
        for (wait, expected) in [(0, 1), (30, 1), (29, 1), (1, 2), (59, 2), (1, 3)] {
            advance(Duration::from_secs(wait)).await;
            let timed = cache.get_or_fetch(&"a", fetches.fetch(Ok(7))).await;
            assert_eq!(timed.unwrap().value, 7);
            assert_eq!(fetches.count(), expected, "after {wait} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_callers_share_one_fetch() {
        let cache: Cache<_, _, Infallible> = Cache::new(8);
        let fetches = Fetches::default();
        let callers = (0..100).map(|_| cache.get_or_fetch(&"a", fetches.fetch(Ok(7))));
        let values = join_all(callers).await;
        assert!(
            values
                .iter()
                .all(|timed| timed.as_ref().unwrap().value == 7)
        );
        assert_eq!(fetches.count(), 1);
        cache
            .get_or_fetch(&"b", fetches.fetch(Ok(8)))
            .await
            .unwrap();
        assert_eq!(fetches.count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_shared_by_concurrent_callers_and_not_kept() {
        let cache = Cache::new(8);
        let fetches = Fetches::default();
        let callers = (0..100).map(|_| cache.get_or_fetch(&"a", fetches.fetch(Err("SERVFAIL"))));
        let results = join_all(callers).await;
        assert!(results.iter().all(|result| *result == Err("SERVFAIL")));
        assert_eq!((fetches.count(), cache.len()), (1, 0));
        let later = cache.get_or_fetch(&"a", fetches.fetch(Ok(7))).await;
        assert_eq!((later.unwrap().value, fetches.count()), (7, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_without_a_lifetime_is_not_kept() {
        let cache: Cache<_, _, Infallible> = Cache::new(8);
        let fetch = async { Ok(lasting(7, Duration::ZERO)) };
        cache.get_or_fetch(&"a", fetch).await.unwrap();
        assert_eq!((cache.get(&"a"), cache.len()), (None, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_is_dropped_leaves_the_fetch_to_the_next() {
        let cache: Cache<_, _, Infallible> = Cache::new(8);
        let fetches = Fetches::default();
        let dropped = cache.get_or_fetch(&"a", fetches.fetch(Ok(7)));
        let dropped = timeout(Duration::from_millis(500), dropped);
        let patient = cache.get_or_fetch(&"a", fetches.fetch(Ok(8)));
        let (dropped, patient) = futures_util::future::join(dropped, patient).await;
        assert!(dropped.is_err());
        assert_eq!(patient.unwrap().value, 8);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_long_for_the_fetch_of_another() {
        let cache: Cache<_, _, Infallible> = Cache::new(8);
        let (begun, fetches) = (Instant::now(), Fetches::default());
        let good = async {
            let results = (0..3).map(|_| cache.get_or_fetch(&"a", fetches.fetch(Ok(7))));
            let results = join_all(results).await;
            assert!(
                results
                    .iter()
                    .all(|result| result.as_ref().unwrap().value == 7)
            );
            begun.elapsed()
        };
        tokio::select! {
            _ = cache.get_or_fetch(&"a", std::future::pending()) => {}
            waited = good => assert!(waited < PATIENCE * 2, "{waited:?}"),
        }
        // What they found is kept.
        assert_eq!(cache.get(&"a"), Some(7));
        // The fetch of one who waits for long is not given up.
        let cache: Cache<_, _, Infallible> = Cache::new(8);
        let slow = async {
            sleep(MINUTE).await;
            fetches.fetch(Ok(9)).await
        };
        let found = tokio::join!(cache.get_or_fetch(&"b", slow), async {
            sleep(MINUTE).await;
            cache.get_or_fetch(&"b", fetches.fetch(Ok(8))).await
        });
        assert_eq!((found.0.unwrap().value, found.1.unwrap().value), (9, 9));
        let cache: Cache<_, _, Infallible> = Cache::with_patience(8, Duration::MAX);
        let slow = async {
            sleep(MINUTE).await;
            fetches.fetch(Ok(9)).await
        };
        let found = tokio::join!(
            cache.get_or_fetch(&"b", slow),
            cache.get_or_fetch(&"b", fetches.fetch(Ok(8)))
        );
        assert_eq!((found.0.unwrap().value, found.1.unwrap().value), (9, 9));
    }

    #[tokio::test(start_paused = true)]
    async fn the_values_that_expire_first_make_room() {
        let cache: Cache<u64, u64, Infallible> = Cache::new(100);
        for key in 0..1_000 {
            // Those with an even key live longer.
            let seconds = if key % 2 == 0 { 3_600 } else { 60 };
            cache.insert(key, lasting(key, Duration::from_secs(seconds + key)));
            assert!(cache.len() <= 100, "{} values", cache.len());
        }
        assert_eq!(cache.get(&998), Some(998));
        let kept = |parity| {
            let keys = (0..1_000).filter(|key| key % 2 == parity);
            keys.filter(|key| cache.get(key).is_some()).count()
        };
        assert!(kept(0) > kept(1));
    }

    #[tokio::test(start_paused = true)]
    async fn abandoned_fetches_do_not_fill_the_cache() {
        let cache: Cache<u64, u8, Infallible> = Cache::new(10);
        for key in 0..100 {
            let fetch = cache.get_or_fetch(&key, std::future::pending());
            let _ = timeout(Duration::from_millis(1), fetch).await;
        }
        assert!(cache.len() <= 10, "{} cells", cache.len());
    }

    #[tokio::test(start_paused = true)]
    async fn values_are_forgotten_on_request() {
        let cache: Cache<_, _, Infallible> = Cache::new(8);
        for key in ["a", "b"] {
            cache.insert(key, lasting(1, MINUTE));
        }
        cache.remove(|key| *key == "a");
        assert_eq!((cache.get(&"a"), cache.get(&"b")), (None, Some(1)));
    }
}
