//! The typed parameters of the provider: key, URL and server id.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use acme_alias_core::provider::OptionError;
use reqwest::Url;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

/// The name that always means this machine (RFC 6761 §6.3).
pub(crate) const LOCALHOST: &str = "localhost";
/// The path of the API, which may end a URL: <https://doc.powerdns.com/authoritative/http-api/index.html>.
const API_PATH: &str = "/api/v1";

/// The API key of a server: the value of `api-key` in `pdns.conf`
/// (<https://doc.powerdns.com/authoritative/settings.html#api-key>).
///
/// `Debug` does not show the key, nor does an error.
///
/// ```
/// use acme_alias_powerdns::ApiKey;
///
/// assert!(ApiKey::new("6KHyWWNWRGDz7w6tIkLr").is_ok());
/// assert!(ApiKey::new("").is_err());
/// ```
#[derive(Clone, Debug)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Checks that `key` can be sent in a header.
    pub fn new(key: impl Into<SecretString>) -> Result<Self, OptionError> {
        let key: SecretString = key.into();
        let text = key.expose_secret();
        let is_printable = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        if text.is_empty() || text != text.trim() || !is_printable {
            return Err(OptionError::new(
                "api-key",
                "is not an API key: it must be printable ASCII without blanks around it",
            ));
        }
        Ok(ApiKey(key))
    }

    /// The value of the `X-API-Key` header.
    pub(crate) fn header(&self) -> Result<HeaderValue, String> {
        let mut header = HeaderValue::from_str(self.0.expose_secret())
            .map_err(|_| "the key is no valid header".to_owned())?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// The URL of a web server of PowerDNS: `https`, or `http` to this machine, because the key goes along.
///
/// ```
/// use acme_alias_powerdns::ApiUrl;
///
/// assert!("http://127.0.0.1:8081".parse::<ApiUrl>().is_ok());
/// assert!("https://dns.example/powerdns".parse::<ApiUrl>().is_ok());
/// assert!("http://dns.example:8081".parse::<ApiUrl>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiUrl {
    /// Without a final slash.
    text: Cow<'static, str>,
}

impl ApiUrl {
    /// The URL of a path below this one; the path begins with a slash.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}{API_PATH}{path}", self.text)
    }

    /// Whether requests are not encrypted, and so stay on this machine.
    pub(crate) fn is_plain(&self) -> bool {
        self.text.starts_with("http:")
    }
}

/// The default `webserver-address` and `webserver-port`
/// (<https://doc.powerdns.com/authoritative/settings.html#webserver-port>).
impl Default for ApiUrl {
    fn default() -> Self {
        ApiUrl {
            text: "http://127.0.0.1:8081".into(),
        }
    }
}

impl FromStr for ApiUrl {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |problem: &str| Err(OptionError::new("url", problem));
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => return invalid(&format!("is not a URL: {error}")),
        };
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_this_machine =
            host == LOCALHOST || address.is_ok_and(|address| address.is_loopback());
        if url.scheme() != "https" && !(url.scheme() == "http" && is_this_machine) {
            return invalid(
                "must be https://, or http:// to an address of this machine, because the key is sent \
                 along",
            );
        }
        // They would be shown in messages and in the ledger.
        if !url.username().is_empty() || url.password().is_some() {
            return invalid("must not contain a user or a password");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return invalid("must not have a query or a fragment");
        }
        let text = url.as_str().trim_end_matches('/');
        let text = text.strip_suffix(API_PATH).unwrap_or(text);
        Ok(ApiUrl {
            text: text.trim_end_matches('/').to_owned().into(),
        })
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The id of a server in the API; `localhost` at PowerDNS itself
/// (<https://doc.powerdns.com/authoritative/http-api/server.html>). A proxy may have others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerId(Cow<'static, str>);

impl Default for ServerId {
    fn default() -> Self {
        ServerId("localhost".into())
    }
}

impl FromStr for ServerId {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // It becomes part of a path.
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let has_letter = text.bytes().any(|b| b.is_ascii_alphanumeric());
        if has_letter && text.bytes().all(is_allowed) {
            return Ok(ServerId(text.to_owned().into()));
        }
        Err(OptionError::new(
            "server-id",
            "is not a server id: use letters, digits, `-`, `_` and `.`",
        ))
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_leaves_this_machine() {
        for url in [
            "https://dns.example",
            "https://dns.example/pdns/",
            "http://127.0.0.1:8081",
            "http://[::1]:8081",
            "http://localhost:8081",
        ] {
            assert!(url.parse::<ApiUrl>().is_ok(), "{url}");
        }
        for url in [
            "http://192.0.2.1:8081",
            "http://dns.example",
            "http://localhost.example",
            "dns.example",
            "file:///x",
            "https://user:secret@dns.example",
            "https://dns.example/?x=y",
        ] {
            let error = url.parse::<ApiUrl>().unwrap_err();
            assert_eq!(error.option, "url", "{url}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_path_of_the_api_is_appended_once() {
        for base in [
            "http://127.0.0.1:8081",
            "http://127.0.0.1:8081/",
            "http://127.0.0.1:8081/api/v1/",
        ] {
            let url = base.parse::<ApiUrl>().unwrap().join("/servers");
            assert_eq!(url, "http://127.0.0.1:8081/api/v1/servers");
        }
        let parsed: ApiUrl = ApiUrl::default().to_string().parse().unwrap();
        assert_eq!(parsed, ApiUrl::default());
    }

    #[test]
    fn a_server_id_stays_one_part_of_a_path() {
        assert!("ns1.example".parse::<ServerId>().is_ok());
        for id in ["", ".", "..", "a/b", "a?b", "a%2fb"] {
            assert_eq!(id.parse::<ServerId>().unwrap_err().option, "server-id");
        }
    }

    #[test]
    fn a_key_is_printable_and_never_shown() {
        for key in ["", " x-x", "x-x\n", "x\u{e9}x"] {
            let error = ApiKey::new(key).unwrap_err().to_string();
            assert!(key.is_empty() || !error.contains(key), "{error}");
        }
        let key = ApiKey::new("a-secret").unwrap();
        assert!(!format!("{key:?} {:?}", key.header()).contains("a-secret"));
    }
}
