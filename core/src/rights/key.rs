//! The contract between an audit and the providers whose credentials it looks at.

use std::fmt;

use async_trait::async_trait;

use super::audit::{Audit, Subject};
use super::grant::{Grant, Policy};
use crate::provider::ProviderError;

/// Tells what a provider's credentials may do, and how to grant them less.
#[async_trait]
pub trait KeyRights: fmt::Debug + Send + Sync {
    /// The grant in the words of each server that the backend may be; empty if there are none.
    fn policies(&self, grant: &Grant) -> Vec<Policy>;

    /// What the credentials can really do. Nothing is changed to find out.
    async fn audit(&self, subject: &Subject) -> Result<Audit, ProviderError>;
}
