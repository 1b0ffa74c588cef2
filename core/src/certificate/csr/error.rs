//! Why a certification request cannot be used.

use std::error::Error;
use std::sync::Arc;

use crate::name::{Identifier, NameError};

/// A certification request that cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// Neither PEM (RFC 7468) nor DER.
    #[error("it is neither PEM nor DER")]
    NotPem,
    /// A private key, alone or beside a request.
    #[error("it contains a private key")]
    PrivateKey,
    /// A certificate.
    #[error("it contains a certificate and not a certification request")]
    Certificate,
    /// Another PEM block.
    #[error("it contains a PEM block `{label}`, which is not a certification request")]
    OtherBlock {
        /// The block's label, escaped.
        label: String,
    },
    /// More than one request.
    #[error("it contains several certification requests")]
    Several,
    /// Not a certification request (RFC 2986).
    #[error("it is not a certification request (PKCS #10): {source}")]
    Malformed {
        /// What the parser reports.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// A key that CAs do not sign, or whose signature cannot be verified.
    #[error("its key is {found}; supported are RSA from 2048 bits, ECDSA P-256 and ECDSA P-384")]
    UnsupportedKey {
        /// What key it is.
        found: String,
    },
    /// It was not signed by its own key, or changed afterwards.
    #[error("its signature is wrong: it was not signed by its own key, or was changed afterwards")]
    Signature,
    /// It was signed with an algorithm that cannot be verified.
    #[error("it is signed with an algorithm that is not supported; SHA-256 and SHA-384 are")]
    UnsupportedSignature,
    /// It has neither a DNS name in its subjectAltName nor a common name.
    #[error("it has no names: neither a DNS name in its subjectAltName nor a common name")]
    NoNames,
    /// A name of another kind, such as an IP address.
    #[error("its subjectAltName contains {found}; only DNS names can be validated")]
    OtherName {
        /// The name and its kind, escaped.
        found: String,
    },
    /// A DNS name in its subjectAltName that no certificate can have.
    #[error("its subjectAltName cannot be used: {0}")]
    Name(NameError),
    /// A common name that is not a DNS name. CAs take the common name for a name of the certificate.
    #[error("its common name cannot be used: {0}")]
    CommonName(NameError),
    /// A name in a form that CAs refuse: with a dot at its end, or with characters that are not ASCII.
    #[error("it contains the name `{}`, which must be written `{wanted}`", .found.escape_debug())]
    Form {
        /// The name in the request.
        found: String,
        /// The same name as CAs accept it.
        wanted: Identifier,
    },
}
