//! A network in this process, for tests and fuzz targets: a script answers each packet. Everything above the
//! sockets is the code of real queries: message ids, questions, retransmission, TCP after a truncated answer.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hickory_net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_net::runtime::{DnsUdpSocket, RuntimeProvider, TokioHandle, TokioTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Sleep, sleep};

use super::budget::Budget;

/// Octets that a connection holds that nobody reads: one message and its length.
const BUFFER: usize = 2 + 65_535;

tokio::task_local! {
    static NETWORK: Arc<dyn Network>;
}

/// What answers in place of servers.
pub(crate) trait Network: Send + Sync {
    /// A query begins.
    fn query_begins(&self, route: &Route);

    /// What the server sends back for a packet, or for a message over TCP.
    fn replies(&self, route: &Route, transport: Transport, query: &[u8]) -> Vec<Reply>;
}

/// Where a query goes, and who pays for it.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) server: SocketAddr,
    /// None if it is charged to nobody.
    pub(crate) payer: Option<Payer>,
}

/// Who pays for a query. All queries that are charged to one budget have the same payer.
#[derive(Clone, Debug)]
pub(crate) struct Payer(Arc<Budget>);

impl PartialEq for Payer {
    fn eq(&self, other: &Payer) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// How a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// One packet, or octets on a connection, and how long they take.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) after: Duration,
    pub(crate) octets: Vec<u8>,
}

/// Runs work whose queries go to `network`.
pub(crate) async fn within<T>(network: Arc<dyn Network>, work: impl Future<Output = T>) -> T {
    NETWORK.scope(network, work).await
}

/// The network for a query to `server`, if the work that sends it has one.
pub(super) fn network_for(server: SocketAddr) -> Option<Scripted> {
    let network = NETWORK.try_with(Arc::clone).ok()?;
    let payer = Budget::current().map(Payer);
    let route = Route { server, payer };
    network.query_begins(&route);
    Some(Scripted {
        network,
        route,
        tasks: TokioHandle::default(),
    })
}

/// The sockets of one query.
#[derive(Clone)]
pub(super) struct Scripted {
    network: Arc<dyn Network>,
    route: Route,
    tasks: TokioHandle,
}

impl RuntimeProvider for Scripted {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = Socket;
    type Tcp = AsyncIoTokioAsStd<DuplexStream>;

    fn create_handle(&self) -> TokioHandle {
        self.tasks.clone()
    }

    fn connect_tcp(
        &self,
        _server: SocketAddr,
        _local: Option<SocketAddr>,
        _timeout: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Tcp>>>> {
        let (client, mut connection) = tokio::io::duplex(BUFFER);
        let (network, route) = (Arc::clone(&self.network), self.route.clone());
        // It ends when the client closes its side.
        tokio::spawn(async move { serve(&*network, &route, &mut connection).await });
        Box::pin(async { Ok(AsyncIoTokioAsStd(client)) })
    }

    fn bind_udp(
        &self,
        _local: SocketAddr,
        _server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Socket>>>> {
        let socket = Socket {
            network: Arc::clone(&self.network),
            route: self.route.clone(),
            inbox: Mutex::default(),
        };
        Box::pin(async { Ok(socket) })
    }
}

/// Answers on one connection.
async fn serve(
    network: &dyn Network,
    route: &Route,
    connection: &mut DuplexStream,
) -> io::Result<()> {
    loop {
        let mut query = vec![0; usize::from(connection.read_u16().await?)];
        connection.read_exact(&mut query).await?;
        let replies = network.replies(route, Transport::Tcp, &query);
        if replies.is_empty() {
            return Ok(());
        }
        for reply in replies {
            sleep(reply.after).await;
            connection.write_all(&reply.octets).await?;
        }
    }
}

/// A UDP socket.
pub(super) struct Socket {
    network: Arc<dyn Network>,
    route: Route,
    inbox: Mutex<VecDeque<Packet>>,
}

/// A packet on its way.
struct Packet {
    arrival: Pin<Box<Sleep>>,
    octets: Vec<u8>,
}

impl DnsUdpSocket for Socket {
    type Time = TokioTime;

    fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(packet) = inbox.front_mut() else {
            return Poll::Pending;
        };
        ready!(packet.arrival.as_mut().poll(context));
        let length = packet.octets.len().min(buffer.len());
        buffer[..length].copy_from_slice(&packet.octets[..length]);
        inbox.pop_front();
        Poll::Ready(Ok((length, self.route.server)))
    }

    fn poll_send_to(
        &self,
        _context: &mut Context<'_>,
        query: &[u8],
        _server: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let replies = self.network.replies(&self.route, Transport::Udp, query);
        let packets = replies.into_iter().map(|reply| Packet {
            arrival: Box::pin(sleep(reply.after)),
            octets: reply.octets,
        });
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.extend(packets);
        Poll::Ready(Ok(query.len()))
    }
}
