//! Pauses between polls of an order.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::{AcmeError, Operation};

const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_GROWTH: f64 = 1.4;
const PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// So many pauses without an answer take about three seconds.
const POLLS_USUAL: usize = 12;

/// The pauses while one operation is waited for. They grow from a short one.
#[derive(Debug)]
pub(super) struct Polls {
    operation: Operation,
    pause: Duration,
    waits: usize,
    deadline: Instant,
}

impl Polls {
    /// The pauses of an operation that may take this long.
    pub(super) fn new(operation: Operation, limit: Duration) -> Self {
        Polls {
            operation,
            pause: PAUSE_FIRST,
            waits: 0,
            deadline: Instant::now() + limit,
        }
    }

    /// What is waited for.
    pub(super) fn operation(&self) -> Operation {
        self.operation
    }

    /// Whether so many polls were not enough that something else may be wrong.
    pub(super) fn is_slow(&self) -> bool {
        self.waits > POLLS_USUAL
    }

    /// Waits for as long as the CA asked for, or for the next pause. Fails if the operation would then
    /// have taken too long.
    pub(super) async fn wait(&mut self, asked_for: Option<Duration>) -> Result<(), AcmeError> {
        self.waits += 1;
        let pause = asked_for.filter(|pause| !pause.is_zero());
        let pause = pause.unwrap_or_else(|| {
            let grown = self.pause.mul_f64(PAUSE_GROWTH).min(PAUSE_LONGEST);
            std::mem::replace(&mut self.pause, grown)
        });
        if Instant::now() + pause > self.deadline {
            let operation = self.operation;
            return Err(AcmeError::Timeout { operation });
        }
        // Nothing signals when the CA is done.
        sleep(pause).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polls() -> Polls {
        Polls::new(Operation::Validation, Duration::from_secs(10))
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_what_the_ca_asks_for_takes_precedence() {
        let mut polls = polls();
        let mut waited = Vec::new();
        for asked_for in [None, Some(3000), Some(0), None] {
            let started = Instant::now();
            let asked_for = asked_for.map(Duration::from_millis);
            polls.wait(asked_for).await.unwrap();
            waited.push(started.elapsed().as_millis());
        }
        assert_eq!(waited, [20, 3000, 28, 40]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_is_kept() {
        let started = Instant::now();
        let mut polls = polls();
        let error = polls.wait(Some(Duration::from_secs(11))).await.unwrap_err();
        assert!(matches!(error, AcmeError::Timeout { .. }), "{error}");
        assert!(started.elapsed().is_zero(), "there was nothing to wait for");
        while polls.wait(None).await.is_ok() {}
        assert!(started.elapsed() <= Duration::from_secs(10));
        assert!(started.elapsed() > Duration::from_secs(5));
    }
}
