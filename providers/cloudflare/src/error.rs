//! What a request that gave no result means, and what to do about it. Cloudflare documents few of
//! its codes: 81044, 81057 and 81058 are as people report them from the real API, the others are
//! not confirmed there. A code that is not known is shown as it came.

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Failure, ProviderError};

use crate::client::{ApiError, RequestError};

/// The record is there already, exactly as it was to be made.
const IDENTICAL: [u32; 2] = [81_057, 81_058];
/// The record is not there any more.
const GONE: [u32; 1] = [81_044];
/// Records of other types stand in the way.
const IN_THE_WAY: [u32; 2] = [81_053, 81_054];
const QUOTA: [u32; 2] = [81_045, 81_047];
/// The token itself: malformed, unknown, expired, disabled.
const BAD_TOKEN: [u32; 4] = [1_000, 6_003, 6_111, 9_109];
/// The path leads to no zone.
const NO_ZONE: [u32; 3] = [1_001, 7_000, 7_003];
/// There is no such path or method.
const NO_ROUTE: [u32; 3] = [7_000, 7_001, 10_405];

/// What `GET /user/tokens/verify` says of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Active,
    /// Not active, in the API's word: `expired` or `disabled`.
    Inactive(String),
    Unknown,
}

impl RequestError {
    /// Whether what was to be changed has changed since it was read.
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

    /// Whether the request did not get past the token.
    pub(crate) fn is_about_the_token(&self) -> bool {
        matches!(
            self,
            RequestError::Refused {
                status: 401 | 403,
                ..
            }
        ) || (matches!(self, RequestError::Refused { status: 400, .. })
            && self.has(&[6_003, 6_111]))
    }

    /// Whether batches are not to be had here.
    pub(crate) fn refuses_batches(&self) -> bool {
        matches!(
            self,
            RequestError::Refused {
                status: 405 | 501,
                ..
            }
        ) || (matches!(self, RequestError::Refused { .. })
            && self.has(&NO_ROUTE)
            && !self.has(&[7_003]))
    }

    fn has(&self, codes: &[u32]) -> bool {
        fn any(errors: &[ApiError], codes: &[u32]) -> bool {
            errors
                .iter()
                .any(|error| codes.contains(&error.code) || any(&error.error_chain, codes))
        }
        match self {
            RequestError::Refused { errors, .. } => any(errors, codes),
            _ => false,
        }
    }

    /// The failure in the terms of the contract. `token` is asked for where the request did not
    /// get past it.
    pub(crate) fn into_provider_error(
        self,
        host: &str,
        zone: &DnsName,
        token: &Token,
    ) -> ProviderError {
        let refusal = Refusal { host, zone };
        match &self {
            RequestError::NotSent(cause) => ProviderError::new(
                Failure::Unavailable,
                format!("{host} could not be reached: {cause}"),
                "see that the API can be reached from here; a proxy is taken from HTTPS_PROXY",
            ),
            RequestError::NoAnswer(cause) => ProviderError::new(
                Failure::UnknownOutcome,
                format!("{host} got the request, and gave no usable answer: {cause}"),
                "try again; see Cloudflare's status page, and the zone's audit log",
            ),
            RequestError::Refused {
                status: 429,
                retry_after,
                ..
            } => ProviderError::new(
                Failure::Throttled {
                    retry_after: *retry_after,
                },
                match retry_after {
                    Some(wait) => format!(
                        "{host} wants fewer requests, and none for {} s",
                        wait.as_secs()
                    ),
                    None => format!("{host} wants fewer requests"),
                },
                "wait; the limit holds for all that the token's user does, so give acme-alias a \
                 user of its own where other programs use the API much",
            ),
            RequestError::Refused {
                status: status @ 500..,
                errors,
                ..
            } => ProviderError::new(
                Failure::UnknownOutcome,
                format!("{host} answered {status}{}", in_words(errors)),
                "try again later; see Cloudflare's status page",
            ),
            RequestError::Refused { errors, .. } if self.is_about_the_token() => {
                refusal.of_the_token(token, self.has(&BAD_TOKEN), errors)
            }
            RequestError::Refused { status, errors, .. } => {
                let says = format!("{host} answered {status}{}", in_words(errors));
                if self.has(&QUOTA) {
                    ProviderError::new(
                        Failure::Rejected,
                        says,
                        "the zone is full: remove records that nobody needs, or take a larger plan",
                    )
                } else if self.has(&IN_THE_WAY) {
                    ProviderError::new(Failure::Conflict, says, "a CNAME or other record stands at the alias name: remove it, or use the name that it leads to".to_owned())
                } else if self.has(&NO_ZONE) || *status == 404 {
                    ProviderError::new(
                        Failure::Rejected,
                        says,
                        format!(
                            "there is no zone with this `zone-id`; the overview page of {zone} shows it"
                        ),
                    )
                } else {
                    ProviderError::new(
                        Failure::Rejected,
                        says,
                        "this is what Cloudflare will not take; see the alias of the certificate",
                    )
                }
            }
        }
    }
}

/// Where a request was refused.
struct Refusal<'a> {
    host: &'a str,
    zone: &'a DnsName,
}

impl Refusal<'_> {
    fn of_the_token(&self, token: &Token, is_bad: bool, errors: &[ApiError]) -> ProviderError {
        let Refusal { host, zone } = self;
        let denied = |what, remedy| ProviderError::new(Failure::Denied, what, remedy);
        match token {
            Token::Active => denied(
                format!(
                    "{host} does not let the token edit the zone {zone}{}",
                    in_words(errors)
                ),
                format!(
                    "give the token of `api-token` the permission DNS:Edit, and {zone} among its \
                     zone resources"
                ),
            ),
            Token::Inactive(status) => denied(
                format!("{host} knows the token, and says that it is {status}"),
                "make a new token, and give it to `api-token`".to_owned(),
            ),
            Token::Unknown if is_bad => denied(
                format!(
                    "{host} does not know the token: it is wrong, expired or was deleted{}",
                    in_words(errors)
                ),
                "correct `api-token`; it is an API token, not the global API key".to_owned(),
            ),
            Token::Unknown => denied(
                format!("{host} refused the token{}", in_words(errors)),
                format!(
                    "see that `api-token` is a token with DNS:Edit for {zone}, and has not expired"
                ),
            ),
        }
    }
}

/// The API's errors, to be read after what was said before.
fn in_words(errors: &[ApiError]) -> String {
    if errors.is_empty() {
        return String::new();
    }
    let words: Vec<_> = errors
        .iter()
        .flat_map(|error| std::iter::once(error).chain(&error.error_chain))
        .map(|error| format!("{} (code {})", error.message.escape_debug(), error.code))
        .collect();
    format!(": {}", words.join("; "))
}
