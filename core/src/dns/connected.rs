//! UDP sockets that are connected to the server that is asked. The kernel then reports that nothing listens there
//! (ICMP), and drops packets of others.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use hickory_net::runtime::{DnsUdpSocket, RuntimeProvider, TokioRuntimeProvider, TokioTime};
use tokio::io::{Interest, ReadBuf};
use tokio::net::UdpSocket;

/// The sockets of one query, on tokio.
#[derive(Clone, Default)]
pub(super) struct Connected(TokioRuntimeProvider);

impl RuntimeProvider for Connected {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = TokioTime;
    type Udp = ConnectedSocket;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.0.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Tcp>>>> {
        self.0.connect_tcp(server, local, timeout)
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<ConnectedSocket>>>> {
        Box::pin(async move {
            let socket = UdpSocket::bind(local).await?;
            socket.connect(server).await?;
            Ok(ConnectedSocket { socket, server })
        })
    }
}

/// A UDP socket that is connected to one server.
pub(super) struct ConnectedSocket {
    socket: UdpSocket,
    server: SocketAddr,
}

#[async_trait]
impl DnsUdpSocket for ConnectedSocket {
    type Time = TokioTime;

    fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(self.socket.poll_recv(context, &mut buffer))?;
        Poll::Ready(Ok((buffer.filled().len(), self.server)))
    }

    /// Waits for errors as well: tokio does not count a socket with an error as readable.
    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let socket = &self.socket;
        loop {
            let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
            if ready.is_error() {
                if let Some(error) = socket.take_error()? {
                    return Err(error);
                }
                // Sending has reported it. The next one is waited for.
                let nothing = || Err::<(), _>(ErrorKind::WouldBlock.into());
                let _ = socket.try_io(Interest::ERROR, nothing);
            }
            match socket.try_recv(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                received => return Ok((received?, self.server)),
            }
        }
    }

    /// The target is always the server.
    fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        query: &[u8],
        _target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_send(context, query)
    }
}
