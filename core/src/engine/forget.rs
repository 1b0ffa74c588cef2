//! Forgetting a certificate: what the store has of it, and its TXT values that are still in zones.

use std::sync::Arc;

use super::core::Engine;
use super::held_lease::HeldLease;
use super::left_values::LeftValues;
use super::report::RunError;
use super::run::Run;
use crate::lease::JobName;
use crate::ledger::OpenValue;
use crate::store::{CertificateId, CertificateStatus, StoreError, StoredCertificate};

/// What there is of a certificate.
#[derive(Clone, Debug)]
pub struct Remains {
    /// The certificate.
    pub id: CertificateId,
    /// Whether settings are stored with it.
    pub settings: bool,
    /// Whether an order is under way.
    pub order: bool,
    /// Whether anything is known of the work for it.
    pub status: bool,
    /// The current version, if there is one. The error is that of a damaged certificate.
    pub current: Option<Result<StoredCertificate, StoreError>>,
    /// The numbers of the versions that are kept.
    pub versions: Vec<u32>,
    /// Its values that may be in a zone.
    pub values: Vec<Arc<OpenValue>>,
}

/// What was done to forget a certificate.
#[derive(Debug)]
pub struct Forgotten {
    /// Its values that were removed from their zones.
    pub removed: Vec<Arc<OpenValue>>,
    /// Its values that may still be in a zone. If there are any, nothing was deleted from the store: what is stored with
    /// the certificate is needed to remove them.
    pub left: LeftValues,
}

impl Remains {
    /// Whether there is anything.
    pub fn is_anything(&self) -> bool {
        let Remains {
            id: _,
            settings,
            order,
            status,
            current,
            versions,
            values,
        } = self;
        let has_files = current.is_some() || !versions.is_empty();
        *settings || *order || *status || has_files || !values.is_empty()
    }
}

impl Engine {
    /// Finds what there is of a certificate.
    pub async fn remains(&self, id: &CertificateId) -> Result<Remains, RunError> {
        let store = &self.parts.store;
        let mut values = self.parts.ledger.open_values().await?;
        values.retain(|value| is_of(value, id));
        Ok(Remains {
            id: id.clone(),
            settings: store.settings(id).await?.is_some(),
            order: store.order(id).await?.is_some(),
            status: store.status(id).await? != CertificateStatus::default(),
            current: store.certificate(id).await.transpose(),
            versions: store.versions(id).await?,
            values,
        })
    }
}

impl Run {
    /// Removes the values of a certificate from their zones, then deletes its settings, its order and its status, and
    /// with `purge` its versions. Fails with [`StoreError::Busy`] while anyone works on it.
    pub async fn forget_certificate(
        &self,
        id: &CertificateId,
        purge: bool,
    ) -> Result<Forgotten, RunError> {
        let store = &self.engine().parts.store;
        let job = JobName::certificate(id);
        let lease = HeldLease::acquire(store, &job, false).await?;
        let forgotten = async {
            let is_meant = |value: &OpenValue| is_of(value, id);
            let reconciliation = self.engine().reconcile(self.id(), is_meant).await?;
            let forgotten = Forgotten {
                removed: reconciliation.removed,
                left: reconciliation.left,
            };
            if forgotten.left.is_empty() {
                store.forget(id, purge).await?;
            }
            Ok(forgotten)
        };
        let forgotten = forgotten.await;
        lease.release().await?;
        forgotten
    }
}

fn is_of(value: &OpenValue, id: &CertificateId) -> bool {
    value.origin.certificate.as_deref() == Some(id.as_str())
}
