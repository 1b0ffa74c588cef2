//! Problem documents (RFC 8555 §6.7) and the errors of `instant-acme`, in our own types.

use bytes::Bytes;
use http::Response;
use instant_acme::{Error, Problem, Subproblem};
use jiff::Timestamp;

use super::error::{AcmeError, Operation, ValidationFailure};
use super::response::retry_after;
use crate::printable::shortened;

const URN_PREFIX: &str = "urn:ietf:params:acme:error:";
/// The longest type of a problem that is shown, in characters.
const KIND_MAX: usize = 100;
/// The longest detail that is shown, in characters. Those of a certificate with 100 names have about 10,000.
const DETAIL_MAX: usize = 12_000;
/// The longest detail about one name that is shown, in characters.
const DETAIL_OF_NAME_MAX: usize = 1_000;
/// The longest name, in characters (RFC 1035 §2.3.4).
const NAME_MAX: usize = 255;
/// Names in one order, at most; more subproblems are not read.
const NAMES_MAX: usize = 1_000;

/// Returns the answer if it is a success, or else the problem that it reports.
pub(super) fn check(
    operation: Operation,
    response: Response<Bytes>,
    now: Timestamp,
) -> Result<Response<Bytes>, AcmeError> {
    if response.status().is_success() {
        return Ok(response);
    }
    Err(match serde_json::from_slice(response.body()) {
        Ok(problem) => AcmeError::Problem {
            operation,
            kind: kind(&problem),
            detail: detail(&problem),
            subproblems: subproblems(&problem),
            retry_after: retry_after(response.headers(), now),
        },
        Err(error) => AcmeError::invalid(operation, error),
    })
}

/// A refusal of the CA.
pub(super) fn refusal(operation: Operation, problem: &Problem) -> AcmeError {
    AcmeError::Problem {
        operation,
        kind: kind(problem),
        detail: detail(problem),
        subproblems: subproblems(problem),
        retry_after: None,
    }
}

/// Returns the type of a problem without its URN prefix.
pub(super) fn kind(problem: &Problem) -> String {
    short_kind(problem.r#type.as_deref())
}

fn short_kind(kind: Option<&str>) -> String {
    let kind = kind.unwrap_or("about:blank");
    shortened(kind.strip_prefix(URN_PREFIX).unwrap_or(kind), KIND_MAX)
}

/// The problems of names. There are no more names in an order.
fn subproblems(problem: &Problem) -> Vec<ValidationFailure> {
    let of_name = |subproblem: &Subproblem| {
        let identifier = subproblem.identifier.clone()?;
        Some(ValidationFailure {
            identifier: shortened(&identifier.authorized(false).to_string(), NAME_MAX),
            kind: short_kind(subproblem.r#type.as_deref()),
            detail: shortened(
                subproblem.detail.as_deref().unwrap_or_default(),
                DETAIL_OF_NAME_MAX,
            ),
        })
    };
    problem
        .subproblems
        .iter()
        .filter_map(of_name)
        .take(NAMES_MAX)
        .collect()
}

/// Converts an error of `instant-acme`.
pub(super) fn convert(operation: Operation, error: Error) -> AcmeError {
    match error {
        Error::Api(problem) => refusal(operation, &problem),
        Error::Other(other) => match other.downcast::<AcmeError>() {
            Ok(ours) => *ours,
            Err(other) => AcmeError::invalid(operation, other),
        },
        other => AcmeError::invalid(operation, other),
    }
}

fn detail(problem: &Problem) -> String {
    let detail = problem.detail.as_deref();
    let mut detail = detail.unwrap_or("no reason given").to_owned();
    for subproblem in &problem.subproblems {
        detail.push_str("; ");
        detail.push_str(&subproblem.to_string());
    }
    shortened(&detail, DETAIL_MAX)
}
