//! HTTP and HTTPS servers of the bed, each on a thread of its own: a test that has a runtime
//! cannot hold another one.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::error::{Context, Result};

/// Connections that wait to be served after their handshake.
const HANDSHAKES_MAX: usize = 64;

/// A certificate with its key.
pub(crate) struct Tls(TlsAcceptor);

/// What clients may speak over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Tls {
    /// Reads both from PEM files.
    pub(crate) fn read(certificate: &Path, key: &Path, protocol: Protocol) -> Result<Tls> {
        let chain = CertificateDer::pem_file_iter(certificate).context("TLS")?;
        let chain = chain
            .collect::<std::result::Result<Vec<_>, _>>()
            .context("TLS")?;
        let key = PrivateKeyDer::from_pem_file(key).context("TLS")?;
        let mut config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        if protocol == Protocol::Http2 {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        Ok(Tls(TlsAcceptor::from(Arc::new(config))))
    }
}

/// Accepts connections whose TLS handshake is done. Handshakes do not wait for each other.
struct TlsListener {
    address: SocketAddr,
    accepted: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl TlsListener {
    fn start(mut listener: TcpListener, tls: TlsAcceptor) -> io::Result<TlsListener> {
        let address = listener.local_addr()?;
        let (send, accepted) = mpsc::channel(HANDSHAKES_MAX);
        tokio::spawn(async move {
            loop {
                let (stream, address) = Listener::accept(&mut listener).await;
                let (tls, send) = (tls.clone(), send.clone());
                tokio::spawn(async move {
                    // Small answers are not held back. An error says that the client has gone.
                    let _ = stream.set_nodelay(true);
                    // A client that does not speak TLS is not served.
                    if let Ok(stream) = tls.accept(stream).await {
                        let _ = send.send((stream, address)).await;
                    }
                });
            }
        });
        Ok(TlsListener { address, accepted })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
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
                        Some(Tls(tls)) => {
                            axum::serve(TlsListener::start(listener, tls)?, app).await
                        }
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

/// Writes a root (`root.pem`), and below it a certificate for HTTPS on 127.0.0.1 (`tls.pem`,
/// `tls.key`). Returns the root's file.
pub(crate) fn write_certificate(folder: &Path) -> Result<PathBuf> {
    let root_key = rcgen::KeyPair::generate()?;
    let mut root = rcgen::CertificateParams::default();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    // Not the name of the certificate below, or OpenSSL takes that for self-signed.
    let name = &mut root.distinguished_name;
    name.push(rcgen::DnType::CommonName, "root of the test bed");
    let root_pem = root.self_signed(&root_key)?.pem();

    let key = rcgen::KeyPair::generate()?;
    let leaf = rcgen::CertificateParams::new(vec![Ipv4Addr::LOCALHOST.to_string()])?;
    let leaf = leaf.signed_by(&key, &rcgen::Issuer::new(root, root_key))?;
    fs::write(folder.join("tls.pem"), leaf.pem())?;
    fs::write(folder.join("tls.key"), key.serialize_pem())?;
    let path = folder.join("root.pem");
    fs::write(&path, root_pem)?;
    Ok(path)
}
