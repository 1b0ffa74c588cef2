//! A relay in front of one server: every packet arrives later, and is counted.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::traffic::{BedServer, Messages, Protocol, Traffic};

const DATAGRAM_MAX: usize = 65_535;
const CHUNK_MAX: usize = 64 * 1024;
/// How long an answer in a datagram may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A relay for the connections and the datagrams of one server.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) server: BedServer,
    /// Where the server listens.
    pub(crate) target: SocketAddr,
    /// The time of a packet to the server and back.
    pub(crate) rtt: Duration,
    pub(crate) traffic: Arc<Mutex<Traffic>>,
}

/// Whether octets go to the server or come from it.
#[derive(Clone, Copy)]
enum Direction {
    Sent,
    Received,
}

impl Relay {
    /// Relays each datagram, and the answer to it. Datagrams can overtake each other.
    pub(crate) async fn serve_udp(self: Arc<Self>, socket: UdpSocket) -> io::Result<()> {
        let socket = Arc::new(socket);
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            let (length, client) = socket.recv_from(&mut buffer).await?;
            let arrival = Instant::now() + self.rtt / 2;
            let (relay, socket) = (Arc::clone(&self), Arc::clone(&socket));
            let query = buffer[..length].to_vec();
            tokio::spawn(async move {
                let answer = relay.ask(&query, arrival).await?;
                socket.send_to(&answer, client).await
            });
        }
    }

    /// Sends a datagram at `arrival`, and returns the answer half a round trip after it came.
    async fn ask(&self, query: &[u8], arrival: Instant) -> io::Result<Vec<u8>> {
        self.traffic().add_dns(self.server, Protocol::Udp, query);
        self.count_octets(Direction::Sent, query.len());
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        server.connect(self.target).await?;
        self.wait_until(arrival).await;
        server.send(query).await?;
        let mut answer = vec![0; DATAGRAM_MAX];
        let length = timeout(ANSWER_WITHIN, server.recv(&mut answer)).await??;
        answer.truncate(length);
        self.count_octets(Direction::Received, length);
        self.wait_until(Instant::now() + self.rtt / 2).await;
        Ok(answer)
    }

    /// Relays each connection until both sides have ended it.
    pub(crate) async fn serve_tcp(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        loop {
            let (client, _) = listener.accept().await?;
            let relay = Arc::clone(&self);
            tokio::spawn(async move { relay.pass(client).await });
        }
    }

    async fn pass(&self, client: TcpStream) -> io::Result<()> {
        // The kernel has accepted for the server. Only now could the first octet leave.
        let opened = Instant::now() + self.rtt;
        self.traffic().add_connection(self.server);
        let server = match TcpStream::connect(self.target).await {
            Ok(server) => server,
            Err(error) => {
                self.wait_until(opened).await;
                return Err(error);
            }
        };
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let mut messages = (self.server != BedServer::Ca).then(Messages::default);
        let sent = |octets: &[u8]| {
            self.count_octets(Direction::Sent, octets.len());
            let complete = messages.as_mut().map(|messages| messages.add(octets));
            for message in complete.unwrap_or_default() {
                self.traffic().add_dns(self.server, Protocol::Tcp, &message);
            }
        };
        let received = |octets: &[u8]| self.count_octets(Direction::Received, octets.len());
        tokio::join!(
            self.carry(from_client, to_server, opened, sent),
            self.carry(from_server, to_client, opened, received),
        );
        Ok(())
    }

    /// Carries octets in one direction, in order, each half a round trip after it came or after
    /// `opened`, until the reader has ended or the writer takes no more.
    async fn carry(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        opened: Instant,
        mut count: impl FnMut(&[u8]),
    ) {
        let (send, mut on_the_way) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        let read = async move {
            let mut buffer = vec![0; CHUNK_MAX];
            loop {
                // As the program does: BIND keeps a response back until the one before is acknowledged.
                let _ = from.as_ref().set_quickack(true);
                // A connection that breaks ends as one that is closed.
                let length = from.read(&mut buffer).await.unwrap_or_default();
                let octets = buffer[..length].to_vec();
                count(&octets);
                let arrival = Instant::now().max(opened) + self.rtt / 2;
                if send.send((arrival, octets)).is_err() || length == 0 {
                    return;
                }
            }
        };
        let write = async {
            while let Some((arrival, octets)) = on_the_way.recv().await {
                self.wait_until(arrival).await;
                if octets.is_empty() || to.write_all(&octets).await.is_err() {
                    break;
                }
            }
            on_the_way.close();
            // An error says that the connection has ended already.
            let _ = to.shutdown().await;
        };
        tokio::join!(read, write);
    }

    /// Waits, where packets take any time: a timer would round up to the next millisecond.
    async fn wait_until(&self, time: Instant) {
        if !self.rtt.is_zero() {
            sleep_until(time).await;
        }
    }

    fn count_octets(&self, direction: Direction, octets: usize) {
        let mut traffic = self.traffic();
        match direction {
            Direction::Sent => traffic.add_sent(self.server, octets),
            Direction::Received => traffic.add_received(self.server, octets),
        }
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
