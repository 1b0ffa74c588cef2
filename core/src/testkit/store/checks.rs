//! What all rules need: stores to call, names, and comparisons.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::ExposeSecret;

use super::fixture::{Fixture, version};
use crate::store::{CertificateId, NewVersion, Store, StoreError, VersionPem};

/// Whether a rule holds; if not, what happened instead.
pub(super) type Outcome<T = ()> = Result<T, String>;

/// A secret that must not appear in an error, in the log or in `Debug` output.
pub(super) const SECRET: &str = "conformance-secret";

/// The stores of two processes, and what to check them with.
pub(super) struct Suite<'a> {
    pub(super) fixture: &'a dyn Fixture,
    pub(super) store: Arc<dyn Store>,
    pub(super) other: Arc<dyn Store>,
    /// Every error that a call returned, as text.
    pub(super) errors: Mutex<Vec<String>>,
}

impl Suite<'_> {
    /// The result of a call that must succeed.
    pub(super) fn ok<T>(&self, result: Result<T, StoreError>) -> Outcome<T> {
        result.map_err(|error| self.observe(&error))
    }

    /// The error of a call that must fail.
    pub(super) fn err<T: fmt::Debug>(&self, result: Result<T, StoreError>) -> Outcome<StoreError> {
        match result {
            Ok(value) => Err(format!("a success: {value:?}")),
            Err(error) => {
                self.observe(&error);
                Ok(error)
            }
        }
    }

    /// A version whose key is a secret that ends with `mark`.
    pub(super) fn version(&self, mark: &str) -> Outcome<NewVersion> {
        let name = format!("{mark}.example.com");
        let key = format!("{SECRET}-{mark}");
        version(&name, self.now(), &key).map_err(|error| error.to_string())
    }

    pub(super) fn now(&self) -> jiff::Timestamp {
        crate::clock::Clock::now(self.fixture.clock())
    }

    fn observe(&self, error: &StoreError) -> String {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.push(format!("{error:?} {error}"));
        error.to_string()
    }
}

/// Whether a version has the key that ends with `mark`.
pub(super) fn is_key(pem: Option<&VersionPem>, mark: &str) -> bool {
    let key = pem.and_then(|pem| pem.key.as_ref());
    key.is_some_and(|key| key.expose_secret() == format!("{SECRET}-{mark}"))
}

/// A certificate id.
pub(super) fn id(text: &str) -> Outcome<CertificateId> {
    text.parse()
        .map_err(|error: crate::store::InvalidCertificateId| error.to_string())
}

/// Fails unless both are equal.
pub(super) fn equal<T: PartialEq + fmt::Debug>(what: &str, found: &T, expected: &T) -> Outcome {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: {found:?} instead of {expected:?}"))
    }
}
