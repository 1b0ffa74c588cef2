//! The options of this provider, declared and checked.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use acme_alias_core::provider::{OptionError, OptionKind, OptionSpec, Options};

use crate::parameters::{EndpointUrl, HostedZoneId};

/// Route 53 is one service for all regions, and its requests are signed for this one:
/// <https://docs.aws.amazon.com/general/latest/gr/r53.html>.
const REGION: &str = "us-east-1";
const TIMEOUT: Duration = Duration::from_secs(30);
/// In seconds. A resolver does not cache the records at all, so that a value which is added later is seen at once.
const TTL: u32 = 0;
/// In seconds (RFC 2181 §8).
const TTL_MAX: u32 = 2_147_483_647;
/// Less than half of what an account has for all its programs:
/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/throttling-api-requests.html>.
const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(4).unwrap();
const REQUESTS_PER_SECOND_MAX: NonZeroU32 = NonZeroU32::new(1_000).unwrap();

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
        help: "The ARN of a role to assume with the credentials found",
        kind: OptionKind::Text,
        required: false,
        default: None,
    },
    OptionSpec {
        name: "region",
        help: "The region that requests are signed for, also those for a role",
        kind: OptionKind::Text,
        required: false,
        default: Some(REGION),
    },
    OptionSpec {
        name: "endpoint-url",
        help: "The URL of the API, if it is not that of AWS",
        kind: OptionKind::Text,
        required: false,
        default: None,
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
    OptionSpec {
        name: "requests-per-second",
        help: "Largest number of requests per second; AWS allows an account ten for all its programs",
        kind: OptionKind::Number,
        required: false,
        default: Some("4"),
    },
];

/// The checked configuration of one provider.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) hosted_zone_id: Option<HostedZoneId>,
    pub(crate) profile: Option<String>,
    pub(crate) assume_role_arn: Option<String>,
    pub(crate) region: String,
    pub(crate) endpoint_url: Option<EndpointUrl>,
    /// Time to live of new record sets, in seconds.
    pub(crate) ttl: u32,
    pub(crate) timeout: Duration,
    pub(crate) requests_per_second: NonZeroU32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            hosted_zone_id: None,
            profile: None,
            assume_role_arn: None,
            region: REGION.to_owned(),
            endpoint_url: None,
            ttl: TTL,
            timeout: TIMEOUT,
            requests_per_second: REQUESTS_PER_SECOND,
        }
    }
}

impl Config {
    /// Checks `options`; the error names the one that is wrong.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        let text = |name| options.text(name).map(str::to_owned);
        let mut config = Config {
            hosted_zone_id: parsed(options, "hosted-zone-id")?,
            profile: text("profile"),
            assume_role_arn: text("assume-role-arn"),
            endpoint_url: parsed(options, "endpoint-url")?,
            ..Config::default()
        };
        config.region = text("region").unwrap_or(config.region);
        if let Some(ttl) = options.number("ttl") {
            config.ttl = u32::try_from(ttl)
                .ok()
                .filter(|ttl| clamped_ttl(*ttl) == *ttl)
                .ok_or_else(|| {
                    OptionError::new("ttl", format!("must be 0 to {TTL_MAX} seconds"))
                })?;
        }
        config.timeout = options.duration("timeout").unwrap_or(config.timeout);
        if let Some(pace) = options.number("requests-per-second") {
            config.requests_per_second = u32::try_from(pace)
                .ok()
                .and_then(NonZeroU32::new)
                .filter(|pace| clamped_pace(*pace) == *pace)
                .ok_or_else(|| {
                    let problem = format!("must be 1 to {REQUESTS_PER_SECOND_MAX}");
                    OptionError::new("requests-per-second", problem)
                })?;
        }
        Ok(config)
    }
}

fn parsed<T: FromStr<Err = OptionError>>(
    options: &Options,
    name: &str,
) -> Result<Option<T>, OptionError> {
    options.text(name).map(str::parse).transpose()
}

/// The time to live, in seconds, that is nearest to `ttl` and allowed.
pub(crate) fn clamped_ttl(ttl: u32) -> u32 {
    ttl.min(TTL_MAX)
}

/// The number of requests per second that is nearest to `pace` and allowed.
pub(crate) fn clamped_pace(pace: NonZeroU32) -> NonZeroU32 {
    pace.min(REQUESTS_PER_SECOND_MAX)
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
    fn defaults_are_the_documented_ones() {
        let config = Config::default();
        for (option, value) in [
            ("region", config.region),
            ("ttl", config.ttl.to_string()),
            ("timeout", format!("{:?}", config.timeout)),
            (
                "requests-per-second",
                config.requests_per_second.to_string(),
            ),
        ] {
            let spec = OPTIONS.iter().find(|spec| spec.name == option).unwrap();
            assert_eq!(spec.default, Some(value.as_str()));
        }
    }

    #[test]
    fn a_wrong_option_is_named() {
        for (name, text) in [
            ("ttl", "2147483648"),
            ("requests-per-second", "0"),
            ("requests-per-second", "1001"),
            ("hosted-zone-id", "../x"),
            ("endpoint-url", "http://192.0.2.1"),
        ] {
            assert_eq!(config(name, text).unwrap_err().option, name, "{text}");
        }
        assert_eq!(config("ttl", "300").unwrap().ttl, 300);
    }
}
