//! An HTTP server for a fake, on a thread of its own: tests with a runtime of theirs cannot hold
//! another.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::error::{Context, Result};

/// A certificate with its key.
pub(crate) struct Tls(TlsAcceptor);

impl Tls {
    /// Reads both from PEM files.
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Tls> {
        let chain = CertificateDer::pem_file_iter(certificate).context("TLS")?;
        let chain = chain
            .collect::<std::result::Result<Vec<_>, _>>()
            .context("TLS")?;
        let key = PrivateKeyDer::from_pem_file(key).context("TLS")?;
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Tls(TlsAcceptor::from(Arc::new(config))))
    }
}

struct TlsListener {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    /// The next client that speaks TLS; others are none.
    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    address: SocketAddr,
    _end: oneshot::Sender<()>,
}

impl Running {
    /// Serves `app` on a free port.
    pub(crate) fn start(app: Router) -> Result<Running> {
        Running::start_with(app, None)
    }

    /// Serves `app` on a free port, over TLS.
    pub(crate) fn start_tls(app: Router, tls: Tls) -> Result<Running> {
        Running::start_with(app, Some(tls))
    }

    fn start_with(app: Router, tls: Option<Tls>) -> Result<Running> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (end, ended) = oneshot::channel();
        std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener)?;
                let serve = async {
                    match tls {
                        None => axum::serve(listener, app).await,
                        Some(Tls(tls)) => axum::serve(TlsListener { listener, tls }, app).await,
                    }
                };
                tokio::select! {
                    served = serve => served,
                    _ = ended => Ok(()),
                }
            })
        });
        Ok(Running { address, _end: end })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}
