//! Asking the CA when to renew (RFC 9773).

use http::Method;
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use serde::Deserialize;

use super::client::{Client, request};
use super::decode::{decode, lenient};
use super::error::{AcmeError, Operation, TransportError};
use super::problem::check;
use super::response::retry_after;
use crate::printable::shortened;
use crate::renewal::{Look, Suggestion};

/// The longest URL of an explanation that is kept, in characters.
const EXPLANATION_MAX: usize = 500;

/// What the CA answers (§4.2).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    suggested_window: SuggestedWindow,
    #[serde(default, rename = "explanationURL", deserialize_with = "lenient")]
    explanation_url: Option<String>,
}

#[derive(Deserialize)]
struct SuggestedWindow {
    start: Timestamp,
    end: Timestamp,
}

/// Asks once; `None` if the CA does not answer such questions.
pub(super) async fn ask(
    client: &Client,
    renewal_id: &str,
) -> Result<Option<Suggestion>, AcmeError> {
    let operation = Operation::RenewalInfo;
    let Some(base) = client.directory().await?.renewal_info() else {
        return Ok(None);
    };
    let url = format!("{}/{renewal_id}", base.trim_end_matches('/'));
    let request = request(Method::GET, &url, operation)?;
    let now = client.now();
    let response = check(operation, client.send(request).await?, now)?;
    let answer: Answer =
        decode(response.body()).map_err(|error| AcmeError::invalid(operation, error))?;
    let wait = retry_after(response.headers(), now);
    Ok(Some(Suggestion {
        start: answer.suggested_window.start,
        end: answer.suggested_window.end,
        explanation: answer.explanation_url.as_deref().and_then(page),
        retry_after: wait.map(|wait| SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX)),
    }))
}

/// What a look came to that failed. What has no answer now may have one soon (§4.3.3).
pub(super) fn failed(error: &AcmeError) -> Look {
    match error {
        AcmeError::Transport(
            TransportError::Unreachable { .. }
            | TransportError::Timeout { .. }
            | TransportError::Status {
                status: 429 | 500..,
                ..
            },
        ) => Look::Unanswered,
        _ => Look::Nothing,
    }
}

/// The URL of a page for people.
fn page(url: &str) -> Option<String> {
    let parsed = Url::parse(url).ok()?;
    let is_web = matches!(parsed.scheme(), "http" | "https");
    is_web.then(|| shortened(parsed.as_str(), EXPLANATION_MAX))
}
