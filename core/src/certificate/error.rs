//! Why a certificate chain cannot be read or must not be used.

use std::error::Error;
use std::sync::Arc;

use jiff::Timestamp;

/// A certificate chain that cannot be read or must not be used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The text is not PEM (RFC 7468).
    #[error("the chain is not PEM: {source}")]
    NotPem {
        /// What the parser reports.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// A PEM block that is not a certificate.
    #[error("the chain contains a PEM block `{label}`, which is not a certificate")]
    UnexpectedBlock {
        /// The block's label, escaped.
        label: String,
    },
    /// There is no certificate in the text.
    #[error("the chain contains no certificate")]
    Empty,
    /// A PEM block that is not an X.509 certificate (RFC 5280).
    #[error("a certificate of the chain cannot be parsed: {source}")]
    Malformed {
        /// What the parser reports.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// There are more certificates than any chain has.
    #[error("the chain has {count} certificates")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The certificates are larger than those of any chain.
    #[error("the chain has {octets} octets; at most {limit} are accepted")]
    TooLarge {
        /// How many octets of DER.
        octets: usize,
        /// The most.
        limit: usize,
    },
    /// The certificate is for another key than the one in the certificate request.
    #[error("the certificate is for another key than the one in the request")]
    OtherKey,
    /// The certificate is for other names than the ones in the certificate request.
    #[error("the certificate is for {found} instead of {wanted}")]
    OtherNames {
        /// The first names in the certificate, in alphabetical order, and how many more there are.
        found: String,
        /// The same of the names in the request.
        wanted: String,
    },
    /// Servers with OpenSSL do not load the certificate.
    #[error("servers with OpenSSL would not load the certificate: {reason}")]
    NotLoadable {
        /// Why, in words.
        reason: &'static str,
    },
    /// The certificate has expired or is not valid yet.
    #[error("the certificate is valid from {not_before} to {not_after}, but the time is {now}")]
    NotValidNow {
        /// The start of its validity.
        not_before: Timestamp,
        /// The end of its validity.
        not_after: Timestamp,
        /// The time of the check.
        now: Timestamp,
    },
}
