//! What can go wrong between us and the certification authority.

use std::time::Duration;

use super::key::KeyError;

/// An HTTP exchange that gave no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// A URL that is not HTTPS, be it from the settings or from the server.
    #[error("{url} is not an https:// URL, and nothing else is used")]
    NotHttps {
        /// The URL.
        url: String,
    },
    /// No connection, or it broke.
    #[error("{url} could not be reached: {cause}")]
    Unreachable {
        /// The URL.
        url: String,
        /// Why.
        cause: String,
    },
    /// The server's own certificate is not trusted.
    #[error("the certificate of {url} is not trusted: {cause}")]
    Untrusted {
        /// The URL.
        url: String,
        /// Why.
        cause: String,
    },
    /// The answer is larger than any answer of an ACME server.
    #[error("{url} answered with more than {limit} octets")]
    TooLarge {
        /// The URL.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// The server wants fewer requests, cannot work now, or something between us and it answered.
    #[error("{url} answered {status}{}{}",
        if .detail.is_empty() { String::new() } else { format!(": {detail}") },
        .retry_after.map_or_else(String::new, |wait| format!(" (asks to wait {} s)", wait.as_secs())))]
    Status {
        /// The URL.
        url: String,
        /// The HTTP status code.
        status: u16,
        /// How long the server asked to wait.
        retry_after: Option<Duration>,
        /// The problem's detail, or the beginning of the page.
        detail: String,
    },
    /// The extra root certificate, or the TLS set-up, cannot be used.
    #[error("the HTTPS client could not be set up: {0}")]
    Setup(String),
}

impl TransportError {
    /// How long to wait before the request may be sent again; `None` where that cannot help.
    pub(super) fn retry_after(&self, usual: Duration) -> Option<Duration> {
        match self {
            TransportError::Unreachable { .. } => Some(usual),
            TransportError::Status { retry_after, .. } => Some(retry_after.unwrap_or(usual)),
            _ => None,
        }
    }
}

/// A failure at the certification authority.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AcmeError {
    /// The exchange itself failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The CA refused (RFC 8555 §6.7).
    #[error("the CA refused {what}: {detail} ({kind})")]
    Problem {
        /// What was asked for.
        what: &'static str,
        /// The problem type without its URN prefix.
        kind: String,
        /// The CA's words.
        detail: String,
    },
    /// The answer is not what RFC 8555 says.
    #[error("{what}: the answer is not that of an ACME server: {cause}")]
    NotAcme {
        /// What was asked for.
        what: &'static str,
        /// What is wrong with the answer.
        cause: String,
    },
    /// The terms of service were not agreed to.
    #[error("the CA's terms of service have not been agreed to{}",
        .terms.as_ref().map_or_else(String::new, |terms| format!(": {terms}")))]
    TermsNotAgreed {
        /// Where they can be read.
        terms: Option<String>,
    },
    /// The CA takes only accounts that are bound to one made elsewhere (RFC 8555 §7.3.4).
    #[error("this CA wants an external account binding")]
    ExternalAccountRequired,
    /// The external account key is not base64url.
    #[error("the external account key (`eab-hmac-key`) is not base64url")]
    ExternalAccountKey,
    /// The stored account cannot be read.
    #[error("the stored account is damaged: {0}")]
    StoredAccount(String),
    /// The CA could not validate names.
    #[error("the CA could not validate {}", .0.iter().map(|(name, detail)| format!("{name}: {detail}")).collect::<Vec<_>>().join("; "))]
    Validation(Vec<(String, String)>),
    /// The CA offers no DNS-01 challenge for a name.
    #[error("the CA offers no dns-01 challenge for {0}")]
    NoDns01(String),
    /// An authorization for a name that was not ordered.
    #[error("the order has an authorization for {0}, which was not asked for")]
    ForeignAuthorization(String),
    /// The CA did not come to an end.
    #[error("the CA did not finish {what} in time")]
    Timeout {
        /// What was waited for.
        what: &'static str,
    },
    /// The key for the certificate could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl AcmeError {
    /// What the reader can do about it.
    pub fn remedy(&self) -> String {
        match self {
            AcmeError::Transport(error) => transport_remedy(error),
            AcmeError::Problem { kind, .. } => problem_remedy(kind),
            AcmeError::NotAcme { .. } => {
                "see that `acme.directory` is the URL of an ACME directory, not of a web page"
                    .into()
            }
            AcmeError::TermsNotAgreed { .. } => {
                "read them, then say so once: `--agree-tos`, or `agree-tos = true` under `[acme]`"
                    .into()
            }
            AcmeError::ExternalAccountRequired => {
                "get a key identifier and an HMAC key from the CA, and set `eab-kid` and \
                 `eab-hmac-key` under `[acme]`"
                    .into()
            }
            AcmeError::ExternalAccountKey => {
                "copy the key as the CA shows it: base64url, without padding".into()
            }
            AcmeError::StoredAccount(_) => {
                "restore the file from a backup, or move it away to make a new account".into()
            }
            AcmeError::Validation(_) => {
                "every authoritative server had the values when the CA was told so; see that the \
                 CA reaches the same servers (split horizon, firewalls, CAA records)"
                    .into()
            }
            AcmeError::NoDns01(_) => "use a CA that offers dns-01 for this name".into(),
            AcmeError::ForeignAuthorization(_) => "report this to the CA".into(),
            AcmeError::Timeout { .. } => {
                "try again later: the order is kept, and gone on with; or wait longer, by \
                 `order-timeout` under `[acme]`"
                    .into()
            }
            AcmeError::Key(_) => "try another `key-type`".into(),
        }
    }
}

fn transport_remedy(error: &TransportError) -> String {
    match error {
        TransportError::NotHttps { .. } => "use the CA's https:// directory URL",
        TransportError::Unreachable { .. } => {
            "see that the CA can be reached from here; a proxy is taken from HTTPS_PROXY"
        }
        TransportError::Untrusted { .. } => {
            "for a private CA name its root certificate with `ca-file` under `[acme]`; otherwise \
             something stands between you and the CA"
        }
        TransportError::TooLarge { .. } => "see that `acme.directory` is an ACME directory",
        TransportError::Status { status: 429, .. } => {
            "a rate limit of the CA is reached; wait as long as it says"
        }
        TransportError::Status {
            status: 400..500, ..
        } => "see that `acme.directory` is the URL of an ACME directory",
        TransportError::Status { .. } => "try again later, and see the CA's status page",
        TransportError::Setup(_) => "see that `ca-file` is a PEM file with a certificate",
    }
    .to_owned()
}

fn problem_remedy(kind: &str) -> String {
    match kind {
        "rateLimited" => "a rate limit of the CA is reached; wait as long as it says",
        "rejectedIdentifier" => "the CA does not issue for this name",
        "caa" => "a CAA record of the domain forbids this CA to issue; change it or the CA",
        "accountDoesNotExist" | "unauthorized" => {
            "the CA does not know this account any more; move its file under `accounts` away"
        }
        "invalidContact" | "unsupportedContact" => "correct `contact` under `[acme]`",
        "externalAccountRequired" => "set `eab-kid` and `eab-hmac-key` under `[acme]`",
        "userActionRequired" => "the CA wants you to do something, such as to agree to new terms",
        "serverInternal" => "try again later, and see the CA's status page",
        _ => "the CA's words say what it did not like",
    }
    .to_owned()
}
