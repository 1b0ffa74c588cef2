//! The options of this provider, declared and checked.

use std::time::Duration;

use acme_alias_core::provider::{OptionError, OptionKind, OptionSpec, Options};

use crate::parameters::{ApiToken, BaseUrl, ZoneId};

const TIMEOUT: Duration = Duration::from_secs(30);
/// The smallest limit of all plans: <https://developers.cloudflare.com/dns/manage-dns-records/how-to/batch-record-changes/>.
const BATCH_SIZE: usize = 200;
const BATCH_SIZE_MAX: usize = 3_500;
/// In seconds.
const TTL: u32 = 60;
/// What Cloudflare accepts, in seconds, except 1 for "automatic".
const TTL_MIN: u32 = 60;
const TTL_MAX: u32 = 86_400;

pub(crate) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "api-token",
        help: "A scoped API token with DNS:Edit for the alias zone; not the global API key",
        kind: OptionKind::Secret,
        required: true,
        default: None,
    },
    OptionSpec {
        name: "zone-id",
        help: "The zone's id; without it the zone is looked up by name, which requires Zone:Read",
        kind: OptionKind::Text,
        required: false,
        default: None,
    },
    OptionSpec {
        name: "batch-size",
        help: "Changes in one call: 200 on the Free plan, up to 3500 on others",
        kind: OptionKind::Number,
        required: false,
        default: Some("200"),
    },
    OptionSpec {
        name: "ttl",
        help: "Time to live of the TXT records, in seconds",
        kind: OptionKind::Number,
        required: false,
        default: Some("60"),
    },
    OptionSpec {
        name: "timeout",
        help: "How long one request may take",
        kind: OptionKind::Duration,
        required: false,
        default: Some("30s"),
    },
    OptionSpec {
        name: "base-url",
        help: "The URL of the API; http:// is accepted for this machine only, for tests",
        kind: OptionKind::Text,
        required: false,
        default: Some("https://api.cloudflare.com/client/v4"),
    },
];

/// The checked configuration of one provider.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) api_token: ApiToken,
    pub(crate) zone_id: Option<ZoneId>,
    pub(crate) base_url: BaseUrl,
    pub(crate) batch_size: usize,
    /// Time to live of the records, in seconds.
    pub(crate) ttl: u32,
    pub(crate) timeout: Duration,
}

impl Config {
    /// The defaults, with this token.
    pub(crate) fn new(api_token: ApiToken) -> Self {
        Config {
            api_token,
            zone_id: None,
            base_url: BaseUrl::default(),
            batch_size: BATCH_SIZE,
            ttl: TTL,
            timeout: TIMEOUT,
        }
    }

    /// Checks `options`; the error names the one that is wrong.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        let Some(api_token) = options.secret("api-token") else {
            return Err(OptionError::new("api-token", "is missing"));
        };
        let mut config = Config::new(ApiToken::new(api_token.clone())?);
        config.zone_id = options.text("zone-id").map(str::parse).transpose()?;
        if let Some(url) = options.text("base-url") {
            config.base_url = url.parse()?;
        }
        if let Some(size) = options.number("batch-size") {
            config.batch_size = usize::try_from(size)
                .ok()
                .filter(|size| clamped_batch_size(*size) == *size)
                .ok_or_else(|| {
                    OptionError::new("batch-size", format!("must be 1 to {BATCH_SIZE_MAX}"))
                })?;
        }
        if let Some(ttl) = options.number("ttl") {
            config.ttl = u32::try_from(ttl)
                .ok()
                .filter(|ttl| clamped_ttl(*ttl) == *ttl)
                .ok_or_else(|| {
                    OptionError::new("ttl", format!("must be {TTL_MIN} to {TTL_MAX} seconds"))
                })?;
        }
        config.timeout = options.duration("timeout").unwrap_or(config.timeout);
        Ok(config)
    }
}

/// The time to live, in seconds, that is nearest to `ttl` and allowed.
pub(crate) fn clamped_ttl(ttl: u32) -> u32 {
    ttl.clamp(TTL_MIN, TTL_MAX)
}

/// The number of changes in one call that is nearest to `size` and allowed.
pub(crate) fn clamped_batch_size(size: usize) -> usize {
    size.clamp(1, BATCH_SIZE_MAX)
}

#[cfg(test)]
mod tests {
    use acme_alias_core::provider::OptionValue;

    use super::*;

    fn config(name: &str, text: &str) -> Result<Config, OptionError> {
        let token = OptionValue::Secret("token".into());
        let text = OptionValue::Text(text.to_owned());
        let values = [("api-token".to_owned(), token), (name.to_owned(), text)];
        Config::from_options(&Options::new(OPTIONS, values)?)
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let config = config("zone-id", &"0a".repeat(16)).unwrap();
        for (option, value) in [
            ("batch-size", config.batch_size.to_string()),
            ("ttl", config.ttl.to_string()),
            ("timeout", format!("{:?}", config.timeout)),
            ("base-url", config.base_url.to_string()),
        ] {
            let spec = OPTIONS.iter().find(|spec| spec.name == option).unwrap();
            assert_eq!(spec.default, Some(value.as_str()));
        }
    }

    #[test]
    fn a_wrong_option_is_named() {
        for (name, text) in [
            ("ttl", "59"),
            ("ttl", "86401"),
            ("batch-size", "0"),
            ("batch-size", "3501"),
            ("base-url", "http://192.0.2.1/v4"),
            ("zone-id", "../x"),
        ] {
            assert_eq!(config(name, text).unwrap_err().option, name, "{text}");
        }
    }
}
