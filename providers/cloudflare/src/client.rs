//! One request to the API, and what came of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::provider::OptionError;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::budget::{Budget, LONGEST_WAIT};
use crate::config::Config;

/// A page of 5,000 records is some megabytes.
const BODY_MAX: usize = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts where the API is overloaded.
const ATTEMPTS: usize = 3;
/// The first pause between those, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const AGENT: &str = concat!("acme-alias/", env!("CARGO_PKG_VERSION"));

/// A client for one token. Clones share its connections and its budget.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base_url: Url,
    timeout: Duration,
    budget: Arc<Budget>,
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
        Ok(Client {
            http,
            base_url: config.base_url.clone(),
            timeout: config.timeout,
            budget: Budget::of(config.base_url.as_str(), &config.api_token),
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
        let sent = self.send(Method::GET, path, query, None::<&()>).await;
        read(&sent?)
    }

    /// A file, which the API gives without the envelope.
    pub(crate) async fn get_text(&self, path: &str) -> Result<String, RequestError> {
        let response = self.send(Method::GET, path, &[], None::<&()>).await?;
        Ok(String::from_utf8_lossy(&response.body).into_owned())
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Envelope<T>, RequestError> {
        read(&self.send(Method::POST, path, &[], Some(body)).await?)
    }

    pub(crate) async fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Envelope<T>, RequestError> {
        let sent = self.send(Method::DELETE, path, &[], None::<&()>).await;
        read(&sent?)
    }

    /// Sends a request, and again where that is asked for, or can do no harm.
    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<Response, RequestError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            let error = match self.send_once(method.clone(), path, query, body).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            match &error {
                // It was not carried out; the budget knows when the next may go out.
                RequestError::Refused {
                    status: 429,
                    retry_after: Some(wait),
                    ..
                } if *wait <= LONGEST_WAIT => {}
                RequestError::NoAnswer(_) | RequestError::Refused { status: 500.., .. }
                    if method == Method::GET =>
                {
                    // A back-off: the API is in trouble.
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                _ => return Err(error),
            }
            debug!(path, ?error, "the request is sent again");
        }
        self.send_once(method, path, query, body).await
    }

    async fn send_once(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<Response, RequestError> {
        if let Err(wait) = self.budget.turn().await {
            return Err(RequestError::Refused {
                status: 429,
                errors: Vec::new(),
                retry_after: Some(wait),
            });
        }
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
        let retry_after = self.budget.heed(status, response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > BODY_MAX {
                let words = format!("it answered with more than {BODY_MAX} octets");
                return Err(RequestError::NoAnswer(words));
            }
            body.extend_from_slice(&chunk);
        }
        debug!(path, status, octets = body.len(), "response");
        Response { status, body }.successful(retry_after)
    }
}

/// An answer with a status of success.
#[derive(Debug)]
struct Response {
    status: u16,
    body: Vec<u8>,
}

impl Response {
    /// The response, unless it says no.
    fn successful(self, retry_after: Option<Duration>) -> Result<Self, RequestError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let refusal: Option<Envelope<serde_json::Value>> = serde_json::from_slice(&self.body).ok();
        Err(RequestError::Refused {
            status: self.status,
            errors: refusal.map(|refusal| refusal.errors).unwrap_or_default(),
            retry_after,
        })
    }
}

/// The result in a response.
fn read<T: DeserializeOwned>(response: &Response) -> Result<Envelope<T>, RequestError> {
    match serde_json::from_slice::<Envelope<T>>(&response.body) {
        Ok(envelope) if envelope.success => Ok(envelope),
        Ok(envelope) => Err(RequestError::Refused {
            status: response.status,
            errors: envelope.errors,
            retry_after: None,
        }),
        // An answer that is not the API's comes from something before it: nothing is known.
        Err(error) => Err(RequestError::NoAnswer(format!(
            "it answered {} with something that is not the API's: {error}",
            response.status
        ))),
    }
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

    fn read_answer(status: u16, body: &[u8]) -> Result<Envelope<()>, RequestError> {
        let body = body.to_vec();
        read(&Response { status, body }.successful(None)?)
    }

    #[test]
    fn an_answer_that_is_not_the_api_s_is_none() {
        let html = b"<html>Bad gateway</html>";
        let refused = read_answer(502, html).unwrap_err();
        assert!(matches!(refused, RequestError::Refused { status: 502, .. }));
        let none = read_answer(200, html).unwrap_err();
        assert!(matches!(none, RequestError::NoAnswer(_)), "{none:?}");
        let error = br#"{"success":false,"errors":[{"code":81058,"message":"x"}],"result":null}"#;
        for status in [200, 400] {
            let RequestError::Refused { errors, .. } = read_answer(status, error).unwrap_err()
            else {
                panic!("not refused");
            };
            assert_eq!(errors[0].code, 81058);
        }
    }
}
