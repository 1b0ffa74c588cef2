//! How many programs run at a time. Each takes several file descriptors, of which a process may have 1,024.

use std::time::Duration;

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Programs of one provider that run at a time.
const OF_A_PROVIDER: usize = 20;
/// Programs of all providers that run at a time. `FIRST` places are for providers that have no other one there, `MORE` are
/// for all.
const FIRST: usize = 25;
const MORE: usize = 75;

static FIRST_OF_ALL: Semaphore = Semaphore::const_new(FIRST);
static MORE_OF_ALL: Semaphore = Semaphore::const_new(MORE);

/// The places for the programs of one provider.
#[derive(Debug)]
pub(crate) struct Places {
    all: Semaphore,
    /// Held by the program that has one of the `FIRST` places.
    first: Semaphore,
}

/// A place, which is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    _own: SemaphorePermit<'a>,
    _first: Option<SemaphorePermit<'a>>,
    _of_all: SemaphorePermit<'static>,
}

impl Default for Places {
    fn default() -> Self {
        Places {
            all: Semaphore::new(OF_A_PROVIDER),
            first: Semaphore::new(1),
        }
    }
}

impl Places {
    /// Waits for a place; `None` if there was none within `limit`.
    pub(crate) async fn take(&self, limit: Duration) -> Option<Place<'_>> {
        let taken = timeout(limit, self.wait()).await.ok()?;
        taken.ok()
    }

    async fn wait(&self) -> Result<Place<'_>, AcquireError> {
        let own = self.all.acquire().await?;
        let first = async {
            let first = self.first.acquire().await?;
            Ok((Some(first), FIRST_OF_ALL.acquire().await?))
        };
        let more = async { Ok((None, MORE_OF_ALL.acquire().await?)) };
        let (first, of_all) = tokio::select! {
            biased;
            taken = first => taken?,
            taken = more => taken?,
        };
        Ok(Place {
            _own: own,
            _first: first,
            _of_all: of_all,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_mins(2);

    async fn all_of(places: &Places) -> Vec<Place<'_>> {
        let mut taken = Vec::new();
        while let Some(place) = places.take(LIMIT).await {
            taken.push(place);
        }
        taken
    }

    // One test, because all providers have the same places.
    #[tokio::test(start_paused = true)]
    async fn programs_of_providers_that_hang_leave_places_to_others() {
        let (hung, good) = (Places::default(), Places::default());
        let others: [Places; 10] = Default::default();
        let mut taken = all_of(&hung).await;
        assert_eq!(taken.len(), OF_A_PROVIDER);
        taken.pop();
        assert!(hung.take(LIMIT).await.is_some());

        for places in &others {
            taken.extend(all_of(places).await);
        }
        assert!(taken.len() < FIRST + MORE);
        // One after the other, and not only once.
        for _ in 0..3 {
            let place = good.take(LIMIT).await;
            assert!(place.is_some());
            assert!(good.take(LIMIT).await.is_none());
        }
    }
}
