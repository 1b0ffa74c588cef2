//! What a failed request means, and what to do about it.
//!
//! The statuses and texts are those of PowerDNS 4.7 and 5.0
//! (<https://doc.powerdns.com/authoritative/http-api/index.html#errors>, `pdns/ws-auth.cc` in
//! <https://github.com/PowerDNS/pdns>). Other texts are shown as they are.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Failure, ProviderError};

/// What PowerDNS answers if it does not know EXTEND and PRUNE.
const UNKNOWN_CHANGETYPE: &str = "Changetype not understood";
/// What it answers if a CNAME is at the name.
const CONFLICT: &str = "Conflicts with pre-existing RRset";
/// Characters of a server's text that are shown.
const TEXT_MAX: usize = 300;

/// A request without a result.
#[derive(Clone, Debug)]
pub(crate) enum RequestError {
    /// Nothing was sent.
    NotSent(Cause),
    /// The request was sent, and no usable answer arrived.
    NoAnswer(Cause),
    /// The server answered with an error; with its text, if it is the API's.
    Refused { status: u16, text: Option<String> },
}

/// Why a request failed, in words; with the HTTP client's error, if there was one.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    text: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// Whether the API has the server that the zone was looked for at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerState {
    Found,
    /// No such server, or no API.
    NotFound,
    /// Not asked, or not answered.
    NotChecked,
}

impl Cause {
    /// A cause with the error that the HTTP client reported. It must not contain a URL or a header.
    pub(crate) fn new(text: String, source: Arc<dyn Error + Send + Sync>) -> Self {
        Cause {
            text,
            source: Some(source),
        }
    }

    fn into_provider_error(self, failure: Failure, what: &str, remedy: &str) -> ProviderError {
        let error = ProviderError::new(failure, format!("{what}: {self}"), remedy);
        match self.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

impl From<String> for Cause {
    fn from(text: String) -> Self {
        Cause { text, source: None }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl RequestError {
    /// Whether the request may have been carried out.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, RequestError::NoAnswer(_)) || self.is_of_the_server()
    }

    /// Whether the server failed: it rolls back then, but a proxy before it may have lost a success.
    pub(crate) fn is_of_the_server(&self) -> bool {
        matches!(self, RequestError::Refused { status: 500.., .. })
    }

    /// Whether nothing is at this path.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, RequestError::Refused { status: 404, .. })
    }

    /// Whether the key may not do this.
    pub(crate) fn is_about_the_key(&self) -> bool {
        matches!(
            self,
            RequestError::Refused {
                status: 401 | 403,
                ..
            }
        )
    }

    /// Whether the server cannot add and remove single values.
    pub(crate) fn refuses_single_values(&self) -> bool {
        match self {
            RequestError::Refused {
                status: 422,
                text: Some(text),
            } => text.contains(UNKNOWN_CHANGETYPE),
            _ => false,
        }
    }

    /// Whether the server understood the change, and refused it.
    pub(crate) fn is_about_the_change(&self) -> bool {
        matches!(self, RequestError::Refused { status: 422, .. })
    }

    /// The failure in the terms of the provider contract. `state` matters if nothing was found.
    pub(crate) fn into_provider_error(
        self,
        url: &str,
        zone: &DnsName,
        state: ServerState,
    ) -> ProviderError {
        match self {
            RequestError::NotSent(cause) => cause.into_provider_error(
                Failure::Unavailable,
                &format!("{url} could not be reached"),
                "check that PowerDNS runs with `webserver=yes` and `api=yes`, and that `url` is that of \
                 its web server",
            ),
            RequestError::NoAnswer(cause) => cause.into_provider_error(
                Failure::UnknownOutcome,
                &format!("{url} received the request and gave no usable answer"),
                "check the log of PowerDNS; if it closed the connection, add the address of this machine \
                 to `webserver-allow-from` in pdns.conf",
            ),
            RequestError::Refused { status, text } => refusal(url, zone, status, text, state),
        }
    }
}

fn refusal(
    url: &str,
    zone: &DnsName,
    status: u16,
    text: Option<String>,
    state: ServerState,
) -> ProviderError {
    let is_conflict = text.as_deref().is_some_and(|text| text.contains(CONFLICT));
    let text = in_words(text);
    let mut what = format!("{url} answered {status}{text}");
    let (failure, remedy) = match status {
        401 => {
            what = format!("{url} refused the API key (401)");
            let remedy = "set `api-key` to the value of `api-key` in pdns.conf, not to its hash";
            (Failure::Denied, remedy.to_owned())
        }
        403 => {
            let remedy =
                format!("let the key change the zone {zone}, at the proxy before PowerDNS");
            (Failure::Denied, remedy)
        }
        404 if state == ServerState::Found => {
            what = format!("{url} has no zone {zone} (404)");
            let remedy =
                format!("correct the alias zone, or create it: pdnsutil create-zone {zone}");
            (Failure::Rejected, remedy)
        }
        404 => {
            if state == ServerState::NotFound {
                what = format!("{url} has no API for this server (404)");
            }
            let remedy = "set `api=yes` in pdns.conf, and check `url` and `server-id`";
            (Failure::Rejected, remedy.to_owned())
        }
        413 => {
            let remedy = "raise `webserver-max-bodysize` in pdns.conf";
            (Failure::TooMany, remedy.to_owned())
        }
        300..=399 => {
            let remedy =
                "set `url` to the address that it redirects to; redirects are not followed";
            (Failure::Rejected, remedy.to_owned())
        }
        500.. => {
            let remedy = "check the log of PowerDNS and its database, and try again";
            (Failure::UnknownOutcome, remedy.to_owned())
        }
        _ if is_conflict => (Failure::Conflict, conflict_remedy()),
        _ => {
            let remedy = format!("check the zone: pdnsutil check-zone {zone}");
            (Failure::Rejected, remedy)
        }
    };
    ProviderError::new(failure, what, remedy)
}

/// What to do about a CNAME at an alias name.
pub(crate) fn conflict_remedy() -> String {
    "remove the CNAME at the alias name, or use its target as the alias name".to_owned()
}

/// The server's text, to be appended to a message.
fn in_words(text: Option<String>) -> String {
    let text = text.unwrap_or_default();
    if text.is_empty() {
        return text;
    }
    let shown: String = text.chars().take(TEXT_MAX).collect();
    format!(": {}", shown.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, text: &str, state: ServerState) -> ProviderError {
        let text = Some(text.to_owned()).filter(|text| !text.is_empty());
        let zone = "auth.example.net".parse().unwrap();
        RequestError::Refused { status, text }.into_provider_error("https://x", &zone, state)
    }

    #[test]
    fn each_refusal_has_a_kind_and_its_remedy() {
        let state = ServerState::NotChecked;
        for (status, text, state, failure, words) in [
            (401, "", state, Failure::Denied, "`api-key`"),
            (403, "", state, Failure::Denied, "auth.example.net"),
            (
                404,
                "",
                ServerState::Found,
                Failure::Rejected,
                "create-zone",
            ),
            (
                404,
                "",
                ServerState::NotFound,
                Failure::Rejected,
                "`server-id`",
            ),
            (302, "", state, Failure::Rejected, "`url`"),
            (413, "", state, Failure::TooMany, "webserver-max-bodysize"),
            (
                422,
                "RRset: Conflicts with pre-existing RRset",
                state,
                Failure::Conflict,
                "CNAME",
            ),
            (422, "other", state, Failure::Rejected, "check-zone"),
            (502, "", state, Failure::UnknownOutcome, "the log"),
        ] {
            let error = error(status, text, state);
            assert_eq!(error.failure, failure, "{status}");
            assert!(error.remedy.contains(words), "{status}: {}", error.remedy);
        }
    }

    #[test]
    fn the_text_of_a_server_stays_one_short_line() {
        let error = error(422, &"a\nb".repeat(1_000), ServerState::NotChecked);
        assert!(!error.what.contains('\n') && error.what.len() < 1_000);
    }
}
