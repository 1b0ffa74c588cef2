//! What `run` serves by HTTP: its health, metrics, the certificates and the status page. Nothing can be changed by it,
//! and it shares nothing with the loop but what it reads.

mod cache;
mod guard;
mod listener;
mod routes;
mod shared;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use self::guard::Allowed;
use self::listener::{Listener, Socket, Stream};
use self::shared::Shared;
use super::configuration::Configuration;
use super::status::SharedStatus;
use crate::failure::Failure;
use crate::output::Output;
use crate::settings::Listen;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 32;
/// How long a client may take to send its request.
const HEADERS_WITHIN: Duration = Duration::from_secs(5);
/// How long a client may take to send its request if there is no room for more: it is sent as soon as there is a
/// connection.
const OTHERS_WAIT_FOR_REQUEST: Duration = Duration::from_millis(100);
/// How long a connection with a request may last if there is no room for more.
const OTHERS_WAIT: Duration = Duration::from_secs(10);
/// How long a connection may last, with its answer.
const CONNECTION_WITHIN: Duration = Duration::from_secs(30);
/// The longest request, in octets, and the most headers of one. It has no body that is read.
const REQUEST_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;
/// The pause after a connection that could not be accepted: there may be no file descriptor left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The server, if the settings want one.
pub(super) struct Server {
    shared: Arc<Shared>,
    listening: Option<Listening>,
    /// The address at which it could not listen, which was reported.
    failed: Option<Listen>,
    /// Whether it could not because somebody else did.
    is_taken: bool,
}

/// A listener in use. When it is dropped, its connections end as well.
struct Listening {
    listen: Listen,
    _socket: Option<Socket>,
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Starts it if the settings want one. Fails if the address cannot be used. That somebody else listens there is
    /// reported only: any user of the machine could keep certificates from being renewed.
    pub(super) async fn start(
        configuration: &Configuration,
        status: &SharedStatus,
        output: Output,
    ) -> Result<Self, Failure> {
        let mut server = Server {
            shared: Arc::new(Shared::new(configuration.source(), status)),
            listening: None,
            failed: None,
            is_taken: false,
        };
        match server.update(configuration).await {
            Err(failure) if server.is_taken => output.failure(&failure),
            started => started?,
        }
        Ok(server)
    }

    /// Serves what the settings want now. If a new address cannot be used, the old one stays; that is reported once, and
    /// each later call tries again.
    pub(super) async fn update(&mut self, configuration: &Configuration) -> Result<(), Failure> {
        self.shared.update(configuration.source());
        let wanted = configuration.serves().listen.as_ref();
        let Some(wanted) = wanted else {
            self.listening = None;
            self.failed = None;
            return Ok(());
        };
        if self
            .listening
            .as_ref()
            .is_some_and(|now| now.listen == *wanted)
        {
            self.failed = None;
            return Ok(());
        }
        match Listener::bind(wanted).await {
            Ok((listener, socket)) => {
                let router = routes::router(&self.shared, Allowed::at(wanted));
                self.listening = Some(Listening {
                    listen: wanted.clone(),
                    _socket: socket,
                    task: tokio::spawn(serve(listener, router)),
                });
                self.failed = None;
                Ok(())
            }
            Err(_) if self.failed.as_ref() == Some(wanted) => Ok(()),
            Err(error) => {
                self.failed = Some(wanted.clone());
                self.is_taken = error.kind() == ErrorKind::AddrInUse;
                Err(listener::failure(wanted, &error))
            }
        }
    }
}

/// Accepts connections, each served by a task of its own: one that panics ends that connection.
async fn serve(listener: Listener, router: Router) {
    let mut connections = Connections::default();
    loop {
        match listener.accept().await {
            Ok(stream) => {
                connections.make_room().await;
                let connection = Connection::begin(stream, router.clone());
                connections.0.push_back(connection);
            }
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// A connection. It ends when this is dropped.
struct Connection {
    since: Instant,
    has_asked: Arc<AtomicBool>,
    answer: AbortOnDropHandle<()>,
}

impl Connection {
    fn begin(stream: Box<dyn Stream>, router: Router) -> Self {
        let has_asked = Arc::new(AtomicBool::new(false));
        let answer = tokio::spawn(answer(stream, router, Arc::clone(&has_asked)));
        Connection {
            since: Instant::now(),
            has_asked,
            answer: AbortOnDropHandle::new(answer),
        }
    }

    fn has_asked(&self) -> bool {
        self.has_asked.load(Ordering::Relaxed)
    }
}

/// The connections, the oldest first.
#[derive(Default)]
struct Connections(VecDeque<Connection>);

impl Connections {
    /// Waits until there is room for one more, or until the oldest one has lasted too long for others to wait. One
    /// without a request goes first: anybody can have hundreds of them.
    async fn make_room(&mut self) {
        loop {
            self.0.retain(|one| !one.answer.is_finished());
            if self.0.len() < CONNECTIONS_MAX {
                return;
            }
            let idle = self.0.iter().position(|one| !one.has_asked());
            let limit = idle.map_or(OTHERS_WAIT, |_| OTHERS_WAIT_FOR_REQUEST);
            let Some(mut oldest) = self.0.remove(idle.unwrap_or(0)) else {
                return;
            };
            let ended = timeout_at(oldest.since + limit, &mut oldest.answer).await;
            if ended.is_ok() || idle.is_none() || !oldest.has_asked() {
                // If it takes too long, it ends here.
                return;
            }
            self.0.push_front(oldest);
        }
    }
}

/// Answers one request.
async fn answer(stream: Box<dyn Stream>, router: Router, has_asked: Arc<AtomicBool>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(REQUEST_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        has_asked.store(true, Ordering::Relaxed);
        router.call(request)
    });
    let connection = http.serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_WITHIN, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a request was not answered"),
        Err(_) => tracing::debug!("a connection took too long"),
    }
}
