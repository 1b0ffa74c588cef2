//! The typed parameters of the provider: hosted zone id and endpoint URL.

use std::fmt;
use std::str::FromStr;

use acme_alias_core::provider::OptionError;

/// The id of a hosted zone: up to 32 letters and digits.
///
/// ```
/// use acme_alias_route53::HostedZoneId;
///
/// let id: HostedZoneId = "/hostedzone/Z0123456789ABC".parse()?;
/// assert_eq!(id.to_string(), "Z0123456789ABC");
/// # Ok::<(), acme_alias_core::provider::OptionError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostedZoneId(String);

impl HostedZoneId {
    /// The id, without the path that the API puts before it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostedZoneId {
    type Err = OptionError;

    /// Reads an id, with or without the path that the API puts before it: `/hostedzone/Z…`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text.trim_start_matches("/hostedzone/");
        if (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Ok(HostedZoneId(id.to_owned()));
        }
        Err(OptionError::new(
            "hosted-zone-id",
            "is not the id of a hosted zone: those are up to 32 letters and digits, such as \
             Z0123456789ABC",
        ))
    }
}

impl fmt::Display for HostedZoneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The URL of an API: `https`, or `http` to this machine, for tests.
///
/// A signed request contains no secret, but nobody on the way must see or change it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndpointUrl(String);

impl EndpointUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EndpointUrl {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let this_machine = ["http://127.0.0.1:", "http://[::1]:", "http://localhost:"];
        if text.starts_with("https://") || this_machine.iter().any(|start| text.starts_with(start))
        {
            return Ok(EndpointUrl(text.to_owned()));
        }
        Err(OptionError::new(
            "endpoint-url",
            "must be an https:// URL; http:// is accepted for this machine only",
        ))
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_a_path_or_not() {
        for id in ["Z0123456789ABC", "/hostedzone/Z0123456789ABC"] {
            let id: HostedZoneId = id.parse().unwrap();
            assert_eq!(id.as_str(), "Z0123456789ABC");
        }
        for id in ["", "../x", "Z 1", &"Z".repeat(33)] {
            let error = id.parse::<HostedZoneId>().unwrap_err();
            assert_eq!(error.option, "hosted-zone-id", "{id}");
        }
    }

    #[test]
    fn only_https_leaves_this_machine() {
        for url in ["https://vpce.example", "http://127.0.0.1:5000"] {
            assert!(url.parse::<EndpointUrl>().is_ok(), "{url}");
        }
        for url in [
            "http://192.0.2.1",
            "http://localhost.example:1",
            "ftp://x",
            "x",
        ] {
            let error = url.parse::<EndpointUrl>().unwrap_err();
            assert_eq!(error.option, "endpoint-url", "{url}");
        }
    }
}
