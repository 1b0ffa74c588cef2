//! The contract between an audit and the providers.

use std::fmt;

use async_trait::async_trait;

use super::audit::{Audit, Subject};
use super::grant::{Grant, Policy};
use crate::provider::ProviderError;

/// Finds out what a provider's credentials may do, and how to allow them less.
#[async_trait]
pub trait KeyRights: fmt::Debug + Send + Sync {
    /// The grant in the syntax of each kind of server that the backend may be; empty if there is none.
    fn policies(&self, grant: &Grant) -> Vec<Policy>;

    /// What the credentials can really do. It changes nothing, not even for a moment.
    async fn audit(&self, subject: &Subject) -> Result<Audit, ProviderError>;
}
