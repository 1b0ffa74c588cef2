//! Something between the program and the CA that spoils what is said. It keeps the host, from which Pebble builds its URLs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;

use crate::error::{Context, Result};
use crate::serve::{Protocol, Running, Tls};

const BODY_MAX: usize = 64 * 1024 * 1024;

/// A request to the CA, or an answer of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The body of the request.
    pub request: String,
    /// The body of the answer.
    pub answer: String,
}

/// What happens to an exchange.
#[derive(Clone, Debug)]
pub enum Spoilt {
    /// Nothing.
    No,
    /// The CA gets nothing; this status, these headers and this body are the answer.
    Instead(u16, Vec<(&'static str, String)>, String),
    /// The CA gets the request, and its answer breaks off.
    Cut,
    /// The CA gets the request, and its answer comes octet by octet.
    Slow,
    /// The CA gets the request, and its answer begins with this text and has no end.
    Endless(String),
    /// The CA gets the request, and its answer comes so much later.
    Late(Duration),
    /// The CA gets the request, and this is the body of the answer.
    Changed(String),
    /// The CA gets the request, and its answer has this header field as well.
    With(&'static str, String),
}

/// Decides before the CA gets a request, when `answer` is empty, and again with its answer.
type Spoil = Arc<dyn Fn(&Exchange) -> Spoilt + Send + Sync>;

/// The running proxy.
#[derive(Debug)]
pub struct AcmeProxy {
    server: Running,
}

#[derive(Clone)]
struct Between {
    ca: SocketAddr,
    client: reqwest::Client,
    spoil: Spoil,
}

impl AcmeProxy {
    pub(crate) fn start(
        ca: SocketAddr,
        root: &Path,
        protocol: Protocol,
        spoil: impl Fn(&Exchange) -> Spoilt + Send + Sync + 'static,
    ) -> Result<AcmeProxy> {
        let roots = std::fs::read(root)?;
        // An error says that a provider is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            // `Host` is not a field of HTTP/2.
            .http1_only()
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(&roots)?)
            .build()?;
        let between = Between {
            ca,
            client,
            spoil: Arc::new(spoil),
        };
        let app = Router::new().fallback(pass).with_state(between);
        // Its certificate holds for every port of this machine.
        let file = |name| root.with_file_name(name);
        let tls = Tls::read(&file("tls.pem"), &file("tls.key"), protocol)?;
        Ok(AcmeProxy {
            server: Running::start_tls(app, tls)?,
        })
    }

    /// The URL of the directory.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.server.address())
    }
}

async fn pass(State(between): State<Between>, request: Request) -> Response {
    match between.pass(request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

impl Between {
    async fn pass(&self, request: Request) -> Result<Response> {
        let (mut parts, body) = request.into_parts();
        if let Some(host) = parts.uri.authority() {
            let host = host.as_str().parse()?;
            parts.headers.insert(HOST, host);
        }
        let body = to_bytes(body, BODY_MAX).await?;
        let mut exchange = Exchange {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            request: String::from_utf8_lossy(&body).into_owned(),
            answer: String::new(),
        };
        if let Spoilt::Instead(status, headers, body) = (self.spoil)(&exchange) {
            let mut response = (StatusCode::from_u16(status)?, body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse()?);
            }
            return Ok(response);
        }
        let url = format!("https://{}{}", self.ca, parts.uri.path());
        let forwarded = self
            .client
            .request(parts.method, url)
            .headers(parts.headers)
            .body(body);
        let answer = forwarded.send().await.context("Pebble")?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await?;
        // How long the body is, and in what pieces it comes, is said anew.
        for name in ["content-length", "transfer-encoding", "connection"] {
            headers.remove(name);
        }
        exchange.answer = String::from_utf8_lossy(&body).into_owned();
        Ok(match (self.spoil)(&exchange) {
            Spoilt::Cut => cut(status, headers, &body),
            Spoilt::Slow => slow(status, headers, body),
            Spoilt::Endless(text) => endless(status, headers, text),
            Spoilt::Late(pause) => {
                tokio::time::sleep(pause).await;
                (status, headers, body).into_response()
            }
            Spoilt::With(name, value) => {
                headers.append(name, value.parse()?);
                (status, headers, body).into_response()
            }
            Spoilt::Changed(text) => (status, headers, text).into_response(),
            _ => (status, headers, body).into_response(),
        })
    }
}

/// An answer of which an octet comes every tenth of a second.
fn slow(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response {
    let octets = futures_util::stream::unfold((body, 0), async |(body, at)| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let octet = (at < body.len()).then(|| body.slice(at..=at))?;
        Some((Ok::<_, std::io::Error>(octet), (body, at + 1)))
    });
    (status, headers, Body::from_stream(octets)).into_response()
}

/// An answer of which only the beginning comes.
fn endless(status: StatusCode, headers: HeaderMap, text: String) -> Response {
    let beginning = futures_util::stream::iter([Ok::<_, std::io::Error>(text)]);
    let body = beginning.chain(futures_util::stream::pending());
    (status, headers, Body::from_stream(body)).into_response()
}

/// Half of an answer.
fn cut(status: StatusCode, headers: HeaderMap, body: &Bytes) -> Response {
    let half = body.slice(..body.len() / 2);
    let broken = futures_util::stream::iter([
        Ok(half),
        Err(std::io::Error::other("the connection breaks")),
    ]);
    (status, headers, Body::from_stream(broken)).into_response()
}
