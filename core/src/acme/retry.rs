//! Repeating requests where RFC 8555 or the server allows it.

use std::time::Duration;

use instant_acme::Error;

use super::error::{AcmeError, Operation};
use super::problem::{convert, is_bad_nonce};

/// A rejected nonce (RFC 8555 §6.5) costs one round trip and nothing else. `instant-acme` gives up
/// after three, which a busy server farm can exceed.
const NONCE_ATTEMPTS: usize = 200;
/// Attempts if the server is overloaded or the connection breaks.
const ATTEMPTS: usize = 4;
/// The first pause between those, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// If the server asks for a longer pause, the request fails, and the error contains the pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Decides whether a failed request is repeated, and waits before that.
pub(super) struct Retry {
    operation: Operation,
    rejected_nonces: usize,
    failures: usize,
    pause: Duration,
}

impl Retry {
    pub(super) fn new(operation: Operation) -> Self {
        Retry {
            operation,
            rejected_nonces: 0,
            failures: 0,
            pause: FIRST_PAUSE,
        }
    }

    /// Returns when the request may be repeated, or the error if another attempt cannot help.
    pub(super) async fn after(&mut self, error: Error) -> Result<(), AcmeError> {
        if is_bad_nonce(&error) && self.rejected_nonces < NONCE_ATTEMPTS {
            self.rejected_nonces += 1;
            return Ok(());
        }
        let error = convert(self.operation, error);
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

/// Evaluates a block that ends in a `Result<_, instant_acme::Error>`, again and again until it succeeds or fails
/// with an error that another attempt cannot help. A macro, because the future of an async closure that borrows
/// cannot be shown to be `Send`, which a task needs.
macro_rules! retry {
    ($operation:expr, $attempt:expr) => {{
        let mut retry = $crate::acme::retry::Retry::new($operation);
        loop {
            let outcome: Result<_, instant_acme::Error> = async { $attempt }.await;
            match outcome {
                Ok(done) => break Ok(done),
                Err(error) => {
                    if let Err(error) = retry.after(error).await {
                        break Err(error);
                    }
                }
            }
        }
    }};
}

pub(super) use retry;
