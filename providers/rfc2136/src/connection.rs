//! Connections that all exchanges with an address share, with many requests under way at a time (RFC 7766 §6.2.1).

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};

use crate::decoding::Decoding;
use crate::error::{Cause, ExchangeError, not_sent, timed_out};

/// A connection that nothing was sent on for so long is not used again: the server may be about to end it
/// (BIND after 30 s), and a firewall may have forgotten it.
const IDLE_MAX: Duration = Duration::from_secs(8);
/// Addresses with an open connection. Each takes a file descriptor, of which a process may have 1,024, and the name of a
/// server may have other addresses each time.
const ADDRESSES_MAX: usize = 16;
/// Octets of all responses to requests that were reserved together, and those more for each request: a hundred values
/// of challenges have less. Those to many certificates at once must not fill the memory.
const OCTETS_MAX: usize = 512 << 10;
const OCTETS_MAX_EACH: usize = 8 << 10;

/// The connection to each address, opened on first use. One that has ended is opened again. With them, the turns to decode
/// what comes on them.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    by_address: Mutex<HashMap<SocketAddr, Slot>>,
    pub(crate) decoding: Decoding,
}

type Slot = Arc<tokio::sync::Mutex<Option<Arc<Connection>>>>;

impl Connections {
    /// The connection to this address, and whether it was open already. `limit` is that for opening it.
    pub(crate) async fn get(
        &self,
        address: SocketAddr,
        limit: Duration,
    ) -> Result<(Arc<Connection>, bool), ExchangeError> {
        let slot = self.slot(address)?;
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

    /// The place of the connection to this address. Those of connections that are not used any more are given up.
    fn slot(&self, address: SocketAddr) -> Result<Slot, ExchangeError> {
        let mut slots = locked(&self.by_address);
        slots.retain(|_, slot| {
            let is_open = |slot: &Option<Arc<Connection>>| {
                let connection = slot.as_ref();
                connection.is_some_and(|connection| connection.is_usable())
            };
            // Others may be about to open it.
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|slot| is_open(&slot))
        });
        if slots.len() >= ADDRESSES_MAX && !slots.contains_key(&address) {
            let cause = format!("connections to {ADDRESSES_MAX} addresses are open");
            return Err(not_sent(cause));
        }
        Ok(Arc::clone(slots.entry(address).or_default()))
    }
}

/// An open connection. It ends when it is dropped.
pub(crate) struct Connection {
    requests: mpsc::UnboundedSender<Vec<u8>>,
    inbox: Arc<Inbox>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// Ids for requests, and where the responses to them arrive. Both end with the connection.
pub(crate) struct Reserved {
    pub(crate) ids: Vec<u16>,
    pub(crate) responses: mpsc::UnboundedReceiver<Result<Vec<u8>, Cause>>,
}

impl Connection {
    fn start(stream: TcpStream) -> Self {
        // What is sent goes in whole messages: there is nothing to gather.
        let _ = stream.set_nodelay(true);
        let (requests, waiting) = mpsc::unbounded_channel();
        let inbox = Arc::new(Inbox::default());
        tokio::spawn(carry(stream, waiting, Guard(Arc::clone(&inbox))));
        Connection { requests, inbox }
    }

    /// Reserves ids for `count` requests that no request under way has.
    pub(crate) fn reserve(&self, count: usize) -> Result<Reserved, ExchangeError> {
        let (arrived, responses) = mpsc::unbounded_channel();
        let waiting = Waiting {
            arrived,
            octets: Arc::default(),
            max: OCTETS_MAX + count * OCTETS_MAX_EACH,
        };
        let ids = self.inbox.reserve(count, &waiting).map_err(not_sent)?;
        Ok(Reserved { ids, responses })
    }

    /// Sends requests. They are sent entirely even if the caller is dropped.
    pub(crate) fn send(&self, requests: Vec<u8>) -> Result<(), ExchangeError> {
        locked(&self.inbox.state).last_used = Instant::now();
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
        locked(&self.inbox.state).is_usable()
    }
}

/// The requests under way on one connection.
#[derive(Default)]
struct Inbox {
    state: Mutex<State>,
    /// Notified at the end.
    over: Notify,
}

struct State {
    waiting: HashMap<u16, Waiting>,
    /// The id that was reserved last.
    last: u16,
    last_used: Instant,
    ended: Option<Cause>,
}

/// Where the responses to requests that were reserved together arrive.
#[derive(Clone)]
struct Waiting {
    arrived: mpsc::UnboundedSender<Result<Vec<u8>, Cause>>,
    /// Those that have arrived.
    octets: Arc<AtomicUsize>,
    max: usize,
}

impl Default for State {
    fn default() -> Self {
        State {
            waiting: HashMap::new(),
            last: 0,
            last_used: Instant::now(),
            ended: None,
        }
    }
}

impl State {
    fn is_usable(&self) -> bool {
        let mut waiting = self.waiting.values();
        let mut is_busy = || waiting.any(|waiting| !waiting.arrived.is_closed());
        self.ended.is_none() && (self.last_used.elapsed() < IDLE_MAX || is_busy())
    }
}

impl Inbox {
    fn reserve(&self, count: usize, waiting: &Waiting) -> Result<Vec<u16>, Cause> {
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
                free.insert(waiting.clone());
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
        let waiting = locked(&self.state).waiting.remove(&id);
        let Waiting {
            arrived,
            octets,
            max,
        } = waiting.ok_or("it answers another request")?;
        let before = octets.fetch_add(message.len(), Ordering::Relaxed);
        let response = if before + message.len() > max {
            let cause = format!("its responses have more than {max} octets");
            Err(cause.into())
        } else {
            Ok(message)
        };
        // Nobody waits for a response to a request that was given up.
        let _ = arrived.send(response);
        Ok(())
    }

    fn end(&self, cause: Cause) {
        let mut state = locked(&self.state);
        state.ended.get_or_insert(cause);
        state.waiting.clear();
        self.over.notify_one();
    }

    /// Returns when nothing was sent for a while and nobody waits for a response.
    async fn idle(&self) {
        // Nothing signals that nothing happens.
        while locked(&self.state).is_usable() {
            sleep(IDLE_MAX).await;
        }
    }
}

/// Ends the inbox with the task, even if its runtime ends.
struct Guard(Arc<Inbox>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.end("the connection was given up".into());
    }
}

/// Carries requests and responses until either side ends the connection, or until it is not used any more.
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
        () = inbox.over.notified() => return,
        () = inbox.idle() => Err("it was not used any more".into()),
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
        let id = |message: Option<Result<Vec<u8>, Cause>>| {
            u16::from_be_bytes(*message.unwrap().unwrap().first_chunk().unwrap())
        };
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
        assert!(reserved.responses.recv().await.is_none());
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
        locked(&connection.inbox.state).last_used -= IDLE_MAX;
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
        assert!(reserved.responses.recv().await.is_none());
        assert_eq!(connection.cause().to_string(), "it answers another request");
    }

    #[tokio::test]
    async fn connections_are_open_to_so_many_addresses_at_a_time() {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Connections::default();
        let mut open = Vec::new();
        for number in 1..=250 {
            let address = SocketAddr::from(([127, 0, 0, number], port));
            if let Ok((connection, _)) = connections.get(address, LIMIT).await {
                open.push(connection);
            }
        }
        assert_eq!(open.len(), ADDRESSES_MAX);
        open[0].end("no answer".into());
        let address = SocketAddr::from(([127, 0, 0, 251], port));
        assert!(connections.get(address, LIMIT).await.is_ok());
        assert_eq!(locked(&connections.by_address).len(), ADDRESSES_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_has_ended_or_is_not_used_is_closed() {
        for has_failed in [true, false] {
            let (listener, address) = listener().await;
            let connections = Connections::default();
            let (connection, _) = connections.get(address, LIMIT).await.unwrap();
            let given_up = connection.reserve(1).unwrap();
            let (mut server, _) = listener.accept().await.unwrap();
            drop(given_up);
            if has_failed {
                connection.end("no answer".into());
            }
            assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn octets_of_responses_have_a_limit() {
        let (listener, address) = listener().await;
        let connections = Connections::default();
        let (connection, _) = connections.get(address, LIMIT).await.unwrap();
        let Reserved { ids, mut responses } = connection.reserve(100).unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let send = async {
            for id in &ids {
                let mut message = vec![0; 2 + 65_535];
                message[..2].fill(0xff);
                message[2..4].copy_from_slice(&id.to_be_bytes());
                server.write_all(&message).await.unwrap();
            }
        };
        let receive = async {
            let (mut kept, mut count) = (0, 0);
            while count < 100 {
                let response = responses.recv().await.unwrap();
                kept += response.map_or(0, |message| message.len());
                count += 1;
            }
            kept
        };
        let (kept, ()) = tokio::join!(receive, send);
        assert!(kept > OCTETS_MAX && kept <= OCTETS_MAX + 100 * OCTETS_MAX_EACH);
    }
}
