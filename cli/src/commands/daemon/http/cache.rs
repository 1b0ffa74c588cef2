//! What is costly to make is made once for all who ask within some seconds.

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
pub(super) struct Cache<T>(Mutex<Option<(Instant, Arc<T>)>>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Cache(Mutex::new(None))
    }
}

impl<T> Cache<T> {
    /// Returns it, made now if it is not fresh. Those who ask meanwhile wait for it.
    pub(super) async fn get<E>(
        &self,
        make: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        let mut slot = self.0.lock().await;
        let began = Instant::now();
        if let Some((until, made)) = &*slot
            && began < *until
        {
            return Ok(Arc::clone(made));
        }
        let made = Arc::new(make.await?);
        let fresh = FRESH.max(began.elapsed() * FRESH_TIMES);
        *slot = Some((Instant::now() + fresh, Arc::clone(&made)));
        Ok(made)
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
            let made = cache.get(async { Ok::<_, Infallible>(value) }).await;
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
}
