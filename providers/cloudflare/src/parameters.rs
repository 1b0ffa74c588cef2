//! The typed parameters of the provider: token, zone id and base URL.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use acme_alias_core::provider::OptionError;
use reqwest::Url;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

/// A scoped API token. It should have the permission DNS:Edit for the alias zone and nothing else.
///
/// `Debug` does not show the token, nor does an error.
///
/// ```
/// use acme_alias_cloudflare::ApiToken;
///
/// assert!(ApiToken::new("YQSn-xWAQiiEh9qM58wZNnyQS7FUdoqGIUAbrh7T").is_ok());
/// // The global API key may do everything, and is not accepted.
/// assert!(ApiToken::new("0123456789abcdef0123456789abcdef01234").is_err());
/// ```
#[derive(Clone, Debug)]
pub struct ApiToken(SecretString);

impl ApiToken {
    /// Checks the form of `token`. A global API key is refused.
    pub fn new(token: impl Into<SecretString>) -> Result<Self, OptionError> {
        let token: SecretString = token.into();
        let text = token.expose_secret();
        let invalid = |problem| Err(OptionError::new("api-token", problem));
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return invalid("is not an API token: those are letters, digits, `-` and `_`");
        }
        if is_global_key(text) {
            return invalid(
                "is a global API key, which may do everything: make an API token with DNS:Edit for \
                 the alias zone only",
            );
        }
        Ok(ApiToken(token))
    }

    /// Whether the token belongs to an account and not to a user, as its prefix says
    /// (<https://developers.cloudflare.com/fundamentals/api/get-started/token-formats/>).
    pub(crate) fn is_account_token(&self) -> bool {
        self.0.expose_secret().starts_with("cfat_")
    }

    /// The value of the `Authorization` header.
    pub(crate) fn bearer(&self) -> Result<HeaderValue, String> {
        let text = format!("Bearer {}", self.0.expose_secret());
        let mut bearer =
            HeaderValue::try_from(text).map_err(|_| "the token is no valid header".to_owned())?;
        bearer.set_sensitive(true);
        Ok(bearer)
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Whether this is a global key, by its prefix
/// (<https://developers.cloudflare.com/fundamentals/api/get-started/token-formats/>). Older keys are
/// 37 hexadecimal digits; older tokens are 40 characters of all kinds.
fn is_global_key(token: &str) -> bool {
    let is_old_key = || token.len() == 37 && token.bytes().all(|b| b.is_ascii_hexdigit());
    token.starts_with("cfk_") || is_old_key()
}

/// The id of a zone: 32 hexadecimal digits, as the zone's overview page shows them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ZoneId(String);

impl FromStr for ZoneId {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // It becomes part of a path.
        if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(ZoneId(text.to_owned()));
        }
        Err(OptionError::new(
            "zone-id",
            "is not a zone id: the zone's overview page shows 32 hexadecimal digits",
        ))
    }
}

impl fmt::Display for ZoneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The URL of an API: `https`, or `http` to an address of this machine, for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// Without a final slash.
    text: Cow<'static, str>,
    host: Cow<'static, str>,
}

impl BaseUrl {
    /// Cloudflare's API v4.
    pub const CLOUDFLARE: BaseUrl = BaseUrl {
        text: Cow::Borrowed("https://api.cloudflare.com/client/v4"),
        host: Cow::Borrowed("api.cloudflare.com"),
    };

    /// The host, for messages.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The URL of a path below this one; the path begins with a slash.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }
}

impl Default for BaseUrl {
    fn default() -> Self {
        BaseUrl::CLOUDFLARE
    }
}

impl FromStr for BaseUrl {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |problem: String| OptionError::new("base-url", problem);
        let url = Url::parse(text).map_err(|error| invalid(format!("is not a URL: {error}")))?;
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_this_machine = address.is_ok_and(|address| address.is_loopback());
        if url.scheme() == "https" || (url.scheme() == "http" && is_this_machine) {
            let text = url.as_str().trim_end_matches('/').to_owned();
            return Ok(BaseUrl {
                text: text.into(),
                host: host.to_owned().into(),
            });
        }
        Err(invalid("must be an https:// URL".to_owned()))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_leaves_this_machine() {
        for url in [
            "https://api.example/v4",
            "http://127.0.0.1:8080/v4",
            "http://[::1]:8080/v4",
        ] {
            assert!(url.parse::<BaseUrl>().is_ok(), "{url}");
        }
        for url in [
            "http://192.0.2.1/v4",
            "http://api.example",
            "api.example",
            "file:///x",
        ] {
            let error = url.parse::<BaseUrl>().unwrap_err();
            assert_eq!(error.option, "base-url", "{url}");
        }
    }

    #[test]
    fn paths_are_joined_with_one_slash() {
        for base in ["https://api.example/v4", "https://api.example/v4/"] {
            let url = base.parse::<BaseUrl>().unwrap().join("/zones");
            assert_eq!(url, "https://api.example/v4/zones");
        }
        let parsed: BaseUrl = BaseUrl::CLOUDFLARE.to_string().parse().unwrap();
        assert_eq!(parsed, BaseUrl::CLOUDFLARE);
    }

    #[test]
    fn a_zone_id_has_32_hexadecimal_digits() {
        assert!("0a".repeat(16).parse::<ZoneId>().is_ok());
        for id in ["", "../x", &"0g".repeat(16), &"0a".repeat(17)] {
            assert_eq!(id.parse::<ZoneId>().unwrap_err().option, "zone-id", "{id}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_showing_it() {
        for (token, problem) in [
            ("", "not an API token"),
            ("with a blank", "not an API token"),
            ("0123456789abcdef0123456789abcdef01234", "global API key"),
            ("cfk_0123456789", "global API key"),
        ] {
            let error = ApiToken::new(token).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
            assert!(token.is_empty() || !error.contains(token), "{error}");
        }
        assert!(!format!("{:?}", ApiToken::new("a-token").unwrap()).contains("a-token"));
    }
}
