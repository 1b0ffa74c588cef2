//! The options of this provider, declared and checked.

use std::net::IpAddr;
use std::time::Duration;

use acme_alias_core::provider::{OptionError, OptionKind, OptionSpec, Options};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

const BASE_URL: &str = "https://api.cloudflare.com/client/v4";
const TIMEOUT: Duration = Duration::from_secs(30);
/// The least of all plans' limits: <https://developers.cloudflare.com/dns/manage-dns-records/how-to/batch-record-changes/>.
const BATCH_SIZE: u64 = 200;
const BATCH_SIZE_MAX: u64 = 3_500;
const TTL: u64 = 60;
/// What Cloudflare takes, 1 for "automatic" aside.
const TTL_RANGE: std::ops::RangeInclusive<u64> = 60..=86_400;

pub(crate) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "api-token",
        help: "A scoped API token with DNS:Edit for the alias zone; never the global API key",
        kind: OptionKind::Secret,
        required: true,
        default: None,
    },
    OptionSpec {
        name: "zone-id",
        help: "The zone's id; without it the zone is looked up by name, for which the token needs Zone:Read",
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
        help: "Where the API is; http:// is taken for this machine only, for tests",
        kind: OptionKind::Text,
        required: false,
        default: Some(BASE_URL),
    },
];

/// The checked configuration of one provider.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) api_token: SecretString,
    pub(crate) zone_id: Option<String>,
    pub(crate) base_url: Url,
    pub(crate) batch_size: usize,
    /// Time to live of the records, in seconds.
    pub(crate) ttl: u64,
    pub(crate) timeout: Duration,
}

impl Config {
    /// Whether the token belongs to an account and not to a user, as its prefix says
    /// (<https://developers.cloudflare.com/fundamentals/api/get-started/token-formats/>).
    pub(crate) fn is_an_accounts_token(&self) -> bool {
        self.api_token.expose_secret().starts_with("cfat_")
    }

    /// Takes the options apart; the error names the one that is wrong.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        let Some(api_token) = options.secret("api-token") else {
            return Err(OptionError::new("api-token", "is missing"));
        };
        let token = api_token.expose_secret();
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(OptionError::new(
                "api-token",
                "is no API token: those are letters, digits, `-` and `_`",
            ));
        }
        if is_global_key(token) {
            return Err(OptionError::new(
                "api-token",
                "is a global API key, which may do everything: make an API token with DNS:Edit \
                 for the alias zone alone",
            ));
        }
        let zone_id = options.text("zone-id").map(zone_id).transpose()?;
        let batch_size = options.number("batch-size").unwrap_or(BATCH_SIZE);
        let ttl = options.number("ttl").unwrap_or(TTL);
        if !TTL_RANGE.contains(&ttl) {
            let (least, most) = (TTL_RANGE.start(), TTL_RANGE.end());
            return Err(OptionError::new(
                "ttl",
                format!("must be {least} to {most} seconds"),
            ));
        }
        Ok(Config {
            api_token: api_token.clone(),
            zone_id,
            base_url: base_url(options.text("base-url").unwrap_or(BASE_URL))?,
            batch_size: match usize::try_from(batch_size) {
                Ok(size) if (1..=BATCH_SIZE_MAX).contains(&batch_size) => size,
                _ => {
                    let problem = format!("must be 1 to {BATCH_SIZE_MAX}");
                    return Err(OptionError::new("batch-size", problem));
                }
            },
            ttl,
            timeout: options.duration("timeout").unwrap_or(TIMEOUT),
        })
    }
}

/// Whether this is a global key, by its prefix
/// (<https://developers.cloudflare.com/fundamentals/api/get-started/token-formats/>); older ones are
/// 37 hexadecimal digits, and older tokens 40 characters of all kinds.
fn is_global_key(token: &str) -> bool {
    let of_old = || token.len() == 37 && token.bytes().all(|b| b.is_ascii_hexdigit());
    token.starts_with("cfk_") || of_old()
}

/// Ids are 32 hexadecimal digits, and become part of a path.
fn zone_id(text: &str) -> Result<String, OptionError> {
    if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text.to_owned());
    }
    Err(OptionError::new(
        "zone-id",
        "is no zone id: the zone's overview page shows 32 hexadecimal digits",
    ))
}

fn base_url(text: &str) -> Result<Url, OptionError> {
    let wrong = |problem: String| OptionError::new("base-url", problem);
    let url = Url::parse(text).map_err(|error| wrong(format!("is no URL: {error}")))?;
    let here = url
        .host_str()
        .and_then(|host| host.parse::<IpAddr>().ok())
        .is_some_and(|address| address.is_loopback());
    if url.scheme() == "https" || (url.scheme() == "http" && here) {
        return Ok(url);
    }
    Err(wrong("must be an https:// URL".to_owned()))
}

#[cfg(test)]
mod tests {
    use acme_alias_core::provider::OptionValue;

    use super::*;

    fn config(name: &str, text: &str) -> Result<Config, OptionError> {
        let token = OptionValue::Secret("token".into());
        let mut values = vec![("api-token".to_owned(), token)];
        if name == "api-token" {
            values.clear();
            values.push((name.to_owned(), OptionValue::Secret(text.into())));
        } else {
            values.push((name.to_owned(), OptionValue::Text(text.to_owned())));
        }
        Config::from_options(&Options::new(OPTIONS, values)?)
    }

    #[test]
    fn nothing_but_https_leaves_this_machine() {
        assert!(config("base-url", "https://api.example/v4").is_ok());
        assert!(config("base-url", "http://127.0.0.1:8080/v4").is_ok());
        for url in [
            "http://192.0.2.1/v4",
            "http://api.example",
            "api.example",
            "file:///x",
        ] {
            assert_eq!(
                config("base-url", url).unwrap_err().option,
                "base-url",
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_no_id_or_token_is_refused_without_showing_the_token() {
        assert!(config("zone-id", &"0a".repeat(16)).is_ok());
        for id in ["", "../x", &"0g".repeat(16), &"0a".repeat(17)] {
            assert_eq!(config("zone-id", id).unwrap_err().option, "zone-id", "{id}");
        }
        let error = config("api-token", "with a blank").unwrap_err();
        assert!(!error.to_string().contains("with a blank"), "{error}");
        for global_key in ["0123456789abcdef0123456789abcdef01234", "cfk_0123456789"] {
            let error = config("api-token", global_key).unwrap_err();
            assert!(error.to_string().contains("global API key"), "{error}");
            assert!(!error.to_string().contains(global_key), "{error}");
        }
    }

    #[test]
    fn numbers_have_bounds() {
        for (name, text) in [
            ("ttl", "59"),
            ("ttl", "86401"),
            ("batch-size", "0"),
            ("batch-size", "3501"),
        ] {
            assert_eq!(config(name, text).unwrap_err().option, name, "{text}");
        }
    }
}
