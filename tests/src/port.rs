//! Ports that no other bed uses, in this process or another.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};

use rand::RngExt;

use crate::error::{Error, Result};

/// Below the kernel's range for outgoing connections, so that none of those takes a port
/// between its choice and its use.
const RANGE: std::ops::Range<u16> = 12_000..32_000;
const ATTEMPTS: usize = 1_000;

/// A port on 127.0.0.1, free for UDP and TCP, and claimed until this is dropped.
///
/// The claim is a socket in the kernel's abstract namespace: other beds see it, and it ends with
/// the process, however that ends.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _claim: UnixListener,
}

impl Port {
    /// Claims a free port.
    pub fn claim() -> Result<Port> {
        let mut rng = rand::rng();
        for _ in 0..ATTEMPTS {
            let number = rng.random_range(RANGE);
            let name = UnixAddr::from_abstract_name(format!("acme-alias-tests-port-{number}"))?;
            let claim = match UnixListener::bind_addr(&name) {
                Ok(claim) => claim,
                Err(error) if error.kind() == ErrorKind::AddrInUse => continue,
                Err(error) => return Err(error.into()),
            };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, number));
            if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
                return Ok(Port {
                    address,
                    _claim: claim,
                });
            }
        }
        Err(Error::new("no free port on 127.0.0.1"))
    }

    /// Where it is. Nothing listens there until somebody starts to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port number.
    pub fn number(&self) -> u16 {
        self.address.port()
    }
}

/// A server that takes whatever it gets and never answers.
#[derive(Debug)]
pub struct SilentServer {
    port: Port,
    _udp: UdpSocket,
    _tcp: TcpListener,
}

impl SilentServer {
    /// Begins to be silent.
    pub fn start() -> Result<SilentServer> {
        let port = Port::claim()?;
        Ok(SilentServer {
            _udp: UdpSocket::bind(port.address)?,
            _tcp: TcpListener::bind(port.address)?,
            port,
        })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.port.address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_port_is_nobody_elses() {
        let ports: Vec<_> = (0..50).map(|_| Port::claim().unwrap()).collect();
        let mut numbers: Vec<_> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), ports.len());
    }
}
