//! The client of one CA: what its requests share.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::config::CaConfig;
use super::decode::{decode, repaired};
use super::directory::Directory;
use super::error::{AcmeError, Operation, TransportError};
use super::nonces::{self, Nonces};
use super::order_gate::OrderGate;
use super::problem::is_for_acme;
use super::response::{date, detail, poll_after, retry_after};
use super::retry::Retry;
use super::single_flight::SingleFlight;
use super::transport::{Transport, URL_MAX};
use crate::clock::Clock;
use crate::printable::shortened;

/// Requests of one order that are under way at the same time. A CA limits them for each address.
pub(super) const AT_ONCE: usize = 25;

/// How far the clock of a CA may be from ours. Its answers may come from a cache.
const CLOCKS_DIFFER_MAX: SignedDuration = SignedDuration::from_hours(24);

/// The client of one CA. Clones share everything.
#[derive(Clone, Debug)]
pub(super) struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    transport: Transport,
    clock: Arc<dyn Clock>,
    directory_url: String,
    order_timeout: Duration,
    directory: SingleFlight<Directory, AcmeError>,
    nonces: Nonces,
    orders: OrderGate,
    /// By how many seconds the CA's clock was ahead of ours in its last answer.
    ahead: AtomicI64,
    /// Held while nonces are fetched ahead of their use.
    filling: Mutex<()>,
}

impl Client {
    /// A client that has not connected yet.
    pub(super) fn new(config: &CaConfig, clock: Arc<dyn Clock>) -> Result<Self, TransportError> {
        Ok(Client(Arc::new(Shared {
            transport: Transport::new(config.extra_root.as_deref(), config.timeouts)?,
            clock,
            directory_url: config.directory.clone(),
            order_timeout: config.timeouts.order,
            directory: SingleFlight::new(),
            nonces: Nonces::default(),
            orders: OrderGate::default(),
            ahead: AtomicI64::new(0),
            filling: Mutex::new(()),
        })))
    }

    /// The URL of the directory.
    pub(super) fn directory_url(&self) -> &str {
        &self.0.directory_url
    }

    /// How long the CA may take for each stage of an order.
    pub(super) fn order_timeout(&self) -> Duration {
        self.0.order_timeout
    }

    /// How long the CA asks to wait before the next poll.
    pub(super) fn poll_after(&self, headers: &HeaderMap) -> Option<Duration> {
        poll_after(headers, self.0.clock.now())
    }

    /// Returns the directory. It is fetched once. The error says what is at its URL instead.
    pub(super) async fn directory(&self) -> Result<&Directory, AcmeError> {
        let attempt = Box::pin(self.fetch_directory());
        self.0.directory.get_or_try(attempt).await
    }

    async fn fetch_directory(&self) -> Result<Directory, AcmeError> {
        let mut retry = Retry::new();
        loop {
            let request = request(Method::GET, &self.0.directory_url, Operation::Directory)?;
            match self.send(request).await {
                Ok(response) => {
                    let directory = decode::<Directory>(response.body());
                    let directory = directory
                        .map_err(|error| AcmeError::invalid(Operation::Directory, error))?;
                    let checked = directory.checked();
                    return checked
                        .map_err(|error| AcmeError::invalid(Operation::Directory, error));
                }
                Err(error) => retry.after(error.into()).await?,
            }
        }
    }

    /// Sends a request, and keeps the nonce in the answer. The answer is a success, or a refusal with a
    /// problem document.
    pub(super) async fn send(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, TransportError> {
        let url = request.uri().to_string();
        let mut response = self.0.transport.exchange(request).await?;
        if let Some(nonce) = nonces::of(response.headers_mut()) {
            self.0.nonces.put(nonce);
        }
        if let Some(theirs) = date(response.headers()) {
            let ahead = theirs.duration_since(self.now()).as_secs();
            self.0.ahead.store(ahead, Ordering::Relaxed);
        }
        self.check(&url, &response)?;
        Ok(response)
    }

    /// Whether the CA takes orders now.
    pub(super) fn orders(&self) -> &OrderGate {
        &self.0.orders
    }

    /// Fails if our clock and that of the CA are too far apart: everything would seem to be due, or nothing.
    pub(super) fn check_clock(&self) -> Result<(), AcmeError> {
        let ahead = SignedDuration::from_secs(self.0.ahead.load(Ordering::Relaxed));
        if ahead.abs() <= CLOCKS_DIFFER_MAX {
            return Ok(());
        }
        let ours = self.now();
        Err(AcmeError::WrongClock {
            ours,
            theirs: ours.checked_add(ahead).unwrap_or(ours),
        })
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn check(&self, url: &str, response: &Response<Bytes>) -> Result<(), TransportError> {
        if is_for_acme(response) {
            return Ok(());
        }
        Err(TransportError::Status {
            url: shortened(url, URL_MAX),
            status: response.status().as_u16(),
            retry_after: retry_after(response.headers(), self.0.clock.now()),
            detail: detail(response.body()),
        })
    }

    /// Returns a nonce that was not used before: one from an earlier answer, or a new one.
    pub(super) async fn nonce(&self) -> Result<String, AcmeError> {
        match self.0.nonces.take().await {
            Some(nonce) => Ok(nonce),
            None => self.new_nonce().await,
        }
    }

    /// Requests a nonce (RFC 8555 §7.2), by GET if the CA does not answer HEAD with one.
    async fn new_nonce(&self) -> Result<String, AcmeError> {
        let url = &self.directory().await?.new_nonce;
        for method in [Method::HEAD, Method::GET] {
            let is_last = method == Method::GET;
            let request = request(method, url, Operation::Nonce)?;
            let mut response = self.0.transport.exchange(request).await?;
            if let Some(nonce) = nonces::of(response.headers_mut()) {
                return Ok(nonce);
            }
            let status = response.status();
            if is_last || status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                self.check(url, &response)?;
            }
        }
        Err(AcmeError::invalid(
            Operation::Nonce,
            "it contains no Replay-Nonce header",
        ))
    }

    /// Connects, reads the directory and fetches nonces in the background, so that this many requests
    /// (at most [`AT_ONCE`]) can be sent at once. A failure is reported by the request that needs them.
    pub(super) fn prepare(&self, requests: usize) {
        let client = self.clone();
        tokio::spawn(async move {
            // One task is enough.
            let Ok(_only) = client.0.filling.try_lock() else {
                return;
            };
            if let Err(error) = client.fill(requests.min(AT_ONCE)).await {
                tracing::debug!(%error, "the CA could not be prepared for requests");
            }
        });
    }

    async fn fill(&self, wanted: usize) -> Result<(), AcmeError> {
        self.directory().await?;
        let missing = wanted.saturating_sub(self.0.nonces.len());
        try_join_all((0..missing).map(|_| self.add_nonce())).await?;
        Ok(())
    }

    async fn add_nonce(&self) -> Result<(), AcmeError> {
        self.0.nonces.wait_for_request().await;
        let nonce = self.new_nonce().await?;
        self.0.nonces.put(nonce);
        Ok(())
    }

    /// Answers a request of `instant-acme`. It asks for the directory and for nonces by itself, and both
    /// are here already.
    async fn answer(&self, request: Request<Bytes>) -> Result<Response<Bytes>, AcmeError> {
        match *request.method() {
            Method::GET => {
                let directory = serde_json::to_vec(self.directory().await?);
                let directory = directory.map_err(|error| {
                    // The directory was read from JSON.
                    AcmeError::invalid(Operation::Directory, error)
                })?;
                Ok(Response::new(directory.into()))
            }
            Method::HEAD => {
                let nonce = self.nonce().await?;
                let response = Response::builder().header(nonces::REPLAY_NONCE, nonce);
                let response = response.body(Bytes::new());
                response.map_err(|error| AcmeError::invalid(Operation::Nonce, error))
            }
            _ => Ok(self.send(request).await?),
        }
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            match client.answer(Request::from_parts(parts, body)).await {
                Ok(response) => {
                    let body = |body: Bytes| Full::new(Bytes::from(repaired(&body)));
                    Ok(BytesResponse::from(response.map(body)))
                }
                Err(error) => Err(instant_acme::Error::Other(Box::new(error))),
            }
        })
    }
}

/// A request without a body.
pub(super) fn request(
    method: Method,
    url: &str,
    operation: Operation,
) -> Result<Request<Bytes>, AcmeError> {
    let request = Request::builder().method(method).uri(url);
    let request = request.body(Bytes::new());
    request.map_err(|error| AcmeError::invalid(operation, error))
}
