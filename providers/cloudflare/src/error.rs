//! What a request that gave no result means, and what to do about it. Cloudflare documents its
//! codes nowhere in one place: each is given here with the answer of the real API in which it was
//! seen, a path in `https://github.com/` where there is no other. A code that is not known is shown
//! as it came.

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Failure, ProviderError};

use crate::client::{ApiError, RequestError};

/// The record is there already, exactly as it was to be made: 81057 (`NewFuture/DDNS/issues/21`)
/// and 81058 (`jeessy2/ddns-go/issues/1378`), with 400.
const IDENTICAL: [u32; 2] = [81_057, 81_058];
/// The record is not there any more (`zanjie1999/cloudflare-api-v4-ddns/issues/5`).
const GONE: [u32; 1] = [81_044];
/// Records of other types stand in the way: 81053
/// (`cloudflare/terraform-provider-cloudflare/issues/1247`) and 81054
/// (`favonia/cloudflare-ddns/issues/990`).
const IN_THE_WAY: [u32; 2] = [81_053, 81_054];
/// The zone has as many records as its plan allows (`js-org/js.org/issues/2873`).
const QUOTA: [u32; 1] = [81_045];
/// The path leads nowhere, to no zone or to no such call; both come together
/// (`DonnchaC/cloudflare-tor-whitelister/issues/4`).
const NO_ROUTE: [u32; 2] = [7_000, 7_003];
/// The header with the token is not understood, and why
/// (`kissgyorgy/cloudflare-dyndns/issues/40`), with 400.
const BAD_HEADER: [u32; 2] = [6_003, 6_111];
/// `GET /user/tokens/verify` knows no such token of a user (the example on
/// <https://developers.cloudflare.com/api/resources/user/subresources/tokens/methods/verify/> has the
/// code; the words are in the tests of `favonia/cloudflare-ddns`), with 401. With a token that is not
/// known, records get 401 and 10000, zones 403 and 9109; with one that may not, 403 and 10000.
const UNKNOWN_TOKEN: [u32; 1] = [1_000];

/// What `GET /user/tokens/verify` says of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Active,
    /// Not active, in the API's word: `expired` or `disabled`.
    Inactive(String),
    /// There is no such token of a user.
    Unknown,
    /// Nothing is known, or the token is an account's: those are not known at that address.
    NotAsked,
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
        ) || self.has(&BAD_HEADER)
    }

    /// Whether the API knows no such token.
    pub(crate) fn is_unknown_token(&self) -> bool {
        self.has(&UNKNOWN_TOKEN) || self.has(&BAD_HEADER)
    }

    /// Whether batches are not to be had here, for a zone whose records were just read.
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
                refusal.of_the_token(token, errors)
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
                } else if self.has(&NO_ROUTE) || *status == 404 {
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
    fn of_the_token(&self, token: &Token, errors: &[ApiError]) -> ProviderError {
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
                     zone resources; where `zone-id` is set, see that it is the id of {zone}"
                ),
            ),
            Token::Inactive(status) => denied(
                format!("{host} knows the token, and says that it is {status}"),
                "make a new token, and give it to `api-token`".to_owned(),
            ),
            Token::Unknown => denied(
                format!(
                    "{host} does not know the token: it is wrong, expired or was deleted{}",
                    in_words(errors)
                ),
                "correct `api-token`; it is an API token, not the global API key".to_owned(),
            ),
            Token::NotAsked => denied(
                format!("{host} refused the token{}", in_words(errors)),
                format!(
                    "see that the token of `api-token` has not expired, that it may be used from \
                     this address, and that it has DNS:Edit for {zone}; where `zone-id` is set, see \
                     that it is the id of {zone}"
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
