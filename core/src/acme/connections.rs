//! The connections to the hosts of one CA: not more than a process can have, whatever hosts the CA names and however
//! slowly they accept.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::uri::Authority;
use tokio::sync::OnceCell;
use tower::limit::ConcurrencyLimitLayer;

use super::error::TransportError;
use super::lookups::Lookups;

/// How long a connection may take, with its TLS handshake.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that are opened at a time. Without HTTP/2 these are not only those of requests under way: one is opened
/// until its end even if its request got another connection meanwhile.
pub(super) const OPENED_AT_ONCE: usize = 32;
/// Octets of an answer over HTTP/2 that the CA may send before somebody reads them. Each answer that waits for its turn can
/// hold as many, so that this is much less than the usual 2 MB. A chain has 6 KB.
const HTTP2_WINDOW: u32 = 64 * 1024;
/// Hosts to which connections are kept when nobody uses them. CAs have one or two, and each URL of a hostile one may have
/// another.
const HOSTS_MAX: usize = 2;

/// The HTTPS clients for one CA.
#[derive(Debug)]
pub(super) struct Connections {
    keeping: reqwest::Client,
    /// For hosts to which no connections are kept. Few CAs have any.
    keeping_none: OnceCell<reqwest::Client>,
    /// The hosts to which connections are kept.
    hosts: Mutex<HashSet<Authority>>,
    lookups: Lookups,
    extra_root: Option<Vec<u8>>,
    request_timeout: Duration,
}

impl Connections {
    /// Clients that trust the system's root certificates, and `extra_root` (PEM) if given. They use the proxy in the
    /// environment (`HTTPS_PROXY`, `NO_PROXY`). As many connections to a host are kept as `requests` are under way at a time,
    /// because a new one takes much longer.
    pub(super) fn new(
        extra_root: Option<&[u8]>,
        request_timeout: Duration,
        requests: usize,
    ) -> Result<Self, TransportError> {
        let lookups = Lookups::default();
        Ok(Connections {
            keeping: client(extra_root, request_timeout, requests, &lookups)?,
            keeping_none: OnceCell::new(),
            hosts: Mutex::default(),
            lookups,
            extra_root: extra_root.map(<[u8]>::to_vec),
            request_timeout,
        })
    }

    /// The client for this host.
    pub(super) async fn to(
        &self,
        host: Option<&Authority>,
    ) -> Result<&reqwest::Client, TransportError> {
        if host.is_none_or(|host| self.is_kept(host)) {
            return Ok(&self.keeping);
        }
        let root = self.extra_root.as_deref();
        let build = async || client(root, self.request_timeout, 0, &self.lookups);
        self.keeping_none.get_or_try_init(build).await
    }

    /// Whether connections to this host are kept: to the first ones.
    fn is_kept(&self, host: &Authority) -> bool {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.contains(host) || (hosts.len() < HOSTS_MAX && hosts.insert(host.clone()))
    }
}

/// A client that keeps so many connections to each host.
fn client(
    extra_root: Option<&[u8]>,
    request_timeout: Duration,
    kept: usize,
    lookups: &Lookups,
) -> Result<reqwest::Client, TransportError> {
    // An error means that a crypto provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(kept)
        .http2_initial_stream_window_size(HTTP2_WINDOW)
        .connector_layer(ConcurrencyLimitLayer::new(OPENED_AT_ONCE))
        .dns_resolver(lookups.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(request_timeout);
    if let Some(pem) = extra_root {
        builder = builder.tls_certs_merge(roots(pem)?);
    }
    builder.build().map_err(|error| TransportError::Setup {
        source: Arc::new(error),
    })
}

fn roots(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, TransportError> {
    let invalid = |source| TransportError::ExtraRoot { source };
    let roots = reqwest::Certificate::from_pem_bundle(pem);
    let roots = roots.map_err(|error| invalid(Arc::new(error)))?;
    if roots.is_empty() {
        return Err(invalid(Arc::from(Box::from(
            "there is no certificate in them",
        ))));
    }
    Ok(roots)
}
