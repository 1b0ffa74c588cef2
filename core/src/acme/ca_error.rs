//! Why an account could not be used.

use super::error::AcmeError;
use crate::store::StoreError;

/// The account could not be restored, created or changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// A failure at the CA.
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}
