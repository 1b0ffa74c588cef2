//! Nonces for signed requests (RFC 8555 §6.5). Every answer of the CA contains one for a later request.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The header field with a nonce (§6.5.1).
pub(super) const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");
/// How long a nonce is kept. CAs forget them after some time, and a forgotten one costs a round trip.
const AGE_MAX: Duration = Duration::from_mins(5);
/// Let's Encrypt accepts 20 requests for a nonce per second and address, and bursts of 10.
const REQUEST_EVERY: Duration = Duration::from_millis(50);
const BURST: u32 = 10;

/// The longest nonce. Those of CAs have less than 100 octets, and one of each answer is kept.
const NONCE_MAX: usize = 1_000;

/// Takes the nonce out of an answer.
pub(super) fn of(headers: &mut HeaderMap) -> Option<String> {
    let nonce = headers.remove(REPLAY_NONCE)?;
    let nonce = nonce.to_str().ok()?;
    (1..=NONCE_MAX)
        .contains(&nonce.len())
        .then(|| nonce.to_owned())
}

/// The nonces of one CA that were not used yet, and the pace of requests for more.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    /// The oldest first.
    unused: Mutex<VecDeque<(String, Instant)>>,
    arrived: Notify,
    pace: Mutex<Pace>,
    /// Those who need a nonce get one in the order in which they came.
    queue: tokio::sync::Mutex<()>,
}

impl Nonces {
    /// Adds a nonce from an answer.
    pub(super) fn put(&self, nonce: String) {
        self.unused().push_back((nonce, Instant::now()));
        self.arrived.notify_one();
    }

    /// The number of nonces that can be taken at once.
    pub(super) fn len(&self) -> usize {
        self.unused().len()
    }

    /// Takes the newest nonce. Returns `None` if there is none and the caller may request one now.
    pub(super) async fn take(&self) -> Option<String> {
        let _turn = self.queue.lock().await;
        loop {
            let newest = self.unused().pop_back();
            if let Some((nonce, _)) = newest {
                return Some(nonce);
            }
            match self.reserve() {
                Ok(()) => return None,
                Err(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.arrived.notified() => {}
                },
            }
        }
    }

    /// Waits until another nonce may be requested.
    pub(super) async fn wait_for_request(&self) {
        while let Err(at) = self.reserve() {
            sleep_until(at).await;
        }
    }

    /// Reserves a request, or returns when that is possible.
    fn reserve(&self) -> Result<(), Instant> {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.reserve(Instant::now())
    }

    /// All nonces that are not too old.
    fn unused(&self) -> MutexGuard<'_, VecDeque<(String, Instant)>> {
        let mut unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |(_, arrival): &(String, Instant)| arrival.elapsed() >= AGE_MAX;
        while unused.front().is_some_and(is_old) {
            unused.pop_front();
        }
        unused
    }
}

/// A bucket of [`BURST`] requests that gets one more every [`REQUEST_EVERY`].
#[derive(Debug, Default)]
struct Pace {
    /// When the bucket is full again.
    full_at: Option<Instant>,
}

impl Pace {
    fn reserve(&mut self, now: Instant) -> Result<(), Instant> {
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now));
        // There is a request in the bucket from when it needs less than a whole bucket to be full.
        let wait = (full_at + REQUEST_EVERY).saturating_duration_since(now + REQUEST_EVERY * BURST);
        if !wait.is_zero() {
            return Err(now + wait);
        }
        self.full_at = Some(full_at + REQUEST_EVERY);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::time::advance;

    use super::*;

    fn with(nonces: &[&str]) -> Nonces {
        let pool = Nonces::default();
        for nonce in nonces {
            pool.put((*nonce).to_owned());
        }
        pool
    }

    #[tokio::test(start_paused = true)]
    async fn no_nonce_is_taken_twice_and_the_newest_comes_first() {
        let pool = with(&["a", "b"]);
        assert_eq!(pool.take().await.as_deref(), Some("b"));
        assert_eq!(pool.take().await.as_deref(), Some("a"));
        assert_eq!(pool.take().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn old_nonces_are_dropped() {
        let pool = with(&["old"]);
        advance(AGE_MAX / 2).await;
        pool.put("new".to_owned());
        assert_eq!(pool.len(), 2);
        advance(AGE_MAX / 2).await;
        assert_eq!(pool.len(), 1);
        assert_eq!(pool.take().await.as_deref(), Some("new"));
        assert_eq!(pool.take().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_for_nonces_keep_the_limits_of_lets_encrypt() {
        let pool = Nonces::default();
        let started = Instant::now();
        let waits = join_all((0..30).map(|_| async {
            assert_eq!(pool.take().await, None);
            started.elapsed()
        }));
        let waits = waits.await;
        for from in [0, 5, 20] {
            let since = Duration::from_millis(from * 50);
            let in_a_second = waits
                .iter()
                .filter(|wait| (since..since + Duration::from_secs(1)).contains(*wait));
            assert!(in_a_second.count() <= 20 + 10, "{waits:?}");
        }
        let at_once = waits.iter().filter(|wait| wait.is_zero()).count();
        assert_eq!(at_once, 10);
        assert!(waits[29] >= Duration::from_secs(1), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_nonce_that_arrives_ends_the_wait_for_a_request() {
        let pool = Nonces::default();
        for _ in 0..BURST {
            assert_eq!(pool.take().await, None);
        }
        let mut waiting = Box::pin(pool.take());
        assert!(waiting.as_mut().now_or_never().is_none());
        pool.put("a".to_owned());
        assert_eq!(waiting.now_or_never(), Some(Some("a".to_owned())));
    }

    #[test]
    fn a_nonce_is_taken_out_of_an_answer() {
        let mut headers = HeaderMap::new();
        assert_eq!(of(&mut headers), None);
        headers.insert(REPLAY_NONCE, "n-1".parse().unwrap());
        assert_eq!(of(&mut headers).as_deref(), Some("n-1"));
        assert_eq!(of(&mut headers), None);
        for nonce in [String::new(), "n".repeat(NONCE_MAX + 1)] {
            headers.insert(REPLAY_NONCE, nonce.parse().unwrap());
            assert_eq!(of(&mut headers), None);
        }
    }
}
