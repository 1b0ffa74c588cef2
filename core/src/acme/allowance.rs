//! How long a CA may take for an order, with all its answers.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout};

use super::error::{AcmeError, Operation};

/// What is left of the time that the CA may take. What others take meanwhile is not charged to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance(Duration);

impl Allowance {
    /// For an order whose stages may take this long each. A CA that is overloaded lets each request be sent again several
    /// times, and there are a dozen for each order: the run, and what others wait for, would take hours.
    pub(super) fn of_stages(stage: Duration) -> Self {
        const STAGES: u32 = 2;
        Allowance(stage.saturating_mul(STAGES))
    }

    /// Does a part of the work. Fails if it is not done when the time is over. In a box, so that the flow stays small.
    pub(super) fn within<'a, T: Send + 'a>(
        &'a mut self,
        operation: Operation,
        work: impl Future<Output = Result<T, AcmeError>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, AcmeError>> {
        Box::pin(async move {
            let begun = Instant::now();
            let done = timeout(self.0, work).await;
            self.0 = self.0.saturating_sub(begun.elapsed());
            done.unwrap_or(Err(AcmeError::Timeout { operation }))
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn parts_that_take_longer_together_fail() {
        let mut allowance = Allowance::of_stages(Duration::from_secs(5));
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
