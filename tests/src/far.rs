//! The servers of a bed, at a distance.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::Result;
use crate::port::Port;
use crate::relay::Relay;
use crate::settings::Settings;
use crate::traffic::{BedServer, Traffic};

/// Relays in front of every server of a bed, until this is dropped.
///
/// A packet takes half a round trip in each direction, and opening a connection takes a whole one
/// before the first octet passes. Bandwidth is not limited. Relays without any delay only count.
#[derive(Debug)]
pub struct Far {
    settings: Settings,
    addresses: BTreeMap<BedServer, SocketAddr>,
    traffic: Arc<Mutex<Traffic>>,
    _ports: Vec<Port>,
    _end: oneshot::Sender<()>,
}

impl Far {
    /// Starts relays for `servers` on a thread of its own. `settings` name the servers themselves.
    pub(crate) fn start(
        rtt: Duration,
        servers: &[(BedServer, SocketAddr)],
        settings: &Settings,
    ) -> Result<Far> {
        let traffic = Arc::new(Mutex::new(Traffic::default()));
        let mut ports = Vec::new();
        let mut addresses = BTreeMap::new();
        let mut moved = BTreeMap::new();
        let mut relays = Vec::new();
        for &(server, target) in servers {
            let (port, udp, tcp) = Port::bound()?;
            let address = port.address();
            let relay = Arc::new(Relay {
                server,
                target,
                rtt,
                traffic: Arc::clone(&traffic),
            });
            udp.set_nonblocking(true)?;
            tcp.set_nonblocking(true)?;
            relays.push((relay, udp, tcp));
            addresses.insert(server, address);
            moved.insert(target, address);
            ports.push(port);
        }
        Ok(Far {
            settings: settings.at(&moved),
            addresses,
            traffic,
            _ports: ports,
            _end: serve(relays)?,
        })
    }

    /// The settings of the bed, with the addresses of the relays in place of all servers.
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// Where the relay of a server listens.
    pub fn address(&self, server: BedServer) -> SocketAddr {
        self.addresses[&server]
    }

    /// What has passed so far.
    pub fn traffic(&self) -> Traffic {
        let traffic = self.traffic.lock();
        traffic.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// DNS queries of the program so far, updates not included. The CA's queries do not pass here.
    pub fn dns_queries(&self) -> usize {
        let traffic = self.traffic.lock();
        traffic
            .unwrap_or_else(PoisonError::into_inner)
            .dns_queries()
    }
}

/// Serves until the sender that is returned is dropped.
fn serve(relays: Vec<(Arc<Relay>, UdpSocket, TcpListener)>) -> Result<oneshot::Sender<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    {
        let _context = runtime.enter();
        for (relay, udp, tcp) in relays {
            let udp = tokio::net::UdpSocket::from_std(udp)?;
            let tcp = tokio::net::TcpListener::from_std(tcp)?;
            runtime.spawn(Arc::clone(&relay).serve_udp(udp));
            runtime.spawn(relay.serve_tcp(tcp));
        }
    }
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        // An error says that the other half was dropped, which is the end, too.
        let _ = runtime.block_on(ended);
    });
    Ok(end)
}
