//! Reading HTTP responses.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::Timestamp;
use serde::Deserialize;

use crate::printable::printable;

/// The longest wait while an order is open. A CA that asks for more is polled sooner.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);
/// The longest start of a page that is shown, in characters.
const PAGE_MAX: usize = 200;
/// The longest detail of a problem that is shown, in characters. Let's Encrypt puts links of several hundred there.
const DETAIL_MAX: usize = 2_000;

/// Reads `Retry-After` (RFC 9110 §10.2.3), which is in seconds or a date. `None` if there is none, it
/// cannot be read, or the date has passed.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = http_date(text)?;
    Duration::try_from(date.duration_since(now)).ok()
}

/// What time the server has (`Date`, RFC 9110 §6.6.1), if it says so.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?.trim())
}

fn http_date(text: &str) -> Option<Timestamp> {
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
}

/// Returns how long to wait before the next poll of an order, limited to [`RETRY_AFTER_MAX`].
pub(super) fn poll_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    Some(retry_after(headers, now)?.min(RETRY_AFTER_MAX))
}

/// Returns the detail of a problem document, or the start of any other body, on one line.
pub(super) fn detail(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    let (text, limit) = match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => (problem.detail, DETAIL_MAX),
        Err(_) => (String::from_utf8_lossy(body).into_owned(), PAGE_MAX),
    };
    printable(&text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(limit)
        .collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const NOW: &str = "2026-11-23T12:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn headers(retry_after: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after).unwrap());
        headers
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let wait = |text| retry_after(&headers(text), now());
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        let date = wait("Mon, 23 Nov 2026 12:00:30 GMT");
        assert_eq!(date, Some(Duration::from_secs(30)));
        assert_eq!(wait("Mon, 23 Nov 2026 11:59:59 GMT"), None);
        assert_eq!(wait("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now()), None);
    }

    #[test]
    fn an_order_is_polled_within_a_minute() {
        let wait = |text| poll_after(&headers(text), now()).map(|wait| wait.as_secs());
        assert_eq!(wait("999999999"), Some(60));
        assert_eq!(wait("3"), Some(3));
        assert_eq!(wait("Mon, 23 Nov 2026 12:00:30 GMT"), Some(30));
        assert_eq!(wait("Mon, 23 Nov 2099 12:00:30 GMT"), Some(60));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn an_error_page_becomes_one_short_line() {
        let page = format!("<html>\n<title>502\u{1b}[31m</title>{}", "x".repeat(1000));
        let line = detail(page.as_bytes());
        assert!(
            line.starts_with("<html> <title>502\\u{1b}[31m</title>"),
            "{line}"
        );
        assert_eq!(line.chars().count(), 200);
        assert_eq!(detail(br#"{"type":"x","detail":"too many"}"#), "too many");
    }
}
