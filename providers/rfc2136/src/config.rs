//! The options of this provider, declared and checked.

use std::time::Duration;

use acme_alias_core::provider::{OptionError, OptionKind, OptionSpec, Options};
use secrecy::SecretString;

use crate::key::{TsigAlgorithm, TsigKey};
use crate::server::ServerAddress;

const TIMEOUT: Duration = Duration::from_secs(5);
/// In seconds. A resolver does not cache the records at all, so that a value which is added later is seen at once.
const TTL: u32 = 0;
/// A week, in seconds. RFC 2181 §8 allows 2^31 - 1, but no challenge lives that long.
const TTL_MAX: u32 = 7 * 24 * 3600;

pub(crate) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "server",
        help: "The primary of the alias zone: a name or an address, with a port if it is not 53; several are tried in order",
        kind: OptionKind::List,
        required: true,
        default: None,
    },
    OptionSpec {
        name: "tsig-key",
        help: "The name of the TSIG key; not needed if the secret has it",
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
        help: "The key's secret in base64, or the whole key as BIND, Knot, NSD or PowerDNS keep it",
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
        default: Some("0"),
    },
];

/// The checked configuration of one provider.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) servers: Vec<ServerAddress>,
    pub(crate) key: TsigKey,
    pub(crate) timeout: Duration,
    /// Time to live of the records, in seconds.
    pub(crate) ttl: u32,
}

impl Config {
    /// The defaults, with this server and this key.
    pub(crate) fn new(server: ServerAddress, key: TsigKey) -> Self {
        Config {
            servers: vec![server],
            key,
            timeout: TIMEOUT,
            ttl: TTL,
        }
    }

    /// Checks `options`; the error names the one that is wrong.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        let servers = options.list("server").iter().map(|text| text.parse());
        let mut servers = servers.collect::<Result<Vec<_>, _>>()?.into_iter();
        let Some(first) = servers.next() else {
            return Err(OptionError::new("server", "needs at least one server"));
        };
        let Some(secret) = options.secret("tsig-secret") else {
            return Err(OptionError::new("tsig-secret", "is missing"));
        };
        let (name, algorithm) = (options.text("tsig-key"), options.text("tsig-algorithm"));
        let mut config = Config::new(first, tsig_key(secret, name, algorithm)?);
        config.servers.extend(servers);
        if let Some(ttl) = options.number("ttl") {
            config.ttl = u32::try_from(ttl)
                .ok()
                .filter(|ttl| clamped_ttl(*ttl) == *ttl)
                .ok_or_else(|| {
                    OptionError::new("ttl", format!("must be 0 to {TTL_MAX} seconds"))
                })?;
        }
        config.timeout = options.duration("timeout").unwrap_or(config.timeout);
        Ok(config)
    }
}

/// The time to live, in seconds, that is nearest to `ttl` and allowed.
pub(crate) fn clamped_ttl(ttl: u32) -> u32 {
    ttl.min(TTL_MAX)
}

/// The key whose `secret` is base64 or a whole key.
pub(crate) fn tsig_key(
    secret: &SecretString,
    name: Option<&str>,
    algorithm: Option<&str>,
) -> Result<TsigKey, OptionError> {
    let algorithm = algorithm.map(str::parse::<TsigAlgorithm>).transpose()?;
    TsigKey::from_text_with(secret, name, algorithm)
}

#[cfg(test)]
mod tests {
    use acme_alias_core::provider::OptionValue;

    use super::*;

    const SECRET: &str = "c2VjcmV0IHNlY3JldA==";

    fn options(extra: &[(&str, &str)]) -> Result<Config, OptionError> {
        let mut values = vec![
            ("server".to_owned(), OptionValue::Text("192.0.2.1".into())),
            ("tsig-key".to_owned(), OptionValue::Text("acme-key".into())),
            ("tsig-secret".to_owned(), OptionValue::Secret(SECRET.into())),
        ];
        for (name, value) in extra {
            values.retain(|(known, _)| known != name);
            values.push(((*name).to_owned(), OptionValue::Text((*value).to_owned())));
        }
        Config::from_options(&Options::new(OPTIONS, values)?)
    }

    fn key(
        secret: &str,
        name: Option<&str>,
        algorithm: Option<&str>,
    ) -> Result<TsigKey, OptionError> {
        tsig_key(&secret.to_owned().into(), name, algorithm)
    }

    #[test]
    fn defaults_are_an_hmac_sha256_key_five_seconds_and_no_caching() {
        let config = options(&[]).unwrap();
        assert_eq!(config.timeout, Duration::from_secs(5));
        assert_eq!(config.ttl, 0);
        assert_eq!(config.key.algorithm().to_string(), "hmac-sha256");
    }

    #[test]
    fn a_wrong_option_is_named() {
        for (name, value) in [
            ("ttl", "-1"),
            ("ttl", "604801"),
            ("ttl", "99999999999"),
            ("timeout", "soon"),
            ("server", "a b"),
            ("tsig-algorithm", "hmac-md5"),
        ] {
            let error = options(&[(name, value)]).unwrap_err();
            assert_eq!(error.option, name, "{error}");
        }
    }

    #[test]
    fn base64_needs_a_name_and_is_hmac_sha256_by_default() {
        let named = key(&format!("{SECRET}\n"), Some("acme-key."), None).unwrap();
        assert_eq!(named.name(), "acme-key");
        assert_eq!(named.algorithm(), TsigAlgorithm::HmacSha256);
        assert_eq!(key(SECRET, None, None).unwrap_err().option, "tsig-key");
    }

    #[test]
    fn options_that_contradict_the_key_file_are_refused() {
        let file = format!("key acme-key {{ algorithm hmac-sha384; secret \"{SECRET}\"; }};");
        assert!(key(&file, None, None).is_ok());
        assert!(key(&file, Some("ACME-key."), Some("HMAC-SHA384")).is_ok());
        let error = key(&file, Some("other"), None).unwrap_err();
        assert_eq!(error.option, "tsig-key");
        let error = key(&file, None, Some("hmac-sha256")).unwrap_err();
        assert_eq!(error.option, "tsig-algorithm");
        assert!(error.problem.contains("hmac-sha384"), "{error}");
    }
}
