//! Everything that is known of one certificate, also if it is damaged.

use std::sync::Arc;

use super::certificates::CertificateConfig;
use super::core::Engine;
use super::decision::{Needed, Urgency};
use super::report::{JobError, NotDue, Waiting};
use crate::certificate::{self, ChainLink};
use crate::renewal::{Due, Why};
use crate::store::{CertificateId, CertificateStatus, IndexEntry, StoreError, StoredCertificate};

/// Everything that is known of a certificate.
#[derive(Debug)]
pub struct Description {
    /// Its id.
    pub id: CertificateId,
    /// Where it is defined.
    pub defined: Defined,
    /// As it is defined, if it is, and if that can be read.
    pub config: Option<Result<Arc<CertificateConfig>, JobError>>,
    /// Its current version, if there is one. The error is that of a damaged certificate.
    pub current: Option<Result<StoredCertificate, StoreError>>,
    /// The versions that are kept, oldest first.
    pub versions: Vec<KeptVersion>,
    /// Whether an order is under way.
    pub has_order: bool,
    /// What became of the work for it.
    pub status: CertificateStatus,
    /// What the next run does.
    pub next: Result<Next, JobError>,
    /// When the current version is due.
    pub due: Option<Due>,
}

impl Description {
    /// A certificate that the configuration defines, and of which nothing is stored.
    pub fn not_obtained(config: Arc<CertificateConfig>) -> Self {
        Description {
            id: config.id().clone(),
            defined: Defined::Configured,
            config: Some(Ok(config)),
            current: None,
            versions: Vec::new(),
            has_order: false,
            status: CertificateStatus::default(),
            next: Ok(Next::Renewal(Why::Missing)),
            due: None,
        }
    }
}

/// Where a certificate is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defined {
    /// In the configuration.
    Configured,
    /// In the settings that are stored with it.
    Stored,
    /// Nowhere any more.
    Nowhere,
}

/// A version that is kept.
#[derive(Debug)]
pub struct KeptVersion {
    /// Its number.
    pub number: u32,
    /// Its certificate and the intermediates, or why they cannot be read, in a sentence.
    pub chain: Result<Vec<ChainLink>, String>,
}

/// What the next run does with a certificate.
#[derive(Clone, Debug)]
pub enum Next {
    /// It obtains a new version.
    Renewal(Why),
    /// It waits, after failed attempts.
    Waiting(Waiting),
    /// It deploys the current version.
    Deployment,
    /// It deploys nothing: the targets that are left failed a short time ago.
    DeploymentLater,
    /// Nothing yet.
    NotDue(NotDue),
    /// Nothing at all: the certificate is defined nowhere.
    Never,
}

impl From<Needed> for Next {
    fn from(needed: Needed) -> Self {
        match needed {
            Needed::Certificate(why) => Next::Renewal(why),
            Needed::Later(waiting) => Next::Waiting(waiting),
            Needed::Deployment => Next::Deployment,
            Needed::DeploymentLater(_) => Next::DeploymentLater,
            Needed::Nothing(not_due) => Next::NotDue(not_due),
        }
    }
}

impl Engine {
    /// Returns everything that is known of a certificate; `None` if it is neither defined nor stored.
    pub async fn describe(&self, id: &CertificateId) -> Result<Option<Description>, StoreError> {
        let store = &self.parts.store;
        let entry = self.entry(id).await?;
        let defined = if self.certificates().get(id).is_some() {
            Defined::Configured
        } else if entry.has_settings {
            Defined::Stored
        } else {
            Defined::Nowhere
        };
        if defined == Defined::Nowhere && !entry.is_anything() {
            return Ok(None);
        }
        let config = match defined {
            Defined::Nowhere => None,
            _ => Some(self.certificate(id).await),
        };
        let known = config.as_ref().and_then(|config| config.as_ref().ok());
        let known = known.map(|config| &**config);
        let next = self.next(&entry, defined, known).await;
        let due = match &entry.current {
            Some(Ok(current)) => Some(self.due(&entry, current, known)),
            _ => None,
        };
        Ok(Some(Description {
            id: id.clone(),
            defined,
            current: store.certificate(id).await.transpose(),
            versions: self.kept(id).await?,
            has_order: entry.has_order,
            status: store.status(id).await?,
            next,
            due,
            config,
        }))
    }

    async fn next(
        &self,
        entry: &IndexEntry,
        defined: Defined,
        config: Option<&CertificateConfig>,
    ) -> Result<Next, JobError> {
        if defined == Defined::Nowhere {
            return Ok(Next::Never);
        }
        let needed = self.needed(entry, config, Urgency::default()).await?;
        Ok(needed.into())
    }

    async fn kept(&self, id: &CertificateId) -> Result<Vec<KeptVersion>, StoreError> {
        let store = &self.parts.store;
        let mut kept = Vec::new();
        for number in store.versions(id).await? {
            let chain = match store.chain(id, number).await {
                Ok(Some(pem)) => {
                    certificate::chain_links(pem.as_bytes()).map_err(|error| error.to_string())
                }
                // It was pruned meanwhile.
                Ok(None) => continue,
                Err(error) => Err(error.to_string()),
            };
            kept.push(KeptVersion { number, chain });
        }
        Ok(kept)
    }
}
