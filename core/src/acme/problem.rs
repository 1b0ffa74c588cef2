//! Problem documents (RFC 8555 §6.7) and the errors of `instant-acme`, in our own types.

use std::sync::Arc;

use instant_acme::{Error, Problem};

use super::error::{AcmeError, Operation, TransportError};
use crate::printable::printable;

const URN_PREFIX: &str = "urn:ietf:params:acme:error:";

/// Whether the server only wants the same request with another nonce.
pub(super) fn is_bad_nonce(error: &Error) -> bool {
    matches!(error, Error::Api(problem) if kind(problem) == "badNonce")
}

/// Returns the type of a problem without its URN prefix.
pub(super) fn kind(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().unwrap_or("about:blank");
    printable(kind.strip_prefix(URN_PREFIX).unwrap_or(kind))
}

/// Converts an error of `instant-acme`.
pub(super) fn convert(operation: Operation, error: Error) -> AcmeError {
    match error {
        Error::Api(problem) => AcmeError::Problem {
            operation,
            kind: kind(&problem),
            detail: detail(&problem),
        },
        Error::Other(other) => match other.downcast::<TransportError>() {
            Ok(transport) => AcmeError::Transport(*transport),
            Err(other) => AcmeError::InvalidAnswer {
                operation,
                source: Arc::from(other),
            },
        },
        Error::Timeout(_) => AcmeError::Timeout { operation },
        other => AcmeError::InvalidAnswer {
            operation,
            source: Arc::new(other),
        },
    }
}

fn detail(problem: &Problem) -> String {
    let detail = problem.detail.as_deref();
    let mut detail = detail.unwrap_or("no reason given").to_owned();
    for subproblem in &problem.subproblems {
        detail.push_str("; ");
        detail.push_str(&subproblem.to_string());
    }
    printable(&detail)
}
