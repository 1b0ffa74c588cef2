//! How many requests of one client are under way at a time.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// The requests that one client may have under way. Each takes a connection, and a process may have 1,024 files open.
#[derive(Debug)]
pub struct Requests(Semaphore);

impl Requests {
    /// So many at a time.
    pub fn at_once(number: usize) -> Self {
        Requests(Semaphore::new(number))
    }

    /// A turn, which ends when it is dropped. The error says that none came within `limit`, which is the time for one
    /// answer: the server answers nobody.
    pub async fn turn(&self, limit: Duration) -> Result<SemaphorePermit<'_>, String> {
        let turn = timeout(limit, self.0.acquire()).await;
        turn.ok()
            .and_then(Result::ok)
            .ok_or_else(|| format!("other requests had no answer within {limit:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_waited_for_as_long_as_an_answer() {
        let requests = Requests::at_once(1);
        let limit = Duration::from_secs(30);
        let first = requests.turn(limit).await.unwrap();
        let error = requests.turn(limit).await.unwrap_err();
        assert_eq!(error, "other requests had no answer within 30s");
        drop(first);
        assert!(requests.turn(limit).await.is_ok());
    }
}
