//! An HTTP server for a fake, on a thread of its own: tests with a runtime of theirs cannot hold
//! another.

use std::net::SocketAddr;

use axum::Router;
use tokio::sync::oneshot;

use crate::error::Result;

/// A server that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    address: SocketAddr,
    _end: oneshot::Sender<()>,
}

impl Running {
    /// Serves `app` on a free port.
    pub(crate) fn start(app: Router) -> Result<Running> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (end, ended) = oneshot::channel();
        std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::select! {
                    served = axum::serve(listener, app) => served,
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
