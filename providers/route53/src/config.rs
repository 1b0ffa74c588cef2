//! The options of this provider, declared and checked.

use std::num::NonZeroU32;
use std::time::Duration;

use acme_alias_core::provider::{OptionError, OptionKind, OptionSpec, Options};

/// Route 53 is one service for all regions, and signs as this one:
/// <https://docs.aws.amazon.com/general/latest/gr/r53.html>.
const REGION: &str = "us-east-1";
const TIMEOUT: Duration = Duration::from_secs(30);
const TTL: u64 = 60;
/// RFC 2181 §8.
const TTL_MAX: u64 = 2_147_483_647;
/// Half of what an account has, for all its programs:
/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/throttling-api-requests.html>.
const REQUESTS_PER_SECOND: u64 = 4;

pub(crate) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "hosted-zone-id",
        help: "The hosted zone's id; without it the public zone of the alias zone's name is used",
        kind: OptionKind::Text,
        required: false,
        default: None,
    },
    OptionSpec {
        name: "profile",
        help: "The profile in the AWS configuration files",
        kind: OptionKind::Text,
        required: false,
        default: None,
    },
    OptionSpec {
        name: "assume-role-arn",
        help: "A role to take on with the credentials found",
        kind: OptionKind::Text,
        required: false,
        default: None,
    },
    OptionSpec {
        name: "region",
        help: "The region to sign for, and to ask for a role in",
        kind: OptionKind::Text,
        required: false,
        default: Some(REGION),
    },
    OptionSpec {
        name: "endpoint-url",
        help: "Where the API is, if not where AWS has it",
        kind: OptionKind::Text,
        required: false,
        default: None,
    },
    OptionSpec {
        name: "ttl",
        help: "Time to live of new record sets, in seconds",
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
        name: "requests-per-second",
        help: "Requests to send at most; an account has ten for all its programs",
        kind: OptionKind::Number,
        required: false,
        default: Some("4"),
    },
];

/// The checked configuration of one provider.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) hosted_zone_id: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) assume_role_arn: Option<String>,
    pub(crate) region: String,
    pub(crate) endpoint_url: Option<String>,
    /// Time to live of new record sets, in seconds.
    pub(crate) ttl: i64,
    pub(crate) timeout: Duration,
    pub(crate) requests_per_second: NonZeroU32,
}

impl Config {
    /// Takes the options apart; the error names the one that is wrong.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        let text = |name| options.text(name).map(str::to_owned);
        let number = |name: &'static str, usual, range: std::ops::RangeInclusive<u64>| {
            let number = options.number(name).unwrap_or(usual);
            if range.contains(&number) {
                return Ok(number);
            }
            let (least, most) = (range.start(), range.end());
            Err(OptionError::new(name, format!("must be {least} to {most}")))
        };
        let ttl = number("ttl", TTL, 0..=TTL_MAX)?;
        let pace = number("requests-per-second", REQUESTS_PER_SECOND, 1..=1_000)?;
        let pace = u32::try_from(pace).ok().and_then(NonZeroU32::new);
        let endpoint_url = text("endpoint-url");
        if let Some(url) = &endpoint_url {
            check_url(url)?;
        }
        let hosted_zone_id = options.text("hosted-zone-id").map(hosted_zone_id);
        Ok(Config {
            hosted_zone_id: hosted_zone_id.transpose()?,
            profile: text("profile"),
            assume_role_arn: text("assume-role-arn"),
            region: text("region").unwrap_or_else(|| REGION.to_owned()),
            endpoint_url,
            ttl: i64::try_from(ttl).unwrap_or_default(),
            timeout: options.duration("timeout").unwrap_or(TIMEOUT),
            requests_per_second: pace.unwrap_or(NonZeroU32::MIN),
        })
    }
}

/// An id, perhaps as the API shows it: `/hostedzone/Z…`.
fn hosted_zone_id(text: &str) -> Result<String, OptionError> {
    let id = text.trim_start_matches("/hostedzone/");
    if (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(id.to_owned());
    }
    Err(OptionError::new(
        "hosted-zone-id",
        "is no id of a hosted zone: those are up to 32 letters and digits, such as Z0123456789ABC",
    ))
}

/// Signed requests carry no secret, and what they change must not be seen or changed on the way.
fn check_url(url: &str) -> Result<(), OptionError> {
    let here = ["http://127.0.0.1:", "http://[::1]:", "http://localhost:"];
    if url.starts_with("https://") || here.iter().any(|here| url.starts_with(here)) {
        return Ok(());
    }
    Err(OptionError::new(
        "endpoint-url",
        "must be an https:// URL; http:// is taken for this machine only",
    ))
}

#[cfg(test)]
mod tests {
    use acme_alias_core::provider::OptionValue;

    use super::*;

    fn config(name: &str, text: &str) -> Result<Config, OptionError> {
        let values = [(name.to_owned(), OptionValue::Text(text.to_owned()))];
        Config::from_options(&Options::new(OPTIONS, values)?)
    }

    #[test]
    fn an_id_is_taken_with_and_without_its_path() {
        for id in ["Z0123456789ABC", "/hostedzone/Z0123456789ABC"] {
            let config = config("hosted-zone-id", id).unwrap();
            assert_eq!(config.hosted_zone_id.as_deref(), Some("Z0123456789ABC"));
        }
        for id in ["", "../x", "Z 1", &"Z".repeat(33)] {
            let error = config("hosted-zone-id", id).unwrap_err();
            assert_eq!(error.option, "hosted-zone-id", "{id}");
        }
    }

    #[test]
    fn nothing_but_https_leaves_this_machine() {
        assert!(config("endpoint-url", "https://vpce.example").is_ok());
        assert!(config("endpoint-url", "http://127.0.0.1:5000").is_ok());
        for url in [
            "http://192.0.2.1",
            "http://localhost.example:1",
            "ftp://x",
            "x",
        ] {
            assert_eq!(
                config("endpoint-url", url).unwrap_err().option,
                "endpoint-url",
                "{url}"
            );
        }
    }

    #[test]
    fn numbers_have_bounds() {
        assert!(config("ttl", "2147483648").is_err());
        assert!(config("requests-per-second", "0").is_err());
        assert_eq!(config("ttl", "300").unwrap().ttl, 300);
    }
}
