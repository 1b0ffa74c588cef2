//! HTTPS to the certification authority, with limits on time and size.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{LOCATION, USER_AGENT};
use http::{HeaderValue, Request, Response};
use tokio::sync::Semaphore;

use super::cause::causes;
use super::connections::{CONNECT_TIMEOUT, Connections};
use super::error::TransportError;
use crate::printable::shortened;

/// Certificate chains are a few kilobytes; a directory with all its metadata is less.
const BODY_MAX: usize = 1024 * 1024;
/// A larger body waits for its turn while others are read. An order of 100 names has 15 KB, a chain 10 KB.
const SMALL_MAX: usize = 32 * 1024;
/// Larger bodies that are read at the same time.
const LARGE_AT_ONCE: usize = 8;
/// Requests to one CA that are under way at a time. Each needs a connection of its own if the CA speaks HTTP/1.1 only, and
/// a process may have 1,024 files open.
const REQUESTS_AT_ONCE: usize = 64;
/// The longest URL of an account or an order, and the longest one in an order, in octets. A run keeps those of all its
/// orders, and the ledger has them in each line.
pub(super) const LOCATION_MAX: usize = 2_000;
/// Characters of a URL that are shown.
pub(super) const URL_MAX: usize = 500;
const AGENT: &str = concat!("acme-alias/", env!("CARGO_PKG_VERSION"), " instant-acme");

/// How long the CA may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For one answer, until its last octet.
    pub request: Duration,
    /// For the validation of an order, and again for issuing the certificate.
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

/// The HTTPS client for one CA. Requests share a connection if the CA speaks HTTP/2, and leave theirs to
/// the next one otherwise.
#[derive(Debug)]
pub(super) struct Transport {
    connections: Connections,
    timeouts: Timeouts,
    /// Turns of requests.
    requests: Semaphore,
    /// Turns of large bodies: thousands of requests may be under way, and a body of each would not fit into memory.
    large: Semaphore,
}

impl Transport {
    /// A client that trusts the system's root certificates, and `extra_root` (PEM) if given. It uses
    /// the proxy in the environment (`HTTPS_PROXY`, `NO_PROXY`).
    pub(super) fn new(
        extra_root: Option<&[u8]>,
        timeouts: Timeouts,
    ) -> Result<Self, TransportError> {
        Ok(Transport {
            connections: Connections::new(extra_root, timeouts.request, REQUESTS_AT_ONCE)?,
            timeouts,
            requests: Semaphore::new(REQUESTS_AT_ONCE),
            large: Semaphore::new(LARGE_AT_ONCE),
        })
    }

    /// Sends a request. Returns the whole answer, whatever its status is.
    pub(super) async fn exchange(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, TransportError> {
        let url = shortened(&request.uri().to_string(), URL_MAX);
        if request.uri().scheme_str() != Some("https") {
            return Err(TransportError::NotHttps { url });
        }
        let failed = |error| self.failed(&url, error);
        // The semaphore is never closed.
        let _turn = self.requests.acquire().await.ok();
        let client = self.connections.to(request.uri().authority()).await?;
        let mut request = reqwest::Request::try_from(request).map_err(failed)?;
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static(AGENT));
        tracing::debug!(method = %request.method(), url, "request");
        let mut response = client.execute(request).await.map_err(failed)?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let octets = headers.get(LOCATION).map_or(0, HeaderValue::len);
        if octets > LOCATION_MAX {
            return Err(TransportError::LongLocation { url, octets });
        }
        let (mut body, mut turn) = (BytesMut::new(), None);
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > BODY_MAX {
                return Err(TransportError::TooLarge {
                    url,
                    limit: BODY_MAX,
                });
            }
            if turn.is_none() && body.len() + chunk.len() > SMALL_MAX {
                turn = self.large.acquire().await.ok();
            }
            body.extend_from_slice(&chunk);
        }
        tracing::debug!(
            url,
            status = status.as_u16(),
            octets = body.len(),
            "response"
        );
        let mut whole = Response::new(body.freeze());
        *whole.status_mut() = status;
        *whole.headers_mut() = headers;
        Ok(whole)
    }

    fn failed(&self, url: &str, error: reqwest::Error) -> TransportError {
        let url = url.to_owned();
        if is_certificate_error(&error) {
            let source = Arc::new(error);
            TransportError::Untrusted { url, source }
        } else if error.is_timeout() {
            let limit = if error.is_connect() {
                CONNECT_TIMEOUT.min(self.timeouts.request)
            } else {
                self.timeouts.request
            };
            TransportError::Timeout { url, limit }
        } else {
            let source = Arc::new(error);
            TransportError::Unreachable { url, source }
        }
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

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::super::connections::OPENED_AT_ONCE;
    use super::*;

    fn transport(extra_root: Option<&[u8]>) -> Result<Transport, TransportError> {
        Transport::new(extra_root, Timeouts::default())
    }

    #[tokio::test]
    async fn a_url_that_is_not_https_is_never_requested() {
        let request = Request::get("http://127.0.0.1:1/directory")
            .body(Bytes::new())
            .unwrap();
        let error = transport(None)
            .unwrap()
            .exchange(request)
            .await
            .unwrap_err();
        assert!(matches!(error, TransportError::NotHttps { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_silent_ca_does_not_get_all_file_descriptors() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let transport = transport(None).unwrap();
        let requests = tokio::spawn(async move {
            let requests = (0..3 * REQUESTS_AT_ONCE).map(|_| {
                let request = Request::get(&url).body(Bytes::new()).unwrap();
                transport.exchange(request)
            });
            join_all(requests).await
        });
        // No handshake is answered, so that no connection gets ready.
        let mut opened = Vec::new();
        for _ in 0..OPENED_AT_ONCE {
            opened.push(listener.accept().await.unwrap());
        }
        let one_more = timeout(Duration::from_millis(500), listener.accept()).await;
        assert!(one_more.is_err(), "more than {OPENED_AT_ONCE} connections");
        // The place of one that fails is for the next.
        opened.pop();
        listener.accept().await.unwrap();
        requests.abort();
    }

    #[test]
    fn extra_roots_without_a_certificate_are_refused() {
        for pem in ["", "not PEM"] {
            let error = transport(Some(pem.as_bytes())).unwrap_err();
            assert!(matches!(error, TransportError::ExtraRoot { .. }), "{error}");
        }
    }
}
