//! How many programs run at a time. Each takes several file descriptors, of which a process may have 1,024.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Programs of one provider that run at a time.
const OF_A_PROVIDER: usize = 20;
/// Programs of all providers that run at a time.
const OF_ALL: usize = 100;

static ALL: Semaphore = Semaphore::const_new(OF_ALL);

/// The places for the programs of one provider.
#[derive(Debug)]
pub(crate) struct Places(Semaphore);

/// A place, which is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    _own: SemaphorePermit<'a>,
    _of_all: SemaphorePermit<'static>,
}

impl Default for Places {
    fn default() -> Self {
        Places(Semaphore::new(OF_A_PROVIDER))
    }
}

impl Places {
    /// Waits for a place; `None` if the programs of the provider left none within `limit`. Those of others end by
    /// themselves, and are waited for.
    pub(crate) async fn take(&self, limit: Duration) -> Option<Place<'_>> {
        let own = timeout(limit, self.0.acquire()).await.ok()?.ok()?;
        Some(Place {
            _own: own,
            _of_all: ALL.acquire().await.ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn programs_of_a_provider_leave_places_to_others() {
        let (hung, good) = (Places::default(), Places::default());
        let mut taken = Vec::new();
        while let Some(place) = hung.take(SHORT).await {
            taken.push(place);
        }
        assert_eq!(taken.len(), OF_A_PROVIDER);
        assert!(good.take(SHORT).await.is_some());
        taken.pop();
        assert!(hung.take(SHORT).await.is_some());
    }
}
