//! What is costly to make is made once for all who ask within some seconds.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// For how long something is fresh, at least.
const FRESH: Duration = Duration::from_secs(5);
/// It is fresh for so many times as long as it took, so that it takes a small part of the time of one core, however
/// often somebody asks.
const FRESH_TIMES: u32 = 20;

/// Something that is costly to make.
pub(super) struct Cache<T>(Arc<Mutex<Slot<T>>>);

/// What was made last, and until when it is fresh.
type Slot<T> = Option<(Instant, Arc<T>)>;

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Cache(Arc::default())
    }
}

impl<T: Send + Sync + 'static> Cache<T> {
    /// Returns it, made now if it is not fresh. Those who ask meanwhile wait for it. It is made to its end even if those who
    /// asked have gone: work on files cannot be ended, and each client that hangs up would begin it once more.
    pub(super) async fn get<E: Send + 'static>(
        &self,
        make: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<Arc<T>, E> {
        let mut slot = Arc::clone(&self.0).lock_owned().await;
        let began = Instant::now();
        if let Some((until, made)) = &*slot
            && began < *until
        {
            return Ok(Arc::clone(made));
        }
        let making = tokio::spawn(async move {
            let made = Arc::new(make.await?);
            let fresh = FRESH.max(began.elapsed() * FRESH_TIMES);
            *slot = Some((Instant::now() + fresh, Arc::clone(&made)));
            Ok(made)
        });
        match making.await {
            Ok(made) => made,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The process ends, and nobody is answered any more.
                Err(_) => pending().await,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_made_again_when_it_is_not_fresh() {
        let cache = Cache::default();
        let get = async |value: u32| {
            let made = cache.get(async move { Ok::<_, Infallible>(value) }).await;
            *made.unwrap_or_default()
        };
        assert_eq!(get(1).await, 1);
        tokio::time::advance(FRESH / 2).await;
        assert_eq!(get(2).await, 1);
        tokio::time::advance(FRESH).await;
        assert_eq!(get(3).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_is_made_rarely_and_a_failure_is_not_kept() {
        let cache = Cache::default();
        let long = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Ok::<_, &str>(1)
        };
        assert_eq!(cache.get(async { Err("no") }).await, Err("no"));
        assert_eq!(*cache.get(long).await.unwrap_or_default(), 1);
        tokio::time::advance(Duration::from_secs(59)).await;
        let other = async { Ok::<_, &str>(2) };
        assert_eq!(*cache.get(other).await.unwrap_or_default(), 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        let other = async { Ok::<_, &str>(2) };
        assert_eq!(*cache.get(other).await.unwrap_or_default(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waits_for_any_more_is_made_once() {
        let cache = Cache::default();
        let slow = |value: u32| async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Ok::<_, Infallible>(value)
        };
        for value in 1..10 {
            let gone = tokio::time::timeout(Duration::from_secs(1), cache.get(slow(value)));
            let gone = gone.await.ok().and_then(Result::ok);
            assert!(gone.is_none_or(|made| *made == 1));
        }
        assert_eq!(*cache.get(slow(10)).await.unwrap_or_default(), 1);
    }
}
