//! What a failed request means, and what to do about it.
//!
//! Cloudflare has no complete list of its error codes. Each code here has a reference to an answer of
//! the real API: a path in `https://github.com/` if there is no documentation. Unknown codes are
//! shown as they are.

use std::error::Error;
use std::fmt;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Failure, Few, ProviderError};
use serde::{Deserialize, Deserializer};

/// Characters of a message that are kept.
const MESSAGE_MAX: usize = 500;

/// An identical record exists: 81057 (`NewFuture/DDNS/issues/21`)
/// and 81058 (`jeessy2/ddns-go/issues/1378`), with 400.
const IDENTICAL: [u32; 2] = [81_057, 81_058];
/// The record does not exist (`zanjie1999/cloudflare-api-v4-ddns/issues/5`).
const GONE: [u32; 1] = [81_044];
/// A record of another type conflicts: 81053
/// (`cloudflare/terraform-provider-cloudflare/issues/1247`) and 81054
/// (`favonia/cloudflare-ddns/issues/990`).
const CONFLICTING: [u32; 2] = [81_053, 81_054];
/// The zone has as many records as its plan allows (`js-org/js.org/issues/2873`).
const QUOTA: [u32; 1] = [81_045];
/// No such zone or no such call; both codes come together
/// (`DonnchaC/cloudflare-tor-whitelister/issues/4`).
const NO_ROUTE: [u32; 2] = [7_000, 7_003];
/// The header with the token is malformed
/// (`kissgyorgy/cloudflare-dyndns/issues/40`), with 400.
const BAD_HEADER: [u32; 2] = [6_003, 6_111];
/// No user has this token, in the answer to `GET /user/tokens/verify`, with 401 (an example is on
/// <https://developers.cloudflare.com/api/resources/user/subresources/tokens/methods/verify/>, the
/// message in the tests of `favonia/cloudflare-ddns`). With an unknown token, requests for records get
/// 401 and 10000, for zones 403 and 9109; with one that lacks a permission, 403 and 10000.
const UNKNOWN_TOKEN: [u32; 1] = [1_000];

/// A request without a result.
#[derive(Clone, Debug)]
pub(crate) enum RequestError {
    /// Nothing was sent.
    NotSent(Cause),
    /// The request was sent, and no usable answer arrived.
    NoAnswer(Cause),
    /// The API answered with an error.
    Refused {
        status: u16,
        errors: Vec<ApiError>,
        retry_after: Option<Duration>,
    },
}

/// Why a request failed, in words; with the HTTP client's error, if there was one.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    text: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// An error as the API reports it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ApiError {
    pub(crate) code: u32,
    #[serde(default, deserialize_with = "beginning")]
    pub(crate) message: String,
    /// The reasons for this error.
    #[serde(default)]
    pub(crate) error_chain: Few<Reason>,
}

/// A reason for an error.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Reason {
    pub(crate) code: u32,
    #[serde(default, deserialize_with = "beginning")]
    pub(crate) message: String,
}

impl ApiError {
    /// Codes and messages of the error and its reasons.
    fn all(&self) -> impl Iterator<Item = (u32, &str)> {
        let reasons = self.error_chain.iter();
        let reasons = reasons.map(|reason| (reason.code, reason.message.as_str()));
        iter::once((self.code, self.message.as_str())).chain(reasons)
    }
}

/// Reads the beginning of a message: errors are kept while others wait for their turns.
fn beginning<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let message = String::deserialize(deserializer)?;
    Ok(match message.char_indices().nth(MESSAGE_MAX) {
        Some((end, _)) => message[..end].to_owned(),
        None => message,
    })
}

/// The state of a token, as `GET /user/tokens/verify` reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenState {
    Active,
    /// Not active, in the API's word: `expired` or `disabled`.
    Inactive(String),
    /// No user has this token.
    Unknown,
    /// Not asked, or not to be had: an account's token is unknown at that address.
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
    /// Whether the records have changed since they were read.
    pub(crate) fn is_stale(&self) -> bool {
        self.has(&IDENTICAL) || self.has(&GONE)
    }

    /// Whether the request may have been carried out.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(
            self,
            RequestError::NoAnswer(_) | RequestError::Refused { status: 500.., .. }
        )
    }

    /// Whether the token was refused.
    pub(crate) fn is_about_the_token(&self) -> bool {
        matches!(
            self,
            RequestError::Refused {
                status: 401 | 403,
                ..
            }
        ) || self.has(&BAD_HEADER)
    }

    /// Whether the API has no such token.
    pub(crate) fn is_unknown_token(&self) -> bool {
        self.has(&UNKNOWN_TOKEN) || self.has(&BAD_HEADER)
    }

    /// Whether batches are not supported, for a zone whose records were just read.
    pub(crate) fn refuses_batches(&self) -> bool {
        let no_such_call = matches!(
            self,
            RequestError::Refused {
                status: 404 | 405 | 501,
                ..
            }
        );
        (no_such_call || self.has(&NO_ROUTE)) && !self.is_stale()
    }

    fn has(&self, codes: &[u32]) -> bool {
        match self {
            RequestError::Refused { errors, .. } => {
                let mut all = errors.iter().flat_map(ApiError::all);
                all.any(|(code, _)| codes.contains(&code))
            }
            _ => false,
        }
    }

    /// The failure in the terms of the provider contract. `token` matters if the token was refused.
    pub(crate) fn into_provider_error(
        self,
        host: &str,
        zone: &DnsName,
        token: &TokenState,
    ) -> ProviderError {
        match self {
            RequestError::NotSent(cause) => cause.into_provider_error(
                Failure::Unavailable,
                &format!("{host} could not be reached"),
                "check that the API can be reached from here; HTTPS_PROXY sets a proxy",
            ),
            RequestError::NoAnswer(cause) => cause.into_provider_error(
                Failure::UnknownOutcome,
                &format!("{host} received the request and gave no usable answer"),
                "try again; check Cloudflare's status page and the zone's audit log",
            ),
            RequestError::Refused {
                status: 429,
                retry_after,
                ..
            } => throttled(host, retry_after),
            RequestError::Refused { ref errors, .. } if self.is_about_the_token() => {
                token_refused(host, zone, token, errors)
            }
            RequestError::Refused {
                status, ref errors, ..
            } => {
                let what = format!("{host} answered {status}{}", in_words(errors));
                let (failure, remedy) = self.refusal(status, zone);
                ProviderError::new(failure, what, remedy)
            }
        }
    }

    /// Kind and remedy of a refusal that is not about the token.
    fn refusal(&self, status: u16, zone: &DnsName) -> (Failure, String) {
        let (failure, remedy) = if status >= 500 {
            let remedy = "try again later; check Cloudflare's status page";
            (Failure::UnknownOutcome, remedy)
        } else if self.has(&QUOTA) {
            let remedy = "the zone is full: remove unused records, or take a larger plan";
            (Failure::Rejected, remedy)
        } else if self.has(&CONFLICTING) {
            let remedy = "remove the CNAME or other record at the alias name, or use its target as \
                          the alias name";
            (Failure::Conflict, remedy)
        } else if self.has(&NO_ROUTE) || status == 404 {
            let remedy = format!("correct `zone-id`: the overview page of {zone} shows it");
            return (Failure::Rejected, remedy);
        } else {
            let remedy = "correct the alias name, which Cloudflare does not accept";
            (Failure::Rejected, remedy)
        };
        (failure, remedy.to_owned())
    }
}

impl Cause {
    fn into_provider_error(self, failure: Failure, what: &str, remedy: &str) -> ProviderError {
        let error = ProviderError::new(failure, format!("{what}: {self}"), remedy);
        match self.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

fn throttled(host: &str, retry_after: Option<Duration>) -> ProviderError {
    let pause = match retry_after {
        Some(wait) => format!(", and none for {} s", wait.as_secs()),
        None => String::new(),
    };
    ProviderError::new(
        Failure::Throttled { retry_after },
        format!("{host} wants fewer requests{pause}"),
        "try again later; the limit is that of the token's user, so use a user of its own for \
         acme-alias if other programs send many requests",
    )
}

fn token_refused(
    host: &str,
    zone: &DnsName,
    token: &TokenState,
    errors: &[ApiError],
) -> ProviderError {
    let errors = in_words(errors);
    let (what, remedy) = match token {
        TokenState::Active => (
            format!("{host} does not let the token edit the zone {zone}{errors}"),
            format!(
                "give the token of `api-token` the permission DNS:Edit and the zone resource {zone}; if \
                 `zone-id` is set, check that it is the id of {zone}"
            ),
        ),
        TokenState::Inactive(state) => (
            format!("{host} refused the token: it is {state}"),
            "make a new token, and set `api-token` to it".to_owned(),
        ),
        TokenState::Unknown => (
            format!("{host} does not know the token: it is wrong, expired or deleted{errors}"),
            "correct `api-token`; it is an API token, not the global API key".to_owned(),
        ),
        TokenState::NotChecked => (
            format!("{host} refused the token{errors}"),
            format!(
                "check that the token of `api-token` has not expired, may be used from this address, \
                 and has DNS:Edit for {zone}; if `zone-id` is set, check that it is the id of {zone}"
            ),
        ),
    };
    ProviderError::new(Failure::Denied, what, remedy)
}

/// The API's errors, to be appended to a message.
fn in_words(errors: &[ApiError]) -> String {
    if errors.is_empty() {
        return String::new();
    }
    let words: Vec<_> = errors
        .iter()
        .flat_map(ApiError::all)
        .map(|(code, message)| format!("{} (code {code})", message.escape_debug()))
        .collect();
    format!(": {}", words.join("; "))
}
