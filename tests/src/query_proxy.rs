//! A name server of which the answers over UDP are spoilt; those over TCP are as they should be.

use std::io::copy;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::Message;

use crate::error::{Context, Result};
use crate::port::{Port, ResolverAddress};

const MESSAGE_MAX: usize = 65_535;
const TIMEOUT: Duration = Duration::from_secs(5);

/// The running proxy.
#[derive(Debug)]
pub struct QueryProxy {
    address: SocketAddr,
    _claim: Claim,
}

/// What keeps its address from others.
#[derive(Debug)]
enum Claim {
    Port {
        _port: Port,
    },
    DnsPort {
        _address: ResolverAddress,
    },
    /// It shares the port of its server.
    None,
}

impl QueryProxy {
    /// Listens for as long as the test runs. `spoil` gets a question and the answer of `server`, and
    /// says what is answered in its place: nothing, or one message after the other.
    pub fn start(
        server: SocketAddr,
        spoil: impl FnMut(&Message, Message) -> Vec<Message> + Send + 'static,
    ) -> Result<QueryProxy> {
        QueryProxy::start_raw(server, parsed(spoil))
    }

    /// The same with messages as they are on the wire, so that what is answered need not be DNS.
    pub fn start_raw(
        server: SocketAddr,
        spoil: impl FnMut(&[u8], &[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Result<QueryProxy> {
        let (port, udp, tcp) = Port::bound()?;
        let (address, claim) = (port.address(), Claim::Port { _port: port });
        Ok(QueryProxy::serve(server, address, (udp, tcp), claim, spoil))
    }

    /// A server with the answers of `server`, at port 53 of an address in 127.0.0.0/8: one that NS records can name.
    pub fn at_dns_port(server: SocketAddr) -> Result<QueryProxy> {
        QueryProxy::start_at_dns_port(server, |_, answer| vec![answer])
    }

    /// The same at another address of this machine (127.0.0.0/8) and the port of `server`, as a server beside
    /// it that an NS record can name.
    pub fn start_beside(
        server: SocketAddr,
        address: Ipv4Addr,
        spoil: impl FnMut(&[u8], &[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Result<QueryProxy> {
        QueryProxy::listen(server, (address, server.port()).into(), Claim::None, spoil)
    }

    /// The same at port 53 of some address of this machine (127.0.0.0/8), where the NS record of any zone can lead.
    pub fn start_at_dns_port(
        server: SocketAddr,
        spoil: impl FnMut(&Message, Message) -> Vec<Message> + Send + 'static,
    ) -> Result<QueryProxy> {
        let claimed = ResolverAddress::claim()?;
        let address = claimed.address();
        let claim = Claim::DnsPort { _address: claimed };
        QueryProxy::listen(server, address, claim, parsed(spoil))
    }

    fn listen(
        server: SocketAddr,
        address: SocketAddr,
        claim: Claim,
        spoil: impl FnMut(&[u8], &[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Result<QueryProxy> {
        let udp = UdpSocket::bind(address).context("UDP")?;
        let tcp = TcpListener::bind(address).context("TCP")?;
        Ok(QueryProxy::serve(server, address, (udp, tcp), claim, spoil))
    }

    fn serve(
        server: SocketAddr,
        address: SocketAddr,
        (udp, tcp): (UdpSocket, TcpListener),
        claim: Claim,
        mut spoil: impl FnMut(&[u8], &[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> QueryProxy {
        std::thread::spawn(move || {
            let mut question = vec![0; MESSAGE_MAX];
            while let Ok((length, client)) = udp.recv_from(&mut question) {
                // What is no DNS, or was not answered, is lost.
                let answered = answer(server, &question[..length], &mut spoil);
                for message in answered.unwrap_or_default() {
                    let _ = udp.send_to(&message, client);
                }
            }
        });
        std::thread::spawn(move || {
            for client in tcp.incoming().flatten() {
                std::thread::spawn(move || pass(&client, server).ok());
            }
        });
        QueryProxy {
            address,
            _claim: claim,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The same with messages as they are on the wire.
fn parsed(
    mut spoil: impl FnMut(&Message, Message) -> Vec<Message> + Send + 'static,
) -> impl FnMut(&[u8], &[u8]) -> Vec<Vec<u8>> + Send + 'static {
    move |question, answer| {
        let (Ok(question), Ok(answer)) = (Message::from_vec(question), Message::from_vec(answer))
        else {
            return Vec::new();
        };
        let messages = spoil(&question, answer).into_iter();
        messages
            .filter_map(|message| message.to_vec().ok())
            .collect()
    }
}

fn answer(
    server: SocketAddr,
    question: &[u8],
    spoil: &mut impl FnMut(&[u8], &[u8]) -> Vec<Vec<u8>>,
) -> Result<Vec<Vec<u8>>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.send_to(question, server)?;
    let mut answer = vec![0; MESSAGE_MAX];
    let length = socket.recv(&mut answer)?;
    Ok(spoil(question, &answer[..length]))
}

/// Passes on what either side says, until both have ended.
fn pass(client: &TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let server = TcpStream::connect(server)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(std::net::Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (server, client.try_clone()?);
    copy(&mut from_server, &mut to_client)?;
    to_client.shutdown(std::net::Shutdown::Write)
}
