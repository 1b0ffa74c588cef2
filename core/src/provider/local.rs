//! What can be found out about a provider without the network.

use std::fmt;

use async_trait::async_trait;

use super::error::ProviderError;

/// Checks a provider without the network, and changes nothing.
#[async_trait]
pub trait LocalCheck: fmt::Debug + Send + Sync {
    /// Returns what was found in its secrets and files, in words without any secret. The error is one that each run
    /// would end with.
    async fn check_locally(&self) -> Result<Vec<String>, ProviderError>;
}
