//! Repeating requests where RFC 8555 or the server allows it.

use std::time::Duration;

use super::error::AcmeError;

/// A rejected nonce (RFC 8555 §6.5) costs one round trip and nothing else. A busy server farm can reject
/// many in a row.
const NONCE_ATTEMPTS: usize = 200;
/// Attempts if the server is overloaded or the connection breaks.
const ATTEMPTS: usize = 4;
/// The first pause between those, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// If the server asks for a longer pause, the request fails, and the error contains the pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Decides whether a failed request is repeated, and waits before that.
pub(super) struct Retry {
    rejected_nonces: usize,
    failures: usize,
    pause: Duration,
}

impl Retry {
    /// No attempt has failed yet.
    pub(super) fn new() -> Self {
        Retry {
            rejected_nonces: 0,
            failures: 0,
            pause: FIRST_PAUSE,
        }
    }

    /// Returns when the request may be repeated, or the error if another attempt cannot help.
    pub(super) async fn after(&mut self, error: AcmeError) -> Result<(), AcmeError> {
        if error.is_bad_nonce() && self.rejected_nonces < NONCE_ATTEMPTS {
            self.rejected_nonces += 1;
            return Ok(());
        }
        let wait = match &error {
            AcmeError::Transport(error) => error.retry_after(self.pause),
            _ => None,
        };
        self.failures += 1;
        match wait {
            Some(wait) if self.failures < ATTEMPTS && wait <= LONGEST_PAUSE => {
                tracing::info!(%error, ?wait, "the request to the CA is repeated");
                // A back-off: the server, or the path to it, needs time.
                tokio::time::sleep(wait).await;
                self.pause *= 2;
                Ok(())
            }
            _ => Err(error),
        }
    }
}
