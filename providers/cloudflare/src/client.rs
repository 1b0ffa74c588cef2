//! One request to the API, and what came of it.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::provider::OptionError;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::config::Config;

/// A page of 5,000 records is some megabytes.
const BODY_MAX: usize = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Cloudflare takes 1,200 requests in five minutes, and then none for five minutes
/// (<https://developers.cloudflare.com/fundamentals/api/reference/limits/>). With what is taken at
/// once and what is added in that time, a provider sends at most 1,100.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(500).unwrap();
const PER_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// Attempts where the API is overloaded.
const ATTEMPTS: usize = 3;
/// The first pause between those, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Where the API asks for a longer pause, the caller is told.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const AGENT: &str = concat!("acme-alias/", env!("CARGO_PKG_VERSION"));

/// A client for one token. Clones share its connections and its budget.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base_url: Url,
    timeout: Duration,
    budget: Arc<DefaultDirectRateLimiter>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.base_url.as_str())
            .finish_non_exhaustive()
    }
}

/// What the API wraps around every result.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope<T> {
    pub(crate) success: bool,
    #[serde(default)]
    pub(crate) errors: Vec<ApiError>,
    pub(crate) result: Option<T>,
    pub(crate) result_info: Option<PageInfo>,
}

/// An error in the API's words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ApiError {
    pub(crate) code: u32,
    #[serde(default)]
    pub(crate) message: String,
    /// More of them: the reasons for this one.
    #[serde(default)]
    pub(crate) error_chain: Vec<ApiError>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PageInfo {
    #[serde(default)]
    pub(crate) total_pages: u32,
}

/// A request that gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestError {
    /// Nothing was sent.
    NotSent(String),
    /// It was sent, and no usable answer came.
    NoAnswer(String),
    /// The API said no.
    Refused {
        status: u16,
        errors: Vec<ApiError>,
        retry_after: Option<Duration>,
    },
}

impl Client {
    pub(crate) fn new(config: &Config) -> Result<Self, OptionError> {
        // An error says that a provider is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let bearer = format!("Bearer {}", config.api_token.expose_secret());
        let mut bearer = HeaderValue::try_from(bearer)
            .map_err(|_| OptionError::new("api-token", "cannot be sent in a header"))?;
        bearer.set_sensitive(true);
        let http = reqwest::Client::builder()
            .user_agent(AGENT)
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(config.timeout)
            .build()
            .map_err(|error| OptionError::new("base-url", in_words(&error, config.timeout)))?;
        let quota = Quota::per_second(PER_SECOND).allow_burst(AT_ONCE);
        Ok(Client {
            http,
            base_url: config.base_url.clone(),
            timeout: config.timeout,
            budget: Arc::new(RateLimiter::direct(quota)),
        })
    }

    /// Where the API is, for messages.
    pub(crate) fn host(&self) -> &str {
        self.base_url.host_str().unwrap_or_default()
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Envelope<T>, RequestError> {
        self.send(Method::GET, path, query, None::<&()>).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Envelope<T>, RequestError> {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Envelope<T>, RequestError> {
        self.send(Method::DELETE, path, &[], None::<&()>).await
    }

    /// Sends a request, and again where that is asked for, or can do no harm.
    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<Envelope<T>, RequestError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            let error = match self.send_once(method.clone(), path, query, body).await {
                Ok(envelope) => return Ok(envelope),
                Err(error) => error,
            };
            let wait = match &error {
                RequestError::Refused {
                    status: 429,
                    retry_after: Some(wait),
                    ..
                } if *wait <= LONGEST_PAUSE => *wait,
                RequestError::NoAnswer(_) | RequestError::Refused { status: 500.., .. }
                    if method == Method::GET =>
                {
                    pause
                }
                _ => return Err(error),
            };
            debug!(path, ?error, ?wait, "the request is sent again");
            // A back-off: the API wants time.
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
        self.send_once(method, path, query, body).await
    }

    async fn send_once<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<Envelope<T>, RequestError> {
        self.budget.until_ready().await;
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        debug!(%method, path, "request");
        let mut request = self.http.request(method, url).query(query);
        if let Some(body) = body {
            let body = serde_json::to_vec(body)
                .map_err(|error| RequestError::NotSent(error.to_string()))?;
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let failed = |error: reqwest::Error| {
            let words = in_words(&error, self.timeout);
            if error.is_connect() || error.is_builder() {
                RequestError::NotSent(words)
            } else {
                RequestError::NoAnswer(words)
            }
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > BODY_MAX {
                let words = format!("it answered with more than {BODY_MAX} octets");
                return Err(RequestError::NoAnswer(words));
            }
            body.extend_from_slice(&chunk);
        }
        debug!(path, status, octets = body.len(), "response");
        read(status, retry_after, &body)
    }
}

/// The result in an answer, or what the answer says instead.
fn read<T: DeserializeOwned>(
    status: u16,
    retry_after: Option<Duration>,
    body: &[u8],
) -> Result<Envelope<T>, RequestError> {
    match serde_json::from_slice::<Envelope<T>>(body) {
        Ok(envelope) if envelope.success && (200..300).contains(&status) => Ok(envelope),
        // An answer that is not the API's comes from something before it: nothing is known.
        Err(error) if (200..300).contains(&status) => {
            let words =
                format!("it answered {status} with something that is not the API's: {error}");
            Err(RequestError::NoAnswer(words))
        }
        _ => {
            let refusal: Option<Envelope<serde_json::Value>> = serde_json::from_slice(body).ok();
            Err(RequestError::Refused {
                status,
                errors: refusal.map(|refusal| refusal.errors).unwrap_or_default(),
                retry_after,
            })
        }
    }
}

/// Seconds, in `retry-after`, or as the `t` of `ratelimit: "default";r=0;t=30`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let seconds = text(RETRY_AFTER.as_str()).or_else(|| {
        let mut parameters = text("ratelimit")?.split(';').map(str::trim);
        parameters.find_map(|parameter| parameter.strip_prefix("t="))
    });
    seconds?.trim().parse().ok().map(Duration::from_secs)
}

/// The innermost cause; a URL is in none of them, nor is a header.
fn in_words(error: &reqwest::Error, timeout: Duration) -> String {
    if error.is_timeout() {
        return format!("no answer within {timeout:?}");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))])
    }

    #[test]
    fn both_headers_tell_how_long_to_wait() {
        let seconds = |name, value| retry_after(&headers(name, value)).map(|d| d.as_secs());
        assert_eq!(seconds("retry-after", "30"), Some(30));
        assert_eq!(seconds("ratelimit", "\"default\";r=0;t=240"), Some(240));
        assert_eq!(seconds("retry-after", "soon"), None);
    }

    #[test]
    fn an_answer_that_is_not_the_api_s_is_none() {
        let html = b"<html>Bad gateway</html>";
        let refused = read::<()>(502, None, html).unwrap_err();
        assert!(matches!(refused, RequestError::Refused { status: 502, .. }));
        let none = read::<()>(200, None, html).unwrap_err();
        assert!(matches!(none, RequestError::NoAnswer(_)), "{none:?}");
        let error = br#"{"success":false,"errors":[{"code":81058,"message":"x"}],"result":null}"#;
        let RequestError::Refused { errors, .. } = read::<()>(400, None, error).unwrap_err() else {
            panic!("not refused");
        };
        assert_eq!(errors[0].code, 81058);
    }
}
