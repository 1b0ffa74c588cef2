//! Certificates that only the state knows: they were issued with flags, which are stored with them.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use acme_alias_core::engine::{CertificateConfig, SettingsReader, UnreadableSettings};
use acme_alias_core::store::{CertificateId, FileStore};
use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::aliases::AliasNames;
use super::certificates::{Common, certificate};
use super::environments::Environments;
use super::requested_names::{has_names_of_requests, names_in};
use crate::failure::{Failure, Part};
use crate::settings::ListedNames;
use crate::sources::Sources;

/// Reads stored settings as a layer between the files and the environment.
pub(super) struct StoredSettings {
    pub(super) sources: Sources,
    pub(super) environments: Arc<Environments>,
    pub(super) aliases: Arc<AliasNames>,
    /// A digest of what these certificates take from the settings for their orders.
    pub(super) shared: u64,
    /// A digest of the targets that are for all certificates without their own.
    pub(super) shared_targets: u64,
    pub(super) store: Arc<FileStore>,
    /// The certificates whose settings are not those in the store.
    pub(super) configured: BTreeSet<CertificateId>,
    /// The names that flags listed for the others, read when a request needs them.
    pub(super) listed: OnceCell<ListedNames>,
}

#[async_trait]
impl SettingsReader for StoredSettings {
    fn shared(&self) -> u64 {
        self.shared
    }

    fn shared_targets(&self) -> u64 {
        self.shared_targets
    }

    async fn read(
        &self,
        id: &CertificateId,
        settings: &str,
    ) -> Result<Arc<CertificateConfig>, UnreadableSettings> {
        let certificate = self.certificate(id, settings).await;
        certificate.map_err(|failure| UnreadableSettings {
            id: id.clone(),
            source: Arc::new(failure) as Arc<dyn Error + Send + Sync>,
        })
    }
}

impl StoredSettings {
    async fn certificate(
        &self,
        id: &CertificateId,
        stored: &str,
    ) -> Result<Arc<CertificateConfig>, Failure> {
        let mut settings = self.sources.with_stored(id, stored)?;
        if has_names_of_requests(&settings.certificates) {
            let is_configured = |id: &_| self.configured.contains(id);
            let listed = || names_in(&*self.store, &self.sources, is_configured);
            let listed = self.listed.get_or_try_init(listed).await?;
            listed.refuse(&mut settings.certificates, |mistake, _| mistake);
        }
        let Some(described) = settings.certificates.get(id) else {
            let message = format!("the settings stored with `{id}` do not describe it");
            return Err(Failure::new(Part::Settings, &message, None));
        };
        let common = Common::new(&self.environments, &settings);
        certificate(&common, &self.aliases, id, described, None)
    }
}
