//! Requests to the API: bounded, without redirects, and sent again if that can do no harm.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::provider::{Answer, Answers, NotReceived, Requests};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tracing::debug;

use crate::config::Config;
use crate::error::{Cause, RequestError};
use crate::parameters::LOCALHOST;

/// In octets. A record takes about 150.
const BODY_MAX: usize = 32 * 1024 * 1024;
/// Requests that are under way at a time.
const REQUESTS_AT_ONCE: usize = 64;
/// Octets of an error. It is kept while the request waits to be sent again. The text of a longer one is not read.
const ERROR_MAX: usize = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts to read if the server is overloaded.
const ATTEMPTS: usize = 3;
/// The pause after the first attempt; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const AGENT: &str = concat!("acme-alias/", env!("CARGO_PKG_VERSION"));
/// <https://doc.powerdns.com/authoritative/http-api/index.html#authentication>
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A client with one key. Connections are opened at the first request.
pub(crate) struct Client {
    config: Config,
    http: OnceCell<reqwest::Client>,
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

/// An error as the API reports it: <https://doc.powerdns.com/authoritative/http-api/index.html#errors>.
#[derive(Debug, Deserialize)]
struct ApiError {
    error: String,
}

impl Client {
    pub(crate) fn new(config: Config) -> Self {
        Client {
            config,
            http: OnceCell::new(),
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

    /// Reads an object; again if the server is overloaded or the answer got lost.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, RequestError> {
        self.get_with(path, |octets| serde_json::from_slice(octets))
            .await
    }

    /// The same, where `read` makes the object from an answer.
    pub(crate) async fn get_with<T>(
        &self,
        path: &str,
        read: impl Fn(&[u8]) -> serde_json::Result<T>,
    ) -> Result<T, RequestError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.get_once(path, &read).await {
                Err(error) if error.is_unknown() => {
                    debug!(path, ?error, "the request is sent again");
                    // A back-off, because the server is overloaded.
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                result => return result,
            }
        }
        self.get_once(path, &read).await
    }

    async fn get_once<T>(
        &self,
        path: &str,
        read: impl Fn(&[u8]) -> serde_json::Result<T>,
    ) -> Result<T, RequestError> {
        let answer = self.send(Method::GET, path, None::<&()>).await?;
        read(answer.octets()).map_err(|error| {
            // A proxy or another web server answered.
            let cause = format!("the answer is not the API's: {error}");
            RequestError::NoAnswer(cause.into())
        })
    }

    /// Sends a request once; returns a successful answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Answer<'_>, RequestError> {
        let turn = self.requests.turn(self.config.timeout).await;
        let _turn = turn.map_err(|cause| RequestError::NotSent(cause.into()))?;
        debug!(%method, path, "request");
        let url = self.config.url.join(path);
        let mut request = self.http().await?.request(method, url);
        if let Some(body) = body {
            let body = serde_json::to_vec(body)
                .map_err(|error| RequestError::NotSent(error.to_string().into()))?;
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let timeout = self.config.timeout;
        let failed = |error| request_error(error, timeout);
        let mut response = request.send().await.map_err(failed)?;
        let (status, is_error) = (response.status().as_u16(), !response.status().is_success());
        let mut answer = self.answers.begin().await;
        let not_received = |error| match error {
            NotReceived::Failed(error) => failed(error),
            NotReceived::NoRoom(_) if is_error => RequestError::Refused { status, text: None },
            NotReceived::NoRoom(reason) => RequestError::NoAnswer(reason.into()),
        };
        let max = if is_error { ERROR_MAX } else { BODY_MAX };
        while answer
            .receive(max, response.chunk())
            .await
            .map_err(not_received)?
        {}
        debug!(path, status, octets = answer.octets().len(), "response");
        if !is_error {
            return Ok(answer);
        }
        let error: Option<ApiError> = serde_json::from_slice(answer.octets()).ok();
        let text = error.map(|error| error.error);
        Err(RequestError::Refused { status, text })
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
    let key = config.api_key.header();
    let key = key.map_err(|problem| RequestError::NotSent(problem.into()))?;
    let mut builder = reqwest::Client::builder()
        .user_agent(AGENT)
        .default_headers(HeaderMap::from_iter([(API_KEY, key)]))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(config.timeout);
    if config.url.is_plain() {
        // The key must not leave this machine: not through a proxy, and not because of what a resolver
        // says. The port is that of the URL.
        let loopback = [
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        ];
        builder = builder.no_proxy().resolve_to_addrs(LOCALHOST, &loopback);
    }
    builder
        .build()
        .map_err(|error| request_error(error, config.timeout))
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
