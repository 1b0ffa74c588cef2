//! HTTPS to the certification authority: bounded in time and size, and honest about what came.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use jiff::Timestamp;
use serde::Deserialize;

use super::chains::Chains;
use super::error::TransportError;
use crate::printable::printable;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Certificate chains are a few kilobytes; a directory with all its metadata is less.
const BODY_MAX: usize = 1024 * 1024;
/// A CA that asks to be left alone for longer than this while an order is open is asked sooner.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);
const AGENT: &str = concat!("acme-alias/", env!("CARGO_PKG_VERSION"), " instant-acme");

/// How long the CA may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For one answer, to its last octet.
    pub request: Duration,
    /// For validating an order, and again for signing.
    pub order: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            request: Duration::from_secs(30),
            order: Duration::from_mins(5),
        }
    }
}

/// The HTTPS client for one certification authority. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Transport {
    client: reqwest::Client,
    pub(super) patience: Timeouts,
    pub(super) chains: Chains,
}

/// The part of an ACME directory that `instant-acme` does not show (RFC 8555 §7.1.1).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DirectoryMeta {
    pub(super) terms_of_service: Option<String>,
    pub(super) external_account_required: bool,
}

#[derive(Deserialize)]
struct Directory {
    #[serde(default)]
    meta: DirectoryMeta,
}

impl Transport {
    /// A client that trusts the system's roots, and `extra_root` (PEM) where there is one. A
    /// proxy is taken from the environment (`HTTPS_PROXY`, `NO_PROXY`).
    pub fn new(extra_root: Option<&[u8]>, patience: Timeouts) -> Result<Self, TransportError> {
        // An error says that a provider is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let setup = |error: reqwest::Error| TransportError::Setup(innermost(&error));
        let mut builder = reqwest::Client::builder()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(patience.request);
        if let Some(pem) = extra_root {
            let roots = reqwest::Certificate::from_pem_bundle(pem).map_err(setup)?;
            if roots.is_empty() {
                return Err(TransportError::Setup(
                    "the extra root file has no certificate".into(),
                ));
            }
            builder = builder.tls_certs_merge(roots);
        }
        Ok(Transport {
            client: builder.build().map_err(setup)?,
            patience,
            chains: Chains::default(),
        })
    }

    /// Reads the directory's metadata; the error tells what is at the URL in its place.
    pub(super) async fn directory_meta(&self, url: &str) -> Result<DirectoryMeta, DirectoryError> {
        let request = Request::get(url)
            .body(Bytes::new())
            .map_err(|error| DirectoryError::NotAcme(error.to_string()))?;
        let response = self.exchange(request).await?;
        let directory: Directory = serde_json::from_slice(response.body())
            .map_err(|error| DirectoryError::NotAcme(error.to_string()))?;
        Ok(directory.meta)
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let url = request.uri().to_string();
        if request.uri().scheme_str() != Some("https") {
            return Err(TransportError::NotHttps { url });
        }
        let mut request = reqwest::Request::try_from(request)
            .map_err(|error| TransportError::Setup(innermost(&error)))?;
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static(AGENT));
        tracing::debug!(method = %request.method(), url, "request");
        let mut response = self
            .client
            .execute(request)
            .await
            .map_err(|error| failed(&url, &error))?;
        let status = response.status();
        let mut headers = std::mem::take(response.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| failed(&url, &error))?
        {
            if body.len() + chunk.len() > BODY_MAX {
                return Err(TransportError::TooLarge {
                    url,
                    limit: BODY_MAX,
                });
            }
            body.extend_from_slice(&chunk);
        }
        tracing::debug!(
            url,
            status = status.as_u16(),
            octets = body.len(),
            "response"
        );
        if !is_for_acme(status, &headers) {
            return Err(TransportError::Status {
                url,
                status: status.as_u16(),
                retry_after: retry_after(&headers),
                detail: detail(&body),
            });
        }
        bound_retry_after(&mut headers);
        let body = body.freeze();
        if status.is_success() {
            self.chains.see(&url, &headers, &body);
        }
        let mut whole = Response::new(body);
        *whole.status_mut() = status;
        *whole.headers_mut() = headers;
        Ok(whole)
    }
}

/// Why a directory could not be read.
pub(super) enum DirectoryError {
    Transport(TransportError),
    NotAcme(String),
}

impl From<TransportError> for DirectoryError {
    fn from(error: TransportError) -> Self {
        DirectoryError::Transport(error)
    }
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let transport = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            match transport.exchange(Request::from_parts(parts, body)).await {
                Ok(response) => Ok(BytesResponse::from(response.map(Full::new))),
                Err(error) => Err(instant_acme::Error::Other(Box::new(error))),
            }
        })
    }
}

/// Whether an answer speaks ACME: a success, or a refusal as a problem document (RFC 7807).
/// All others (overload, gateways, error pages) are this transport's to report.
pub(super) fn is_for_acme(status: StatusCode, headers: &HeaderMap) -> bool {
    let is_problem = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/problem+json"));
    status.is_success()
        || (is_problem && status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS)
}

/// RFC 9110 §10.2.3: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Duration::try_from(date.timestamp().duration_since(Timestamp::now())).ok()
}

pub(super) fn bound_retry_after(headers: &mut HeaderMap) {
    if retry_after(headers).is_some_and(|wait| wait > RETRY_AFTER_MAX) {
        headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_MAX.as_secs()));
    }
}

/// The problem's own words, or the beginning of whatever came, fit for one line.
pub(super) fn detail(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    let text = match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => problem.detail,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    printable(&text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(200)
        .collect()
}

fn failed(url: &str, error: &reqwest::Error) -> TransportError {
    let url = url.to_owned();
    let cause = innermost(error);
    if is_certificate_error(error) {
        TransportError::Untrusted { url, cause }
    } else if error.is_timeout() {
        TransportError::Unreachable {
            url,
            cause: "no answer in time".to_owned(),
        }
    } else {
        TransportError::Unreachable { url, cause }
    }
}

fn is_certificate_error(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        matches!(
            cause.downcast_ref(),
            Some(rustls::Error::InvalidCertificate(_))
        )
    })
}

/// The error at the bottom says what happened; those above repeat the URL.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    causes(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

/// The error and all that it is due to. What an [`io::Error`] wraps is no source of it.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(
        Some(error),
        |error: &&'a (dyn StdError + 'static)| match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => (*error).source(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(retry_after: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after).unwrap());
        headers
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        assert_eq!(retry_after(&headers("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&headers("Fri, 31 Dec 1999 23:59:59 GMT")), None);
        let far = retry_after(&headers("Fri, 31 Dec 2100 23:59:59 GMT")).unwrap();
        assert!(far > Duration::from_hours(8760));
        assert_eq!(retry_after(&headers("soon")), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn an_absurd_retry_after_is_cut_to_the_bound() {
        let mut absurd = headers("999999999");
        bound_retry_after(&mut absurd);
        assert_eq!(retry_after(&absurd), Some(RETRY_AFTER_MAX));
        let mut sane = headers("3");
        bound_retry_after(&mut sane);
        assert_eq!(retry_after(&sane), Some(Duration::from_secs(3)));
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

    #[tokio::test]
    async fn what_is_not_https_is_never_asked() {
        let transport = Transport::new(None, Timeouts::default()).unwrap();
        let request = Request::get("http://127.0.0.1:1/directory")
            .body(Bytes::new())
            .unwrap();
        let error = transport.exchange(request).await.unwrap_err();
        assert!(matches!(error, TransportError::NotHttps { .. }), "{error}");
    }
}
