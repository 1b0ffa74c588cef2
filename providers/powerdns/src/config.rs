//! The options of this provider, declared and checked.

use std::time::Duration;

use acme_alias_core::provider::{OptionError, OptionKind, OptionSpec, Options};

use crate::parameters::{ApiKey, ApiUrl, ServerId};

const TIMEOUT: Duration = Duration::from_secs(30);
/// In seconds. Resolvers do not cache the records, so a new set is seen at once.
const TTL: u32 = 0;
/// The largest TTL (RFC 2181 §8), in seconds.
const TTL_MAX: u32 = i32::MAX.cast_unsigned();

pub(crate) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "api-key",
        help: "The value of `api-key` in pdns.conf; it can change everything on the server",
        kind: OptionKind::Secret,
        required: true,
        default: None,
    },
    OptionSpec {
        name: "url",
        help: "The URL of PowerDNS's web server; http:// is accepted for this machine only",
        kind: OptionKind::Text,
        required: false,
        default: Some("http://127.0.0.1:8081"),
    },
    OptionSpec {
        name: "server-id",
        help: "The id of the server in the API",
        kind: OptionKind::Text,
        required: false,
        default: Some("localhost"),
    },
    OptionSpec {
        name: "ttl",
        help: "Time to live of new record sets, in seconds",
        kind: OptionKind::Number,
        required: false,
        default: Some("0"),
    },
    OptionSpec {
        name: "timeout",
        help: "How long one request may take",
        kind: OptionKind::Duration,
        required: false,
        default: Some("30s"),
    },
];

/// The checked configuration of one provider.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) api_key: ApiKey,
    pub(crate) url: ApiUrl,
    pub(crate) server_id: ServerId,
    /// Time to live of new record sets, in seconds.
    pub(crate) ttl: u32,
    pub(crate) timeout: Duration,
}

impl Config {
    /// The defaults, with this key.
    pub(crate) fn new(api_key: ApiKey) -> Self {
        Config {
            api_key,
            url: ApiUrl::default(),
            server_id: ServerId::default(),
            ttl: TTL,
            timeout: TIMEOUT,
        }
    }

    /// Checks `options`; the error names the one that is wrong.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        let Some(api_key) = options.secret("api-key") else {
            return Err(OptionError::new("api-key", "is missing"));
        };
        let mut config = Config::new(ApiKey::new(api_key.clone())?);
        if let Some(url) = options.text("url") {
            config.url = url.parse()?;
        }
        if let Some(id) = options.text("server-id") {
            config.server_id = id.parse()?;
        }
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

    /// The API of the server, for messages and the ledger.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}/api/v1/servers/{}", self.url, self.server_id)
    }
}

/// The time to live, in seconds, that is nearest to `ttl` and allowed.
pub(crate) fn clamped_ttl(ttl: u32) -> u32 {
    ttl.min(TTL_MAX)
}

#[cfg(test)]
mod tests {
    use acme_alias_core::provider::OptionValue;

    use super::*;

    fn config(name: &str, text: &str) -> Result<Config, OptionError> {
        let key = OptionValue::Secret("key".into());
        let text = OptionValue::Text(text.to_owned());
        let values = [("api-key".to_owned(), key), (name.to_owned(), text)];
        Config::from_options(&Options::new(OPTIONS, values)?)
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let config = Config::new(ApiKey::new("key").unwrap());
        for (option, value) in [
            ("url", config.url.to_string()),
            ("server-id", config.server_id.to_string()),
            ("ttl", config.ttl.to_string()),
            ("timeout", format!("{:?}", config.timeout)),
        ] {
            let spec = OPTIONS.iter().find(|spec| spec.name == option).unwrap();
            assert_eq!(spec.default, Some(value.as_str()));
        }
    }

    #[test]
    fn a_wrong_option_is_named() {
        for (name, text) in [
            ("ttl", "2147483648"),
            ("url", "http://192.0.2.1:8081"),
            ("server-id", "../x"),
        ] {
            assert_eq!(config(name, text).unwrap_err().option, name, "{text}");
        }
    }
}
