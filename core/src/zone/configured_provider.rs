//! A provider as it is configured, opened when it is first needed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use crate::provider::TxtProvider;
use crate::registry::Provider;

/// Opens a provider: fetches its secrets and makes it. Nothing is asked of the network.
#[async_trait]
pub trait ProviderSource: Send + Sync {
    /// The provider, or why it cannot be used.
    async fn open(&self) -> Result<Provider, OpenError>;
}

/// A provider that could not be opened. The source says why.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot use the provider `{provider}`: {source}")]
pub struct OpenError {
    /// The provider's id.
    pub provider: String,
    /// What is wrong with its configuration or its secrets.
    pub source: Arc<dyn Error + Send + Sync>,
}

/// A provider that certificates and alias zones refer to. It is opened once, on first use, so that the
/// secrets of a provider that nothing needs are never read.
pub struct ConfiguredProvider {
    id: String,
    kind: String,
    credentials: String,
    source: Box<dyn ProviderSource>,
    opened: OnceCell<Result<Provider, OpenError>>,
}

impl fmt::Debug for ConfiguredProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfiguredProvider")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl ConfiguredProvider {
    /// A provider of this kind that `source` opens. `credentials` tells it from others of its kind: a text
    /// that depends on where its credentials come from and holds no secret.
    pub fn new(
        id: impl Into<String>,
        kind: impl Into<String>,
        credentials: impl Into<String>,
        source: impl ProviderSource + 'static,
    ) -> Self {
        ConfiguredProvider {
            id: id.into(),
            kind: kind.into(),
            credentials: credentials.into(),
            source: Box::new(source),
            opened: OnceCell::new(),
        }
    }

    /// A provider that is open already. Its credentials are told apart by the name of its key.
    pub fn opened(id: impl Into<String>, provider: impl TxtProvider + 'static) -> Self {
        let identity = provider.identity();
        let credentials = format!("{} {}", identity.kind, identity.key.unwrap_or_default());
        let source = Opened(Provider::write_only(provider));
        ConfiguredProvider::new(id, identity.kind, credentials, source)
    }

    /// The id that the configuration gives it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The kind of the provider.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What tells its credentials from those of others; no secret.
    pub fn credentials(&self) -> &str {
        &self.credentials
    }

    /// The provider. It is opened by the first caller, and once.
    pub async fn open(&self) -> Result<&Provider, OpenError> {
        let opened = self.opened.get_or_init(|| self.source.open()).await;
        opened.as_ref().map_err(Clone::clone)
    }
}

struct Opened(Provider);

#[async_trait]
impl ProviderSource for Opened {
    async fn open(&self) -> Result<Provider, OpenError> {
        Ok(self.0.clone())
    }
}
