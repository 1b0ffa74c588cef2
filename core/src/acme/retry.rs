//! Trying again where RFC 8555 or the server says so, and translating what is final.

use std::time::Duration;

use instant_acme::Error;

use super::error::{AcmeError, TransportError};
use crate::printable::printable;

/// A rejected nonce (RFC 8555 §6.5) costs one round trip and nothing else. `instant-acme` gives up
/// after three, which a busy server farm can exceed.
const NONCE_ATTEMPTS: usize = 200;
/// Attempts where the server is overloaded or the connection broke.
const ATTEMPTS: usize = 4;
/// The first pause between those, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A server that asks for a longer pause is not waited for; the error says how long it asked.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Carries out `attempt` until it succeeds or fails for good. `what` completes "the CA refused …".
pub(super) async fn retrying<T>(
    what: &'static str,
    mut attempt: impl AsyncFnMut() -> Result<T, Error>,
) -> Result<T, AcmeError> {
    let mut nonces = 0;
    let mut failures = 0;
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if is_bad_nonce(&error) && nonces < NONCE_ATTEMPTS {
            nonces += 1;
            continue;
        }
        let error = translate(what, error);
        let wait = match &error {
            AcmeError::Transport(error) => error.retry_after(pause),
            _ => None,
        };
        failures += 1;
        match wait {
            Some(wait) if failures < ATTEMPTS && wait <= LONGEST_PAUSE => {
                tracing::info!(%error, ?wait, "the CA is asked again");
                // A back-off: the server, or the path to it, wants time.
                tokio::time::sleep(wait).await;
                pause *= 2;
            }
            _ => return Err(error),
        }
    }
}

/// Whether the server only wants the same request with another nonce.
pub(super) fn is_bad_nonce(error: &Error) -> bool {
    matches!(error, Error::Api(problem)
        if problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:badNonce"))
}

/// The error in this crate's terms.
pub(super) fn translate(what: &'static str, error: Error) -> AcmeError {
    match error {
        Error::Api(problem) => {
            let kind = problem.r#type.as_deref().unwrap_or("about:blank");
            let kind = kind
                .strip_prefix("urn:ietf:params:acme:error:")
                .unwrap_or(kind);
            let kind = printable(kind);
            let mut detail = problem
                .detail
                .unwrap_or_else(|| "no reason given".to_owned());
            for subproblem in &problem.subproblems {
                detail.push_str("; ");
                detail.push_str(&subproblem.to_string());
            }
            let detail = printable(&detail);
            AcmeError::Problem { what, kind, detail }
        }
        Error::Other(other) => match other.downcast::<TransportError>() {
            Ok(transport) => AcmeError::Transport(*transport),
            Err(other) => AcmeError::NotAcme {
                what,
                cause: printable(&other.to_string()),
            },
        },
        Error::Timeout(_) => AcmeError::Timeout { what },
        other => AcmeError::NotAcme {
            what,
            cause: printable(&other.to_string()),
        },
    }
}
