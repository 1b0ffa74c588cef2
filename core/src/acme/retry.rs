//! Repeating requests where RFC 8555 or the server allows it.

use std::time::Duration;

use tokio::time::Instant;

use super::error::{AcmeError, Operation};

/// A rejected nonce (RFC 8555 §6.5) costs one round trip and nothing else. A busy server farm can reject
/// many in a row.
const NONCE_ATTEMPTS: usize = 200;
/// How long all attempts may take together: a server that rejects slowly would hold a run up for hours.
const TIME_MAX: Duration = Duration::from_mins(2);
/// Attempts if the server is overloaded or the connection breaks.
const ATTEMPTS: usize = 4;
/// The first pause between those, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// If the server asks for a longer pause, the request fails, and the error contains the pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The same for an order. Others wait for it, and its names may be all that the CA refuses.
const LONGEST_PAUSE_OF_ORDER: Duration = Duration::from_secs(5);

/// Decides whether a failed request is repeated, and waits before that.
pub(super) struct Retry {
    begun: Instant,
    rejected_nonces: usize,
    failures: usize,
    /// Why the request was repeated.
    repeated_after: Option<String>,
    pause: Duration,
    longest_pause: Duration,
}

impl Retry {
    /// No attempt has failed yet.
    pub(super) fn new() -> Self {
        Retry {
            begun: Instant::now(),
            rejected_nonces: 0,
            failures: 0,
            repeated_after: None,
            pause: FIRST_PAUSE,
            longest_pause: LONGEST_PAUSE,
        }
    }

    /// The same for a request of this kind.
    pub(super) fn of(operation: Operation) -> Self {
        let longest_pause = match operation {
            Operation::Order => LONGEST_PAUSE_OF_ORDER,
            _ => LONGEST_PAUSE,
        };
        Retry {
            longest_pause,
            ..Retry::new()
        }
    }

    /// Returns when the request may be repeated, or the error if another attempt cannot help.
    pub(super) async fn after(&mut self, error: AcmeError) -> Result<(), AcmeError> {
        let may_repeat = self.rejected_nonces < NONCE_ATTEMPTS && self.begun.elapsed() < TIME_MAX;
        if error.is_bad_nonce() && may_repeat {
            self.rejected_nonces += 1;
            return Ok(());
        }
        let wait = match &error {
            AcmeError::Transport(error) => error.retry_after(self.pause),
            _ => None,
        };
        self.failures += 1;
        match wait {
            Some(wait)
                if self.failures < ATTEMPTS
                    && wait <= self.longest_pause
                    && self.begun.elapsed() + wait < TIME_MAX =>
            {
                tracing::info!(%error, ?wait, "the request to the CA is repeated");
                self.repeated_after = Some(error.to_string());
                // A back-off: the server, or the path to it, needs time.
                tokio::time::sleep(wait).await;
                self.pause *= 2;
                Ok(())
            }
            _ => Err(self.with_cause(error)),
        }
    }

    /// The error, with the failure after which the request was repeated: the CA may refuse what it has half done.
    fn with_cause(&mut self, mut error: AcmeError) -> AcmeError {
        if let AcmeError::Problem { detail, .. } = &mut error
            && let Some(cause) = self.repeated_after.take()
        {
            detail.push_str("; before that, ");
            detail.push_str(&cause);
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::acme::TransportError;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_rejects_every_nonce_slowly_is_given_up() {
        let (begun, mut retry) = (Instant::now(), Retry::new());
        loop {
            sleep(Duration::from_secs(29)).await;
            let error = AcmeError::Problem {
                operation: Operation::Order,
                kind: "badNonce".to_owned(),
                detail: "once more".to_owned(),
                subproblems: Vec::new(),
                retry_after: None,
            };
            if retry.after(error).await.is_err() {
                break;
            }
        }
        assert!(begun.elapsed() < TIME_MAX + Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_lets_each_attempt_wait_is_given_up() {
        let (begun, mut retry) = (Instant::now(), Retry::new());
        loop {
            let error = AcmeError::Transport(TransportError::Status {
                url: "https://ca.example/directory".to_owned(),
                status: 503,
                retry_after: Some(Duration::from_mins(1)),
                detail: String::new(),
            });
            if retry.after(error).await.is_err() {
                break;
            }
        }
        assert_eq!(begun.elapsed(), Duration::from_mins(1));
    }
}
