//! The system's resolvers, for the start of a walk.

use std::net::{IpAddr, SocketAddr};

/// The name servers of `/etc/resolv.conf`; none where it cannot be read.
pub(crate) fn of_the_system() -> Vec<SocketAddr> {
    let Ok(text) = std::fs::read("/etc/resolv.conf") else {
        return Vec::new();
    };
    let Ok(config) = resolv_conf::Config::parse(&text) else {
        return Vec::new();
    };
    config
        .nameservers
        .iter()
        .map(|server| SocketAddr::new(IpAddr::from(server), 53))
        .collect()
}
