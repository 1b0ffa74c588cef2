//! Requests to the API: sent within the token's budget, and again if that can do no harm.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::provider::{Answer, Answers, Few, NotReceived, Requests};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tracing::debug;

use crate::budget::{Budget, LONGEST_WAIT};
use crate::config::Config;
use crate::error::{ApiError, Cause, RequestError};

/// In octets. A page of 5,000 records has a few million.
const BODY_MAX: usize = 16 * 1024 * 1024;
/// Requests that are under way at a time.
const REQUESTS_AT_ONCE: usize = 64;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts if the API is overloaded.
const ATTEMPTS: usize = 3;
/// The pause after the first attempt; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const AGENT: &str = concat!("acme-alias/", env!("CARGO_PKG_VERSION"));

/// A client with one token. Connections are opened at the first request.
pub(crate) struct Client {
    config: Config,
    http: OnceCell<reqwest::Client>,
    budget: OnceCell<Arc<Budget>>,
    requests: Requests,
    answers: Answers,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The envelope of every result.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope<T> {
    success: bool,
    #[serde(default)]
    errors: Few<ApiError>,
    pub(crate) result: Option<T>,
    result_info: Option<PageInfo>,
}

impl<T> Envelope<T> {
    /// Whether this page, counted from 1, is the last one.
    pub(crate) fn is_last(&self, page: u32) -> bool {
        let info = self.result_info.as_ref();
        info.is_none_or(|info| info.total_pages <= page)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct PageInfo {
    #[serde(default)]
    total_pages: u32,
}

impl Client {
    pub(crate) fn new(config: Config) -> Self {
        Client {
            config,
            http: OnceCell::new(),
            budget: OnceCell::new(),
            requests: Requests::at_once(REQUESTS_AT_ONCE),
            answers: Answers::default(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The configuration, to be changed before the first request.
    pub(crate) fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// The host of the API, for messages.
    pub(crate) fn host(&self) -> &str {
        self.config.base_url.host()
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Envelope<T>, RequestError> {
        let sent = self.send(Method::GET, path, query, None::<&()>).await;
        read(&sent?)
    }

    /// A text, which the API sends without the envelope.
    pub(crate) async fn get_text(&self, path: &str) -> Result<String, RequestError> {
        let response = self.send(Method::GET, path, &[], None::<&()>).await?;
        Ok(String::from_utf8_lossy(response.answer.octets()).into_owned())
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

    /// Sends a request; again if the API asks for that, or if it can do no harm.
    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<Response<'_>, RequestError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            let error = match self.send_once(method.clone(), path, query, body).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            match &error {
                // It was not carried out. The budget waits before the next one.
                RequestError::Refused {
                    status: 429,
                    retry_after: Some(wait),
                    ..
                } if *wait <= LONGEST_WAIT => {}
                RequestError::NoAnswer(_) | RequestError::Refused { status: 500.., .. }
                    if method == Method::GET =>
                {
                    // A back-off, because the API is overloaded.
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
    ) -> Result<Response<'_>, RequestError> {
        let budget = self.budget().await;
        if let Err(wait) = budget.turn().await {
            return Err(RequestError::Refused {
                status: 429,
                errors: Vec::new(),
                retry_after: Some(wait),
            });
        }
        let turn = self.requests.turn(self.config.timeout).await;
        let _turn = turn.map_err(|cause| RequestError::NotSent(cause.into()))?;
        debug!(%method, path, "request");
        let url = self.config.base_url.join(path);
        let mut request = self.http().await?.request(method, url).query(query);
        if let Some(body) = body {
            let body = serde_json::to_vec(body)
                .map_err(|error| RequestError::NotSent(error.to_string().into()))?;
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let timeout = self.config.timeout;
        let failed = |error| request_error(error, timeout);
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let retry_after = budget.note(status, response.headers());
        let mut answer = self.answers.begin().await;
        let not_received = |error| match error {
            NotReceived::Failed(error) => failed(error),
            NotReceived::NoRoom(reason) => RequestError::NoAnswer(reason.into()),
        };
        while answer
            .receive(BODY_MAX, response.chunk())
            .await
            .map_err(not_received)?
        {}
        debug!(path, status, octets = answer.octets().len(), "response");
        let response = Response { status, answer };
        response.successful(retry_after)
    }

    async fn budget(&self) -> &Budget {
        let Config {
            base_url,
            api_token,
            ..
        } = &self.config;
        let make = async || Budget::of(&base_url.to_string(), api_token);
        self.budget.get_or_init(make).await
    }

    async fn http(&self) -> Result<&reqwest::Client, RequestError> {
        let connect = async || {
            let config = self.config.clone();
            // It reads the system's certificates.
            let built = tokio::task::spawn_blocking(move || build(&config)).await;
            built.map_err(|error| RequestError::NotSent(error.to_string().into()))?
        };
        self.http.get_or_try_init(connect).await
    }
}

fn build(config: &Config) -> Result<reqwest::Client, RequestError> {
    // An error means that a provider is installed already, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let bearer = config.api_token.bearer();
    let bearer = bearer.map_err(|problem| RequestError::NotSent(problem.into()))?;
    reqwest::Client::builder()
        .user_agent(AGENT)
        .default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(config.timeout)
        .build()
        .map_err(|error| request_error(error, config.timeout))
}

/// An answer with its status.
#[derive(Debug)]
struct Response<'a> {
    status: u16,
    answer: Answer<'a>,
}

impl Response<'_> {
    /// The response, if its status reports success.
    fn successful(self, retry_after: Option<Duration>) -> Result<Self, RequestError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let refusal: Option<Envelope<IgnoredAny>> =
            serde_json::from_slice(self.answer.octets()).ok();
        Err(RequestError::Refused {
            status: self.status,
            errors: refusal.map(|refusal| refusal.errors.0).unwrap_or_default(),
            retry_after,
        })
    }
}

/// The result in a response.
fn read<T: DeserializeOwned>(response: &Response<'_>) -> Result<Envelope<T>, RequestError> {
    match serde_json::from_slice::<Envelope<T>>(response.answer.octets()) {
        Ok(envelope) if envelope.success => Ok(envelope),
        Ok(envelope) => Err(RequestError::Refused {
            status: response.status,
            errors: envelope.errors.0,
            retry_after: None,
        }),
        // A proxy or load balancer answered, so the outcome is unknown.
        Err(error) => {
            let cause = format!("the answer {} is not the API's: {error}", response.status);
            Err(RequestError::NoAnswer(cause.into()))
        }
    }
}

/// The error of the HTTP client, without a URL.
fn request_error(error: reqwest::Error, timeout: Duration) -> RequestError {
    let error = error.without_url();
    let was_not_sent = error.is_connect() || error.is_builder();
    let text = if error.is_timeout() {
        format!("no answer within {timeout:?}")
    } else {
        innermost(&error)
    };
    let cause = Cause::new(text, Arc::new(error));
    if was_not_sent {
        RequestError::NotSent(cause)
    } else {
        RequestError::NoAnswer(cause)
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::ready;

    use super::*;

    async fn read_answer(status: u16, body: &[u8]) -> Result<Envelope<()>, RequestError> {
        let answers = Answers::default();
        let mut answer = answers.begin().await;
        let whole = ready(Ok::<_, Infallible>(Some(body)));
        assert!(answer.receive(BODY_MAX, whole).await.is_ok());
        let response = Response { status, answer };
        read(&response.successful(None)?)
    }

    #[tokio::test]
    async fn an_answer_that_is_not_the_api_s_is_no_answer() {
        let html = b"<html>Bad gateway</html>";
        let refused = read_answer(502, html).await.unwrap_err();
        assert!(matches!(refused, RequestError::Refused { status: 502, .. }));
        let none = read_answer(200, html).await.unwrap_err();
        assert!(matches!(none, RequestError::NoAnswer(_)), "{none:?}");
        let error = br#"{"success":false,"errors":[{"code":81058,"message":"x"}],"result":null}"#;
        for status in [200, 400] {
            let RequestError::Refused { errors, .. } =
                read_answer(status, error).await.unwrap_err()
            else {
                panic!("not refused");
            };
            assert_eq!(errors[0].code, 81058);
        }
    }
}
