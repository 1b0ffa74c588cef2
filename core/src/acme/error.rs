//! Failures at the certification authority (CA), and on the way to it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::cause::innermost;
use crate::certificate::KeyError;

/// An HTTPS request that got no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The URL is not HTTPS. It comes from the configuration or from the server.
    #[error("{url} is not an https:// URL")]
    NotHttps {
        /// The URL.
        url: String,
    },
    /// No connection, or it broke.
    #[error("could not reach {url}: {}", innermost(.source))]
    Unreachable {
        /// The URL.
        url: String,
        /// The reason.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The answer did not arrive in time.
    #[error("timed out after {} s waiting for {url}", .limit.as_secs_f64())]
    Timeout {
        /// The URL.
        url: String,
        /// The time limit that was exceeded.
        limit: Duration,
    },
    /// The certificate of the HTTPS server is not trusted.
    #[error("the certificate of {url} is not trusted: {}", innermost(.source))]
    Untrusted {
        /// The URL.
        url: String,
        /// The reason.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The answer is larger than any answer of an ACME server.
    #[error("{url} answered with more than {limit} octets")]
    TooLarge {
        /// The URL.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// The URL of an account or an order (`Location`) is longer than those of any CA.
    #[error("{url} answered with a URL of {octets} octets")]
    LongLocation {
        /// The URL that was requested.
        url: String,
        /// The length of the other one.
        octets: usize,
    },
    /// The server is overloaded or unavailable, or a gateway answered in its place.
    #[error("{url} answered {status}{}{}",
        if .detail.is_empty() { String::new() } else { format!(": {detail}") },
        .retry_after.map_or_else(String::new, |wait| format!(" (retry after {} s)", wait.as_secs())))]
    Status {
        /// The URL.
        url: String,
        /// The HTTP status code.
        status: u16,
        /// How long the server asked to wait.
        retry_after: Option<Duration>,
        /// The detail of the problem document, or the start of the page.
        detail: String,
    },
    /// The extra root certificates cannot be used.
    #[error("could not read the extra root certificates: {}", innermost(.source))]
    ExtraRoot {
        /// The reason.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The HTTPS client could not be set up.
    #[error("could not set up the HTTPS client: {}", innermost(.source))]
    Setup {
        /// The reason.
        source: Arc<dyn Error + Send + Sync>,
    },
}

impl TransportError {
    /// How long to wait before the request may be sent again: `usual`, or what the server asked for.
    /// `None` if a repeated request cannot help.
    pub(super) fn retry_after(&self, usual: Duration) -> Option<Duration> {
        match self {
            TransportError::Unreachable { .. } | TransportError::Timeout { .. } => Some(usual),
            TransportError::Status { retry_after, .. } => Some(retry_after.unwrap_or(usual)),
            _ => None,
        }
    }
}

/// What the CA was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// To read the directory (RFC 8555 §7.1.1).
    Directory,
    /// To return a nonce (§7.2).
    Nonce,
    /// To create an account (§7.3).
    Account,
    /// To open an order, or to resume one (§7.4).
    Order,
    /// To read the authorizations of an order (§7.5).
    Authorizations,
    /// To validate the challenges (§7.5.1).
    Challenges,
    /// To finish the validation of an order (§7.5.1).
    Validation,
    /// To accept the certificate request (§7.4).
    Finalization,
    /// To issue and return the certificate (§7.4.2).
    Certificate,
    /// To return an alternate chain (§7.4.2).
    AlternateChain,
    /// To say when to renew (RFC 9773 §4).
    RenewalInfo,
    /// To change the account (RFC 8555 §7.3.2, §7.3.6).
    AccountUpdate,
    /// To change the key of the account (§7.3.5).
    KeyChange,
    /// To revoke a certificate (§7.6).
    Revocation,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Directory => "the directory",
            Operation::Nonce => "a nonce",
            Operation::Account => "the account",
            Operation::Order => "the order",
            Operation::Authorizations => "the authorizations",
            Operation::Challenges => "the challenges",
            Operation::Validation => "the validation",
            Operation::Finalization => "the certificate request",
            Operation::Certificate => "the certificate",
            Operation::AlternateChain => "the alternate chain",
            Operation::RenewalInfo => "renewal information",
            Operation::AccountUpdate => "the change of the account",
            Operation::KeyChange => "the change of the account's key",
            Operation::Revocation => "the revocation",
        })
    }
}

/// A name that the CA could not validate, or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationFailure {
    /// The name.
    pub identifier: String,
    /// The type of the problem without its URN prefix (RFC 8555 §6.7), such as `dns`.
    pub kind: String,
    /// What the CA reports.
    pub detail: String,
}

/// A failure at the CA.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcmeError {
    /// A request got no usable answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The CA refused (RFC 8555 §6.7).
    #[error("the CA refused {operation}: {detail} ({kind})")]
    Problem {
        /// What the CA was asked for.
        operation: Operation,
        /// The type of the problem without its URN prefix.
        kind: String,
        /// What the CA reports.
        detail: String,
        /// The names that it concerns, if the CA says which (RFC 8555 §6.7.1).
        subproblems: Vec<ValidationFailure>,
        /// How long the CA asked to wait.
        retry_after: Option<Duration>,
    },
    /// The CA was not asked for an order, because it had refused others and asked to wait.
    #[error("no order was opened, because the CA refused others: {0}")]
    NotAsked(Box<AcmeError>),
    /// The answer violates RFC 8555.
    #[error("the CA's answer for {operation} is not valid ACME: {source}")]
    InvalidAnswer {
        /// What the CA was asked for.
        operation: Operation,
        /// The reason.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The terms of service must be agreed to first (RFC 8555 §7.3).
    #[error("the CA requires agreement to its terms of service{}",
        .terms.as_ref().map_or_else(String::new, |terms| format!(": {terms}")))]
    TermsNotAgreed {
        /// The URL of the terms.
        terms: Option<String>,
    },
    /// The CA accepts only accounts that are bound to an account elsewhere (RFC 8555 §7.3.4).
    #[error("this CA requires an external account binding")]
    ExternalAccountRequired,
    /// The external account could not be obtained from its source.
    #[error("could not get the external account's key: {}", innermost(.source))]
    ExternalAccount {
        /// The reason.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The HMAC key of the external account is neither base64url nor base64.
    #[error("the HMAC key of the external account is not base64")]
    InvalidHmacKey,
    /// The CA does not have the profile.
    #[error("the CA has no profile `{profile}`; {}", profiles(.offered))]
    UnknownProfile {
        /// The profile.
        profile: String,
        /// Those that it has, in short.
        offered: Vec<String>,
    },
    /// The stored account cannot be read.
    #[error("the stored account is damaged: {}", innermost(.source))]
    StoredAccount {
        /// The reason.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// There is no account at this CA in the store.
    #[error("there is no account at {directory} in the store")]
    NoAccount {
        /// The URL of the directory.
        directory: String,
    },
    /// The CA's directory does not have what is needed.
    #[error("the CA does not offer {operation}")]
    NotOffered {
        /// What the CA was to be asked for.
        operation: Operation,
    },
    /// The CA could not validate names.
    #[error("the CA could not validate {}", .0.iter()
        .map(|failure| format!("{}: {}", failure.identifier, failure.detail))
        .collect::<Vec<_>>().join("; "))]
    Validation(Vec<ValidationFailure>),
    /// The CA offers no DNS-01 challenge for a name.
    #[error("the CA offers no dns-01 challenge for {name}; it offers {}",
        if .offered.is_empty() { "none".to_owned() } else { offered.join(", ") })]
    NoDns01 {
        /// The name.
        name: String,
        /// The types of the challenges that it offers.
        offered: Vec<String>,
    },
    /// An authorization for a name that was not ordered.
    #[error("the order contains an authorization for {0}, which was not ordered")]
    ForeignAuthorization(String),
    /// The CA did not finish in time.
    #[error("the CA did not finish {operation} in time")]
    Timeout {
        /// What the CA was asked for.
        operation: Operation,
    },
    /// Our clock is wrong, or that of the CA. Nothing was ordered.
    #[error(
        "the clock of this machine shows {ours}, and that of the CA {theirs}: nothing is ordered"
    )]
    WrongClock {
        /// The time here.
        ours: Timestamp,
        /// The time there.
        theirs: Timestamp,
    },
    /// The key of the certificate cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

fn profiles(offered: &[String]) -> String {
    match offered {
        [] => "it has no profiles at all".to_owned(),
        offered => format!("it has: {}", offered.join(", ")),
    }
}

impl AcmeError {
    /// An answer that violates RFC 8555, and why. The reason may quote the answer, and a run keeps those of all its
    /// certificates: only its beginning is kept.
    pub(super) fn invalid(
        operation: Operation,
        reason: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        let reason: Box<dyn Error + Send + Sync> = innermost(&*reason.into()).into();
        AcmeError::InvalidAnswer {
            operation,
            source: Arc::from(reason),
        }
    }

    /// A stored account that cannot be used.
    pub(super) fn damaged(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        AcmeError::StoredAccount {
            source: Arc::from(reason.into()),
        }
    }

    /// The type of the problem that the CA reports, without its URN prefix (RFC 8555 §6.7).
    pub fn problem(&self) -> Option<&str> {
        match self {
            AcmeError::Problem { kind, .. } => Some(kind),
            _ => None,
        }
    }

    /// How long the CA asks to wait before the next attempt.
    pub fn asked_pause(&self) -> Option<Duration> {
        match self {
            AcmeError::Transport(TransportError::Status { retry_after, .. })
            | AcmeError::Problem { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the CA may have opened an order that it counts, when an order was to be opened and carried out.
    pub(crate) fn may_have_order(&self) -> bool {
        match self {
            AcmeError::NotAsked(_)
            | AcmeError::UnknownProfile { .. }
            | AcmeError::WrongClock { .. } => false,
            // A refusal opens none (RFC 8555 §7.4). A limit was reached by those that count.
            AcmeError::Problem {
                operation: Operation::Order,
                kind,
                ..
            } => matches!(kind.as_str(), "rateLimited" | "serverInternal"),
            _ => true,
        }
    }

    /// Whether the CA may have done what it was asked for all the same: no answer says that it refused.
    pub(crate) fn may_be_done(&self) -> bool {
        match self {
            AcmeError::Problem { kind, .. } => kind == "serverInternal",
            AcmeError::Transport(TransportError::Status { status, .. }) => {
                !(400..500).contains(status)
            }
            AcmeError::Transport(_)
            | AcmeError::InvalidAnswer { .. }
            | AcmeError::Timeout { .. } => true,
            _ => false,
        }
    }

    /// What the CA reports if a limit was reached.
    pub(super) fn limit(&self) -> Option<&str> {
        match self {
            AcmeError::Transport(TransportError::Status { status, detail, .. }) => {
                (*status == 429).then_some(detail)
            }
            AcmeError::Problem { kind, detail, .. } => (kind == "rateLimited").then_some(detail),
            _ => None,
        }
    }

    /// Whether the CA only wants the same request with another nonce (RFC 8555 §6.5).
    pub(super) fn is_bad_nonce(&self) -> bool {
        matches!(self, AcmeError::Problem { kind, .. } if kind == "badNonce")
    }
}
