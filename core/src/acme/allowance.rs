//! How long a CA may take for an order, with all its answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout};

use super::error::{AcmeError, Operation};

/// What is left of the time that the CA may take. What others take meanwhile is not charged to it. Clones have the same
/// time.
#[derive(Clone, Debug)]
pub(super) struct Allowance(Arc<Mutex<Duration>>);

impl Allowance {
    /// For an order whose stages may take this long each. A CA that is overloaded lets each request be sent again several
    /// times, and there are a dozen for each order: the run, and what others wait for, would take hours.
    pub(super) fn of_stages(stage: Duration) -> Self {
        const STAGES: u32 = 2;
        Allowance(Arc::new(Mutex::new(stage.saturating_mul(STAGES))))
    }

    /// Does a part of the work. Fails if it is not done when the time is over. In a box, so that the flow stays small.
    pub(super) fn within<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        work: impl Future<Output = Result<T, AcmeError>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, AcmeError>> {
        Box::pin(async move {
            let begun = Instant::now();
            let left = *self.left();
            let done = timeout(left, work).await;
            *self.left() = left.saturating_sub(begun.elapsed());
            done.unwrap_or(Err(AcmeError::Timeout { operation }))
        })
    }

    fn left(&self) -> MutexGuard<'_, Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn parts_that_take_longer_together_fail() {
        let allowance = Allowance::of_stages(Duration::from_secs(5));
        let mut ends = Vec::new();
        for _ in 0..3 {
            let part = async {
                sleep(Duration::from_secs(4)).await;
                Ok(())
            };
            ends.push(allowance.within(Operation::Order, part).await.is_ok());
            // Others take their time.
            sleep(Duration::from_mins(1)).await;
        }
        assert_eq!(ends, [true, true, false]);
    }
}
