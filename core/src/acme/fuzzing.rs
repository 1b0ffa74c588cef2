//! Where `crate::fuzzing` reaches in.

#![expect(clippy::expect_used, reason = "it panics where a promise is broken")]

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use reqwest::Url;

use super::error::AcmeError;
use super::{link, retry, transport};

/// The words of an answer that is no ACME server's.
pub(crate) fn transport_detail(body: &[u8]) -> String {
    let detail = transport::detail(body);
    assert!(detail.chars().count() <= 200, "{detail}");
    detail
}

/// A problem document (RFC 7807) as an error.
pub(crate) fn problem(body: &[u8]) -> Option<AcmeError> {
    let problem = serde_json::from_slice::<instant_acme::Problem>(body).ok()?;
    let error = instant_acme::Error::Api(problem);
    let _ = retry::is_bad_nonce(&error);
    Some(retry::translate("the order", error))
}

/// Headers, one a line, `name: value`.
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
    transport::bound_retry_after(&mut headers);
    let wait = transport::retry_after(&headers);
    assert!(
        wait.is_none_or(|wait| wait <= Duration::from_mins(1)),
        "{wait:?}"
    );
    for status in [
        StatusCode::OK,
        StatusCode::BAD_REQUEST,
        StatusCode::TOO_MANY_REQUESTS,
    ] {
        let _ = transport::is_for_acme(status, &headers);
    }
}
