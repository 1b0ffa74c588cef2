//! Addresses as administrators write them: with or without a port, and with the interface that a link-local
//! address is on.

use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};

use rustix::net::netdevice::name_to_index;

/// Why a text is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is not an IP address with or without a port.
    #[error("`{0}` is not an IP address")]
    Syntax(String),
    /// The interface after the `%` does not exist.
    #[error("this machine has no network interface `{0}`")]
    NoInterface(String),
}

/// Reads the address of a server, which has the port `port` unless the text says otherwise.
///
/// A link-local IPv6 address has the interface that it is on: its name, or its index (RFC 4007 §11). An address
/// with a port is in brackets if it is an IPv6 address.
///
/// ```
/// use acme_alias_core::dns::parse_server;
///
/// let server = parse_server("192.0.2.1", 53)?;
/// assert_eq!(server.to_string(), "192.0.2.1:53");
/// let server = parse_server("[fe80::1%lo]:5353", 53)?;
/// assert_eq!(server.to_string(), "[fe80::1%1]:5353");
/// # Ok::<(), acme_alias_core::dns::AddressError>(())
/// ```
pub fn parse_server(text: &str, port: u16) -> Result<SocketAddr, AddressError> {
    let syntax = || AddressError::Syntax(text.escape_debug().to_string());
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, behind) = rest.rsplit_once(']').ok_or_else(syntax)?;
            let port = match behind.strip_prefix(':') {
                Some(port) => port.parse().map_err(|_| syntax())?,
                None if behind.is_empty() => port,
                None => return Err(syntax()),
            };
            (address, port)
        }
        None => (text, port),
    };
    let (address, scope) = match address.split_once('%') {
        Some((address, scope)) => (address, Some(scope)),
        None => (address, None),
    };
    match (address.parse().map_err(|_| syntax())?, scope) {
        (IpAddr::V6(ip), Some(scope)) => {
            // The interface of another address means nothing.
            let index = match interface(scope) {
                None if ip.is_unicast_link_local() => {
                    let name = scope.escape_debug().to_string();
                    return Err(AddressError::NoInterface(name));
                }
                index => index.unwrap_or_default(),
            };
            Ok(SocketAddrV6::new(ip, port, 0, index).into())
        }
        (IpAddr::V4(_), Some(_)) => Err(syntax()),
        (ip, None) => Ok(SocketAddr::new(ip, port)),
    }
}

/// The index of the interface with this name or index.
fn interface(scope: &str) -> Option<u32> {
    // Any socket does for the question.
    let socket = UdpSocket::bind(("::", 0)).or_else(|_| UdpSocket::bind(("0.0.0.0", 0)));
    let index = name_to_index(socket.ok()?, scope).ok();
    index.or_else(|| scope.parse().ok().filter(|index| *index != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port_and_a_scope_or_not() {
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
            ("fe80::1%lo", "[fe80::1%1]:53"),
            ("fe80::1%1", "[fe80::1%1]:53"),
            ("[fe80::1%lo]", "[fe80::1%1]:53"),
            ("[fe80::1%lo]:5353", "[fe80::1%1]:5353"),
            ("[fe80::1%7]:5353", "[fe80::1%7]:5353"),
            ("2001:db8::1%no-such.if", "[2001:db8::1]:53"),
        ] {
            let read = parse_server(text, 53).unwrap();
            assert_eq!(read.to_string(), address, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "dns.example",
            "192.0.2.1:",
            "192.0.2.1:x",
            "192.0.2.1%lo",
            "[192.0.2.1",
            "[2001:db8::1]53",
            "[2001:db8::1]:",
            "%lo",
            "2001:db8::1 ",
            "192.0.2.1:53%lo",
        ] {
            let refused = AddressError::Syntax(text.to_owned());
            assert_eq!(parse_server(text, 53), Err(refused), "{text}");
        }
        for scope in ["no-such.if", "0", "", "lo0000000000000000000"] {
            let refused = AddressError::NoInterface(scope.to_owned());
            let text = format!("fe80::1%{scope}");
            assert_eq!(parse_server(&text, 53), Err(refused), "{scope}");
        }
    }
}
