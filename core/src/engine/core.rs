//! The engine: what one process shares.

use std::fmt;
use std::sync::{Arc, OnceLock};

use jiff::SignedDuration;

use super::certificates::{CertificateConfig, Certificates, SettingsReader, UnreadableSettings};
use super::environment::{Environment, EnvironmentConfig};
use super::notify::Notify;
use super::providers::Providers;
use super::report::JobError;
use crate::acme::TransportError;
use crate::clock::Clock;
use crate::dns::Dns;
use crate::issue::Observer;
use crate::ledger::{GitExport, Ledger};
use crate::renewal::RenewBefore;
use crate::store::{CertificateId, Store};
use crate::zone::{NameLocks, ZoneWriters};

/// What one process shares. Clones share it too.
#[derive(Clone)]
pub struct Engine {
    pub(super) parts: Arc<Parts>,
}

/// The parts of an engine.
pub(super) struct Parts {
    pub(super) store: Arc<dyn Store>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) writers: Arc<ZoneWriters>,
    /// Reads zones that no configured certificate has, for values whose certificate is unknown.
    pub(super) default_dns: OnceLock<Arc<Dns>>,
    pub(super) names: NameLocks,
    pub(super) certificates: Certificates,
    pub(super) settings_reader: Option<Arc<dyn SettingsReader>>,
    pub(super) export: Option<Export>,
    pub(super) notify: Option<Notify>,
    pub(super) providers: Providers,
    /// How long before their end certificates are renewed at the latest that only the store knows.
    pub(super) renew_before: Option<RenewBefore>,
    /// How often there is a run.
    pub(super) runs_every: SignedDuration,
}

/// Where the ledger is exported to, and whether runs depend on it.
#[derive(Debug)]
pub(super) struct Export {
    pub(super) git: GitExport,
    /// Whether nothing is changed before everything that ended is exported.
    pub(super) required: bool,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("store", &self.parts.store)
            .field("ledger", &self.parts.ledger)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.parts.store
    }

    /// The ledger.
    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.parts.ledger
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.parts.clock
    }

    /// The zone writers.
    pub fn writers(&self) -> &Arc<ZoneWriters> {
        &self.parts.writers
    }

    /// The certificates that the configuration defines.
    pub fn certificates(&self) -> &Certificates {
        &self.parts.certificates
    }

    /// Another environment, for certificates with a configuration of their own.
    pub fn environment(
        &self,
        config: EnvironmentConfig,
    ) -> Result<Arc<Environment>, TransportError> {
        Environment::new(config, &self.parts.clock).map(Arc::new)
    }

    /// The certificate of this id: as the configuration defines it, or else as the settings do that
    /// are stored with it.
    pub async fn certificate(
        &self,
        id: &CertificateId,
    ) -> Result<Arc<CertificateConfig>, JobError> {
        if let Some(certificate) = self.parts.certificates.get(id) {
            return Ok(Arc::clone(certificate));
        }
        let stored = self.parts.store.settings(id).await?;
        let (Some(settings), Some(reader)) = (stored, &self.parts.settings_reader) else {
            return Err(JobError::Unknown { id: id.clone() });
        };
        let read: Result<_, UnreadableSettings> = reader.read(id, &settings).await;
        let certificate = read?;
        self.parts.providers.add_of(&certificate);
        Ok(certificate)
    }
}
