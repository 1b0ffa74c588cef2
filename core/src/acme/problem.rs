//! Problem documents (RFC 8555 §6.7) and the errors of `instant-acme`, in our own types.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use instant_acme::Error;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::decode::{decode, decode_value, lenient};
use super::error::{AcmeError, Operation, ValidationFailure};
use super::response::retry_after;
use crate::printable::shortened;

const URN_PREFIX: &str = "urn:ietf:params:acme:error:";
/// The longest type of a problem that is shown, in characters.
const KIND_MAX: usize = 100;
/// The longest detail that is shown, in characters. Those of a certificate with 100 names have about 10,000.
const DETAIL_MAX: usize = 12_000;
/// The longest detail about one name that is kept beside that, in characters. A run keeps those of all its certificates.
const DETAIL_OF_NAME_MAX: usize = 100;
/// The details and names of all names together that are kept beside that, in octets: those of 100 names that are no
/// longer than usual.
const OF_NAMES_MAX: usize = 32 * 1024;
/// The longest name, in characters (RFC 1035 §2.3.4).
const NAME_MAX: usize = 255;
/// Names in one order at most CAs; more subproblems are not read.
const NAMES_MAX: usize = 100;

/// A problem document. Nothing in it is needed.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    detail: Option<String>,
    #[serde(default, deserialize_with = "first_subproblems")]
    subproblems: Vec<Subproblem>,
}

/// A problem of one name (RFC 8555 §6.7.1).
#[derive(Clone, Debug, Default, Deserialize)]
struct Subproblem {
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    detail: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    identifier: Option<Name>,
}

#[derive(Clone, Debug, Deserialize)]
struct Name {
    value: String,
}

/// The first subproblems, without what is none: a megabyte of zeros would take a multiple of that for as long as the
/// problem is kept.
fn first_subproblems<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<Subproblem>, D::Error> {
    let all: Option<Vec<Value>> = lenient(from)?;
    let all = all.into_iter().flatten();
    let read = all.filter_map(|one| decode_value(one).ok());
    Ok(read.take(NAMES_MAX).collect())
}

impl Problem {
    /// Whether it says nothing: some CAs have an empty one where there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.kind.is_none() && self.detail.is_none() && self.subproblems.is_empty()
    }

    /// What went wrong, if the CA says so.
    pub(super) fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

/// Whether a body is a problem document of ACME, whatever its media type is said to be.
fn is_problem(body: &[u8]) -> bool {
    let problem = decode::<Problem>(body).unwrap_or_default();
    problem
        .kind
        .is_some_and(|kind| kind.starts_with(URN_PREFIX))
}

/// Whether a response is one of ACME: a success, or a refusal with a problem document (RFC 7807), which need not be
/// called so. The transport reports all others (overload, gateways, error pages).
pub(super) fn is_for_acme(response: &Response<Bytes>) -> bool {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE);
    let is_called_so = kind
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/problem+json"));
    let is_refusal = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
    status.is_success() || (is_refusal && (is_called_so || is_problem(response.body())))
}

/// Returns the answer if it is a success, or else the problem that it reports.
pub(super) fn check(
    operation: Operation,
    response: Response<Bytes>,
    now: Timestamp,
) -> Result<Response<Bytes>, AcmeError> {
    if response.status().is_success() {
        return Ok(response);
    }
    Err(match decode(response.body()) {
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
    short_kind(problem.kind.as_deref())
}

fn short_kind(kind: Option<&str>) -> String {
    let kind = kind.unwrap_or("about:blank");
    shortened(kind.strip_prefix(URN_PREFIX).unwrap_or(kind), KIND_MAX)
}

/// The problems of names. There are no more names in an order.
fn subproblems(problem: &Problem) -> Vec<ValidationFailure> {
    let of_name = |subproblem: &Subproblem| {
        let identifier = subproblem.identifier.as_ref()?;
        Some(ValidationFailure {
            identifier: shortened(&identifier.value, NAME_MAX),
            kind: short_kind(subproblem.kind.as_deref()),
            detail: shortened(
                subproblem.detail.as_deref().unwrap_or_default(),
                DETAIL_OF_NAME_MAX,
            ),
        })
    };
    let mut left = OF_NAMES_MAX;
    let fits = |failure: &ValidationFailure| {
        let octets = failure.identifier.len() + failure.kind.len() + failure.detail.len();
        left.checked_sub(octets)
            .inspect(|rest| left = *rest)
            .is_some()
    };
    let all = problem.subproblems.iter().filter_map(of_name);
    all.take_while(fits).collect()
}

impl From<instant_acme::Problem> for Problem {
    fn from(problem: instant_acme::Problem) -> Self {
        Problem {
            kind: problem.r#type,
            detail: problem.detail,
            // They are about names, and accounts have none.
            subproblems: Vec::new(),
        }
    }
}

/// Converts an error of `instant-acme`.
pub(super) fn convert(operation: Operation, error: Error) -> AcmeError {
    match error {
        Error::Api(problem) => refusal(operation, &problem.into()),
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
        if let Some(name) = &subproblem.identifier {
            detail.push_str(&format!("{}: ", name.value));
        }
        let reason = subproblem.detail.as_ref().or(subproblem.kind.as_ref());
        detail.push_str(reason.map_or("no reason given", String::as_str));
        if detail.len() > DETAIL_MAX {
            break;
        }
    }
    shortened(&detail, DETAIL_MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_ca_says_of_many_names_takes_little_memory() {
        let subproblem = json!({
            "type": "x".repeat(500),
            "detail": "x".repeat(500),
            "identifier": { "type": "dns", "value": "x".repeat(500) },
        });
        let problem = json!({ "subproblems": vec![subproblem; NAMES_MAX] });
        let kept = subproblems(&serde_json::from_value(problem).unwrap());
        let octets =
            |one: &ValidationFailure| one.identifier.len() + one.kind.len() + one.detail.len();
        let octets: usize = kept.iter().map(octets).sum();
        assert!(
            (OF_NAMES_MAX / 2..=OF_NAMES_MAX).contains(&octets),
            "{octets}"
        );
    }
}
