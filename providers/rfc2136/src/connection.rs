//! Connections that all exchanges with an address share, with many requests under way at a time (RFC 7766 §6.2.1).

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::error::{Cause, ExchangeError, not_sent, timed_out};

/// A connection that nothing was sent on for so long is not used again: the server may be about to end it
/// (BIND after 30 s), and a firewall may have forgotten it.
const IDLE_MAX: Duration = Duration::from_secs(8);

/// The connection to each address, opened on first use. One that has ended is opened again.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    by_address: Mutex<HashMap<SocketAddr, Slot>>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Arc<Connection>>>>;

impl Connections {
    /// The connection to this address, and whether it was open already. `limit` is that for opening it.
    pub(crate) async fn get(
        &self,
        address: SocketAddr,
        limit: Duration,
    ) -> Result<(Arc<Connection>, bool), ExchangeError> {
        let slot = Arc::clone(locked(&self.by_address).entry(address).or_default());
        let opened = async {
            // Those that wait here share the connection, and the requests keep their order.
            let mut slot = slot.lock().await;
            if let Some(open) = slot.as_ref().filter(|open| open.is_usable()) {
                return Ok((Arc::clone(open), true));
            }
            let stream = TcpStream::connect(address).await?;
            let connection = Arc::new(Connection::start(stream));
            *slot = Some(Arc::clone(&connection));
            Ok((connection, false))
        };
        match timeout(limit, opened).await {
            Ok(opened) => opened.map_err(|error: io::Error| not_sent(error)),
            Err(_) => Err(not_sent(timed_out("no connection", limit))),
        }
    }
}

/// An open connection. It ends when it is dropped.
pub(crate) struct Connection {
    requests: mpsc::UnboundedSender<Vec<u8>>,
    inbox: Arc<Inbox>,
    last_used: Mutex<Instant>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// Ids for requests, and where the responses to them arrive. Both end with the connection.
pub(crate) struct Reserved {
    pub(crate) ids: Vec<u16>,
    pub(crate) responses: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Connection {
    fn start(stream: TcpStream) -> Self {
        // What is sent goes in whole messages: there is nothing to gather.
        let _ = stream.set_nodelay(true);
        let (requests, waiting) = mpsc::unbounded_channel();
        let inbox = Arc::new(Inbox::default());
        tokio::spawn(carry(stream, waiting, Guard(Arc::clone(&inbox))));
        Connection {
            requests,
            inbox,
            last_used: Mutex::new(Instant::now()),
        }
    }

    /// Reserves ids for `count` requests that no request under way has.
    pub(crate) fn reserve(&self, count: usize) -> Result<Reserved, ExchangeError> {
        let (arrived, responses) = mpsc::unbounded_channel();
        let ids = self.inbox.reserve(count, &arrived).map_err(not_sent)?;
        Ok(Reserved { ids, responses })
    }

    /// Sends requests. They are sent entirely even if the caller is dropped.
    pub(crate) fn send(&self, requests: Vec<u8>) -> Result<(), ExchangeError> {
        *locked(&self.last_used) = Instant::now();
        self.requests
            .send(requests)
            .map_err(|_| not_sent(self.cause()))
    }

    /// Ends the connection, and with it all requests under way.
    pub(crate) fn end(&self, cause: Cause) {
        self.inbox.end(cause);
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        locked(&self.inbox.state).ended.is_some()
    }

    /// Why it has ended.
    pub(crate) fn cause(&self) -> Cause {
        let ended = locked(&self.inbox.state).ended.clone();
        ended.unwrap_or_else(|| "the connection has ended".into())
    }

    fn is_usable(&self) -> bool {
        let is_busy = !locked(&self.inbox.state).waiting.is_empty();
        !self.has_ended() && (is_busy || locked(&self.last_used).elapsed() < IDLE_MAX)
    }
}

/// The requests under way on one connection.
#[derive(Default)]
struct Inbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: HashMap<u16, mpsc::UnboundedSender<Vec<u8>>>,
    /// The id that was reserved last.
    last: u16,
    ended: Option<Cause>,
}

impl Inbox {
    fn reserve(
        &self,
        count: usize,
        arrived: &mpsc::UnboundedSender<Vec<u8>>,
    ) -> Result<Vec<u16>, Cause> {
        let mut state = locked(&self.state);
        if let Some(cause) = &state.ended {
            return Err(cause.clone());
        }
        if state.waiting.len() + count > usize::from(u16::MAX) {
            return Err("too many requests are under way".into());
        }
        if state.waiting.is_empty() {
            // Ids are not predictable (RFC 5452 §9.2), though the signatures are what counts.
            state.last = rand::random();
        }
        let mut ids = Vec::with_capacity(count);
        while ids.len() < count {
            state.last = state.last.wrapping_add(1);
            let id = state.last;
            if let std::collections::hash_map::Entry::Vacant(free) = state.waiting.entry(id) {
                free.insert(arrived.clone());
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Hands a message to the request that has its id.
    fn deliver(&self, message: Vec<u8>) -> Result<(), Cause> {
        let id = message
            .first_chunk()
            .map(|id| u16::from_be_bytes(*id))
            .ok_or("it is malformed: it has no id")?;
        let arrived = locked(&self.state).waiting.remove(&id);
        let arrived = arrived.ok_or("it answers another request")?;
        // Nobody waits for a response to a request that was given up.
        let _ = arrived.send(message);
        Ok(())
    }

    fn end(&self, cause: Cause) {
        let mut state = locked(&self.state);
        state.ended.get_or_insert(cause);
        state.waiting.clear();
    }
}

/// Ends the inbox with the task, even if its runtime ends.
struct Guard(Arc<Inbox>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.end("the connection was given up".into());
    }
}

/// Carries requests and responses until either side ends the connection.
async fn carry(
    stream: TcpStream,
    mut requests: mpsc::UnboundedReceiver<Vec<u8>>,
    Guard(ref inbox): Guard,
) {
    let (mut reader, mut writer) = stream.into_split();
    let reading = async {
        loop {
            acknowledge_at_once(&reader);
            let message = read_message(&mut reader).await?;
            inbox.deliver(message)?;
        }
    };
    let writing = async {
        while let Some(request) = requests.recv().await {
            if writer.write_all(&request).await.is_err() {
                // Reading fails as well, and says more.
                std::future::pending::<()>().await;
            }
        }
    };
    // Both at once: a server may stop reading until its responses are read.
    let cause: Result<(), Cause> = tokio::select! {
        ended = reading => ended,
        () = writing => return,
    };
    if let Err(cause) = cause {
        inbox.end(cause);
    }
}

/// BIND keeps a response back until the one before is acknowledged (Nagle's algorithm, RFC 896), which the system
/// may put off by 40 ms (RFC 1122 §4.2.3.2). It has to be told again after each message.
fn acknowledge_at_once(reader: &OwnedReadHalf) {
    #[cfg(target_os = "linux")]
    let _ = reader.as_ref().set_quickack(true);
    // Other systems have no such option: a response may come later there.
    #[cfg(not(target_os = "linux"))]
    let _ = reader;
}

/// The next message, without the length in front of it (RFC 1035 §4.2.2).
pub(crate) async fn read_message(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = reader.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    reader.read_exact(&mut message).await?;
    Ok(message)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn framed(id: u16) -> Vec<u8> {
        [&[0, 2][..], &id.to_be_bytes()].concat()
    }

    #[tokio::test]
    async fn responses_reach_the_requests_that_have_their_ids_in_any_order() {
        let (listener, address) = listener().await;
        let connections = Connections::default();
        let (connection, was_open) = connections.get(address, LIMIT).await.unwrap();
        assert!(!was_open);
        let mut first = connection.reserve(1).unwrap();
        let mut second = connection.reserve(2).unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        for id in [second.ids[1], first.ids[0], second.ids[0]] {
            server.write_all(&framed(id)).await.unwrap();
        }
        let id =
            |message: Option<Vec<u8>>| u16::from_be_bytes(*message.unwrap().first_chunk().unwrap());
        assert_eq!(id(first.responses.recv().await), first.ids[0]);
        assert_eq!(id(second.responses.recv().await), second.ids[1]);
        assert_eq!(id(second.responses.recv().await), second.ids[0]);
        assert!(connections.get(address, LIMIT).await.unwrap().1);
    }

    #[tokio::test]
    async fn a_connection_that_the_server_has_ended_is_opened_again() {
        let (listener, address) = listener().await;
        let connections = Connections::default();
        let (connection, _) = connections.get(address, LIMIT).await.unwrap();
        let mut reserved = connection.reserve(1).unwrap();
        drop(listener.accept().await.unwrap());
        assert_eq!(reserved.responses.recv().await, None);
        assert_eq!(connection.cause().to_string(), "it closed the connection");
        assert!(connection.reserve(1).is_err());
        let (_, was_open) = connections.get(address, LIMIT).await.unwrap();
        assert!(!was_open);
        listener.accept().await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_was_idle_is_not_used_again() {
        let (listener, address) = listener().await;
        let connections = Connections::default();
        let (connection, _) = connections.get(address, LIMIT).await.unwrap();
        *locked(&connection.last_used) -= IDLE_MAX;
        assert!(!connections.get(address, LIMIT).await.unwrap().1);
        drop(listener);
    }

    #[tokio::test]
    async fn an_answer_that_nobody_asked_for_ends_the_connection() {
        let (listener, address) = listener().await;
        let connections = Connections::default();
        let (connection, _) = connections.get(address, LIMIT).await.unwrap();
        let mut reserved = connection.reserve(1).unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let other = reserved.ids[0].wrapping_add(1);
        server.write_all(&framed(other)).await.unwrap();
        assert_eq!(reserved.responses.recv().await, None);
        assert_eq!(connection.cause().to_string(), "it answers another request");
    }
}
