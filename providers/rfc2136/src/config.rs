//! The options of this provider, declared and checked.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{OptionError, OptionKind, OptionSpec, Options};

use crate::key::Key;

const DNS_PORT: u16 = 53;
const TIMEOUT: Duration = Duration::from_secs(5);
const TTL: u32 = 60;
/// RFC 2181 §8: at most 2^31 - 1; a week is more than any challenge lives.
const TTL_MAX: u64 = 7 * 24 * 3600;

pub(crate) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "server",
        help: "The primary of the alias zone, as a name or an address, with a port if it is not 53; several are tried in order",
        kind: OptionKind::List,
        required: true,
        default: None,
    },
    OptionSpec {
        name: "tsig-key",
        help: "The name of the TSIG key, where the secret is not a whole BIND key file",
        kind: OptionKind::Text,
        required: false,
        default: None,
    },
    OptionSpec {
        name: "tsig-algorithm",
        help: "hmac-sha256, hmac-sha384 or hmac-sha512",
        kind: OptionKind::Text,
        required: false,
        default: Some("hmac-sha256"),
    },
    OptionSpec {
        name: "tsig-secret",
        help: "The key's secret in base64, or a BIND key file as tsig-keygen prints it",
        kind: OptionKind::Secret,
        required: true,
        default: None,
    },
    OptionSpec {
        name: "timeout",
        help: "How long one exchange with one server may take",
        kind: OptionKind::Duration,
        required: false,
        default: Some("5s"),
    },
    OptionSpec {
        name: "ttl",
        help: "Time to live of the TXT records, in seconds",
        kind: OptionKind::Number,
        required: false,
        default: Some("60"),
    },
];

/// The checked configuration of one provider.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) servers: Vec<Server>,
    pub(crate) key: Key,
    pub(crate) timeout: Duration,
    /// Time to live of the records, in seconds.
    pub(crate) ttl: u32,
}

impl Config {
    /// Takes the options apart; the error names the one that is wrong.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        let server = |text: &String| {
            text.parse::<Server>()
                .map_err(|problem| OptionError::new("server", problem))
        };
        let servers = options
            .list("server")
            .iter()
            .map(server)
            .collect::<Result<Vec<_>, _>>()?;
        let Some(secret) = options
            .secret("tsig-secret")
            .filter(|_| !servers.is_empty())
        else {
            return Err(OptionError::new("server", "needs at least one server"));
        };
        let ttl = options.number("ttl").unwrap_or(u64::from(TTL));
        let ttl = match u32::try_from(ttl) {
            Ok(ttl) if (1..=TTL_MAX).contains(&u64::from(ttl)) => ttl,
            _ => {
                return Err(OptionError::new(
                    "ttl",
                    format!("must be 1 to {TTL_MAX} seconds"),
                ));
            }
        };
        Ok(Config {
            servers,
            key: Key::read(
                secret,
                options.text("tsig-key"),
                options.text("tsig-algorithm"),
            )?,
            timeout: options.duration("timeout").unwrap_or(TIMEOUT),
            ttl,
        })
    }
}

/// A server to send updates to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Address(IpAddr),
    Name(DnsName),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl FromStr for Server {
    type Err = String;

    /// An address or a name, with or without a port; IPv6 with a port in brackets.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Server {
                host: Host::Address(address.ip()),
                port: address.port(),
            });
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(text).parse::<IpAddr>() {
            return Ok(Server {
                host: Host::Address(address),
                port: DNS_PORT,
            });
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, port.parse().ok().filter(|port| *port != 0)),
            None => (text, Some(DNS_PORT)),
        };
        let Some(port) = port else {
            return Err(format!("has no usable port in `{}`", text.escape_debug()));
        };
        match name.parse() {
            Ok(name) => Ok(Server {
                host: Host::Name(name),
                port,
            }),
            Err(error) => Err(format!("takes a name or an address: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use acme_alias_core::provider::OptionValue;

    use super::*;

    fn options(extra: &[(&str, &str)]) -> Result<Config, OptionError> {
        let mut values = vec![
            ("server".to_owned(), OptionValue::Text("192.0.2.1".into())),
            ("tsig-key".to_owned(), OptionValue::Text("acme-key".into())),
            (
                "tsig-secret".to_owned(),
                OptionValue::Secret("c2VjcmV0IHNlY3JldA==".into()),
            ),
        ];
        for (name, value) in extra {
            values.retain(|(known, _)| known != name);
            values.push(((*name).to_owned(), OptionValue::Text((*value).to_owned())));
        }
        Config::from_options(&Options::new(OPTIONS, values)?)
    }

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
            assert_eq!(text.parse::<Server>().unwrap().to_string(), printed);
        }
        for text in [
            "",
            "ns1.example.net:",
            "ns1.example.net:0",
            "ns1.example.net:99999",
            "a b",
            ":53",
        ] {
            assert!(text.parse::<Server>().is_err(), "{text}");
        }
    }

    #[test]
    fn defaults_are_an_hmac_sha256_key_five_seconds_and_a_minute() {
        let config = options(&[]).unwrap();
        assert_eq!(config.timeout, Duration::from_secs(5));
        assert_eq!(config.ttl, 60);
        assert_eq!(config.key.algorithm().to_string(), "hmac-sha256");
    }

    #[test]
    fn a_wrong_option_is_named() {
        for (name, value) in [
            ("ttl", "0"),
            ("ttl", "99999999999"),
            ("timeout", "soon"),
            ("server", "a b"),
            ("tsig-algorithm", "hmac-md5"),
        ] {
            let error = options(&[(name, value)]).unwrap_err();
            assert_eq!(error.option, name, "{error}");
        }
    }
}
