//! The key that a certificate is ordered for.

use std::sync::Arc;

use secrecy::SecretString;

use crate::certificate::{CertificateKey, CertificationRequest, KeyError};
use crate::name::Identifier;

/// The key that a certificate is ordered for.
pub(super) enum OrderKey {
    /// One of ours.
    Own(CertificateKey),
    /// One that only others have: they signed the request.
    External(Arc<CertificationRequest>),
}

impl OrderKey {
    /// The certification request for the order (DER): for these names, or the one of others as it is.
    pub(super) fn request(&self, names: &[Identifier]) -> Result<Vec<u8>, KeyError> {
        match self {
            OrderKey::Own(key) => key.request(names),
            OrderKey::External(request) => Ok(request.der().to_vec()),
        }
    }

    /// The public key as `SubjectPublicKeyInfo` (DER).
    pub(super) fn public(&self) -> Vec<u8> {
        match self {
            OrderKey::Own(key) => key.public(),
            OrderKey::External(request) => request.public_key().to_vec(),
        }
    }

    /// The private key as PKCS #8 PEM, if it is ours.
    pub(super) fn to_pem(&self) -> Option<SecretString> {
        match self {
            OrderKey::Own(key) => Some(key.to_pem()),
            OrderKey::External(_) => None,
        }
    }

    /// The fingerprint of a key that is not ours.
    pub(super) fn external(&self) -> Option<String> {
        match self {
            OrderKey::Own(_) => None,
            OrderKey::External(request) => Some(request.fingerprint().to_owned()),
        }
    }
}
