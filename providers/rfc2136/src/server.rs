//! The address of a DNS server.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

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
pub struct ServerAddress {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Host {
    Address(IpAddr),
    Name(DnsName),
}

impl ServerAddress {
    /// The socket addresses of this server; a name is resolved by the operating system.
    pub(crate) async fn resolve(&self) -> std::io::Result<Vec<SocketAddr>> {
        match &self.host {
            Host::Address(address) => Ok(vec![SocketAddr::new(*address, self.port)]),
            Host::Name(name) => {
                let found = tokio::net::lookup_host((name.as_str(), self.port)).await?;
                Ok(found.collect())
            }
        }
    }
}

impl From<SocketAddr> for ServerAddress {
    fn from(address: SocketAddr) -> Self {
        ServerAddress {
            host: Host::Address(address.ip()),
            port: address.port(),
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl FromStr for ServerAddress {
    type Err = OptionError;

    /// Reads an address or a name, with or without a port. IPv6 with a port needs brackets.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let in_brackets = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = in_brackets.unwrap_or(text).parse::<IpAddr>() {
            return Ok(SocketAddr::new(address, DNS_PORT).into());
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
            Ok(name) => Ok(ServerAddress {
                host: Host::Name(name),
                port,
            }),
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
        ] {
            let error = text.parse::<ServerAddress>().unwrap_err();
            assert_eq!(error.option, "server", "{text}");
        }
    }
}
