//! A value that is made once, however many calls need it at the same time.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, OnceCell};

/// A value, or the attempt to make it.
#[derive(Debug)]
pub(super) struct SingleFlight<T, E> {
    value: OnceCell<T>,
    /// The last failure. The lock is held during an attempt.
    last_failure: Mutex<Option<E>>,
    /// The number of attempts that failed.
    failures: AtomicU64,
}

impl<T, E: Clone> SingleFlight<T, E> {
    /// No attempt was made yet.
    pub(super) fn new() -> Self {
        SingleFlight {
            value: OnceCell::new(),
            last_failure: Mutex::new(None),
            failures: AtomicU64::new(0),
        }
    }

    /// Returns the value if there is one.
    pub(super) fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Returns the value, which the first call makes by `attempt`.
    ///
    /// There is one attempt at a time. If it fails, all calls that waited for it fail with the same
    /// error, and the next call tries again.
    pub(super) async fn get_or_try(
        &self,
        attempt: impl Future<Output = Result<T, E>>,
    ) -> Result<&T, E> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let failures = self.failures.load(Ordering::SeqCst);
        let mut last_failure = self.last_failure.lock().await;
        if self.failures.load(Ordering::SeqCst) > failures
            && let Some(error) = &*last_failure
        {
            return Err(error.clone());
        }
        let value = self.value.get_or_try_init(|| attempt).await;
        if let Err(error) = &value {
            *last_failure = Some(error.clone());
            self.failures.fetch_add(1, Ordering::SeqCst);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn calls_that_waited_for_a_failed_attempt_share_its_error_and_the_next_tries_again() {
        let flight = SingleFlight::<u8, u64>::new();
        let attempts = AtomicU64::new(0);
        let released = Notify::new();
        let attempt = async || {
            released.notified().await;
            Err(attempts.fetch_add(1, Ordering::SeqCst))
        };
        let calls = join_all((0..10).map(|_| flight.get_or_try(attempt())));
        // All calls begin before the attempt ends.
        let (results, ()) = tokio::join!(biased; calls, async { released.notify_one() });
        assert_eq!(results, [Err(0); 10]);
        released.notify_one();
        assert_eq!(flight.get_or_try(attempt()).await, Err(1));
        assert_eq!(flight.get_or_try(async { Ok(7) }).await, Ok(&7));
        assert_eq!(flight.get_or_try(attempt()).await, Ok(&7));
        assert_eq!(flight.get(), Some(&7));
    }
}
