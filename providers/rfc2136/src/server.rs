//! The address of a DNS server.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use acme_alias_core::dns::{AddressError, parse_server};
use acme_alias_core::name::DnsName;
use acme_alias_core::provider::OptionError;

/// The port of DNS (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

/// A DNS server: a host name or an IP address, and a port.
///
/// ```
/// use acme_alias_rfc2136::ServerAddress;
///
/// let by_name: ServerAddress = "ns1.example.net".parse()?;
/// assert_eq!(by_name.to_string(), "ns1.example.net:53");
/// let by_address: ServerAddress = "[2001:db8::1]:5353".parse()?;
/// assert_eq!(by_address.to_string(), "[2001:db8::1]:5353");
/// # Ok::<(), acme_alias_core::provider::OptionError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress(Host);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Host {
    Address(SocketAddr),
    Name(DnsName, u16),
}

impl ServerAddress {
    /// The socket addresses of this server; a name is resolved by the operating system.
    pub(crate) async fn resolve(&self) -> std::io::Result<Vec<SocketAddr>> {
        match &self.0 {
            Host::Address(address) => Ok(vec![*address]),
            Host::Name(name, port) => {
                let found = tokio::net::lookup_host((name.as_str(), *port)).await?;
                Ok(found.collect())
            }
        }
    }
}

impl From<SocketAddr> for ServerAddress {
    fn from(address: SocketAddr) -> Self {
        ServerAddress(Host::Address(address))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Host::Address(address) => address.fmt(f),
            Host::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

impl FromStr for ServerAddress {
    type Err = OptionError;

    /// Reads an address or a name, with or without a port. IPv6 with a port needs brackets.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match parse_server(text, DNS_PORT) {
            Ok(address) => return Ok(address.into()),
            Err(error @ AddressError::NoInterface(_)) => {
                return Err(OptionError::new(
                    "server",
                    format!("cannot be used: {error}"),
                ));
            }
            Err(_) => {}
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, port.parse().ok().filter(|port| *port != 0)),
            None => (text, Some(DNS_PORT)),
        };
        let invalid = |problem: String| OptionError::new("server", problem);
        let Some(port) = port else {
            let problem = format!("has an invalid port in `{}`", text.escape_debug());
            return Err(invalid(problem));
        };
        match name.parse() {
            Ok(name) => Ok(ServerAddress(Host::Name(name, port))),
            Err(error) => Err(invalid(format!("must be a name or an address: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_names_or_addresses_with_or_without_a_port() {
        for (text, printed) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
            ("fe80::1%lo", "[fe80::1%1]:53"),
            ("[fe80::1%lo]:5353", "[fe80::1%1]:5353"),
            ("ns1.Example.net", "ns1.example.net:53"),
            ("ns1.example.net:5353", "ns1.example.net:5353"),
        ] {
            assert_eq!(text.parse::<ServerAddress>().unwrap().to_string(), printed);
        }
        for text in [
            "",
            "ns1.example.net:",
            "ns1.example.net:0",
            "ns1.example.net:99999",
            "a b",
            ":53",
            "fe80::1%no-such.if",
        ] {
            let error = text.parse::<ServerAddress>().unwrap_err();
            assert_eq!(error.option, "server", "{text}");
        }
    }
}
