//! Ports and addresses that no other bed uses, in this process or another.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};

use rand::RngExt;

use crate::error::{Context, Error, Result};

/// Below the kernel's range for outgoing connections, so that none of those takes a port
/// between its choice and its use.
pub(crate) const RANGE: std::ops::Range<u16> = 12_000..32_000;
const ATTEMPTS: usize = 1_000;
const DNS_PORT: u16 = 53;

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
        let (port, ..) = Port::bound()?;
        Ok(port)
    }

    /// The same with the sockets there, so that nobody can take the port before a server listens.
    pub(crate) fn bound() -> Result<(Port, UdpSocket, TcpListener)> {
        let mut rng = rand::rng();
        for _ in 0..ATTEMPTS {
            let number = rng.random_range(RANGE);
            let Some(claim) = claim(&format!("port-{number}"))? else {
                continue;
            };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, number));
            if let (Ok(udp), Ok(tcp)) = (UdpSocket::bind(address), TcpListener::bind(address)) {
                let port = Port {
                    address,
                    _claim: claim,
                };
                return Ok((port, udp, tcp));
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

/// Claims a name among all processes of this machine; `None` if another has it.
fn claim(name: &str) -> Result<Option<UnixListener>> {
    let name = UnixAddr::from_abstract_name(format!("acme-alias-tests-{name}"))?;
    match UnixListener::bind_addr(&name) {
        Ok(claim) => Ok(Some(claim)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Port 53 at an address in 127.0.0.0/8, free for UDP and TCP, and claimed until this is dropped: a resolver
/// that `/etc/resolv.conf` can name, which knows no other port.
#[derive(Debug)]
pub(crate) struct ResolverAddress {
    address: SocketAddr,
    _claim: UnixListener,
}

impl ResolverAddress {
    /// Claims an address.
    pub(crate) fn claim() -> Result<ResolverAddress> {
        let mut rng = rand::rng();
        for _ in 0..ATTEMPTS {
            let [second, third, fourth] = [(); 3].map(|()| rng.random_range(1..=254));
            let ip = Ipv4Addr::new(127, second, third, fourth);
            let Some(claim) = claim(&format!("resolver-{ip}"))? else {
                continue;
            };
            let address = SocketAddr::from((ip, DNS_PORT));
            let bound = UdpSocket::bind(address).and_then(|_| TcpListener::bind(address));
            match bound {
                Ok(_) => {
                    return Ok(ResolverAddress {
                        address,
                        _claim: claim,
                    });
                }
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    return Err(Error::new(format_args!(
                        "this user may not listen at {address}: {error}; allow it, as root:\n    \
                         sysctl net.ipv4.ip_unprivileged_port_start={DNS_PORT}"
                    )));
                }
                Err(error) => return Err(error).context(address),
            }
        }
        Err(Error::new(format_args!(
            "port {DNS_PORT} is taken at every address that was tried in 127.0.0.0/8; stop the server that \
             listens at 0.0.0.0:{DNS_PORT}"
        )))
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
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
        let (port, udp, tcp) = Port::bound()?;
        Ok(SilentServer {
            port,
            _udp: udp,
            _tcp: tcp,
        })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.port.address
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn a_claimed_port_is_nobody_elses() {
        let ports: Vec<_> = (0..50).map(|_| Port::claim().unwrap()).collect();
        let mut numbers: Vec<_> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), ports.len());
    }

    #[test]
    fn a_claimed_address_of_a_resolver_is_nobody_elses() {
        let claimed: Vec<_> = (0..20).map(|_| ResolverAddress::claim().unwrap()).collect();
        let mut ips: Vec<_> = claimed.iter().map(|claim| claim.address().ip()).collect();
        ips.sort_unstable();
        ips.dedup();
        assert_eq!(ips.len(), claimed.len());
        assert!(ips.iter().all(IpAddr::is_loopback));
    }
}
