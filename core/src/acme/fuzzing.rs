//! Entry points for `crate::fuzzing`.

#![expect(clippy::expect_used, reason = "a broken promise must panic")]

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use reqwest::Url;

use super::authorization::{Authorization, Dns01};
use super::decode::decode;
use super::directory::Directory;
use super::error::{AcmeError, Operation};
use super::order::State;
use super::problem::{self, Problem};
use super::{link, response};

/// The detail of an answer that is not one of ACME.
pub(crate) fn transport_detail(body: &[u8]) -> String {
    let detail = response::detail(body);
    assert!(detail.chars().count() <= 200, "{detail}");
    detail
}

/// A problem document (RFC 7807) as an error.
pub(crate) fn problem(body: &[u8]) -> Option<AcmeError> {
    let problem: Problem = decode(body).ok()?;
    let error = problem::refusal(Operation::Order, &problem);
    let _ = error.is_bad_nonce();
    Some(error)
}

/// What the body of an answer says, if it can be read as a directory, an order, an authorization or a challenge:
/// everything that is shown of it.
pub(crate) fn body(body: &[u8]) -> Vec<String> {
    let mut shown = Vec::new();
    if let Ok(directory) = decode::<Directory>(body)
        && let Err(error) = directory.checked()
    {
        shown.push(error.to_string());
    }
    if let Ok(Err(error)) = decode::<State>(body).map(|state| state.failure(Operation::Order)) {
        shown.push(error.to_string());
    }
    if let Ok(authorization) = Authorization::parse(body) {
        let names = ["example.com", "*.example.org"].map(|name| name.parse().expect("a name"));
        if let Some(failure) = authorization.failure() {
            shown.extend([failure.identifier, failure.kind, failure.detail]);
        }
        let foreign = authorization.name_of(&names).err();
        let no_token = authorization.token().err();
        shown.extend(foreign.into_iter().chain(no_token).map(|e| e.to_string()));
        let _ = (authorization.is_valid(), authorization.pending_challenge());
    }
    if let Ok(challenge) = Dns01::parse(body) {
        let refused = challenge.error().filter(|_| !challenge.is_valid());
        shown.extend(
            refused.map(|error| problem::refusal(Operation::Challenges, error).to_string()),
        );
    }
    shown
}

/// Header fields, one per line: `name: value`.
pub(crate) fn headers(text: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in text.split(|octet| *octet == b'\n') {
        let Some(colon) = line.iter().position(|octet| *octet == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    let base = Url::parse("https://ca.example/cert/1").expect("a URL");
    for target in link::targets(&headers, "alternate", &base) {
        assert!(target.starts_with("https://"), "{target}");
    }
    let now = Timestamp::UNIX_EPOCH;
    let wait = response::poll_after(&headers, now);
    assert!(
        wait.is_none_or(|wait| wait <= Duration::from_mins(1)),
        "{wait:?}"
    );
    for status in [
        StatusCode::OK,
        StatusCode::BAD_REQUEST,
        StatusCode::TOO_MANY_REQUESTS,
    ] {
        let mut response = Response::new(Bytes::copy_from_slice(text));
        *response.status_mut() = status;
        *response.headers_mut() = headers.clone();
        let _ = problem::is_for_acme(&response);
    }
}
