//! Revoking the current version of a certificate. The next run renews it.

use std::mem;

use super::core::Engine;
use super::held_lease::HeldLease;
use crate::acme::{AcmeError, Ca, CaError, Revocation, RevocationReason};
use crate::certificate::{self, CertificateError, CertificateInfo, CertificateKey};
use crate::lease::JobName;
use crate::store::{CertificateId, StoreError};

/// A version that could not be revoked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// The CA refused, or could not be asked.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The CA may have revoked it, but did not say so. The version counts as revoked.
    #[error("it is not known whether the CA has revoked version {version} of `{id}`: {source}")]
    Unanswered {
        /// The certificate.
        id: CertificateId,
        /// Its version.
        version: u32,
        /// What came instead of an answer.
        source: AcmeError,
    },
    /// The store cannot be used, or the certificate in it is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// There is no such certificate in the store.
    #[error("there is no certificate `{id}` in the store")]
    Unknown {
        /// The certificate.
        id: CertificateId,
    },
}

/// A certificate that is revoked.
#[derive(Clone, Debug)]
pub struct RevokedCertificate {
    /// The certificate in the store, and the number of its version, if the store has it.
    pub stored: Option<(CertificateId, u32)>,
    /// What the certificate says about itself.
    pub info: CertificateInfo,
    /// How it was revoked.
    pub revocation: Revocation,
    /// Whether the next run obtains a new one.
    pub is_renewed: bool,
    /// Whether only others have its key, so that a new one is for the same key until they replace their request.
    pub has_external_key: bool,
}

impl Engine {
    /// Revokes the current version of a certificate at this CA, and records that, so that the next run obtains a new
    /// one. If others may have its key, an order under way is dropped with its key, which was kept beside it: the new
    /// version has a fresh key, unless it is ordered with a certification request of others.
    ///
    /// All of that is recorded before the CA is asked, so that no version that it revoked stays in use if the process ends
    /// meanwhile. The version counts as revoked until the CA refuses.
    pub async fn revoke(
        &self,
        id: &CertificateId,
        ca: &Ca,
        reason: RevocationReason,
    ) -> Result<RevokedCertificate, RevokeError> {
        let job = JobName::certificate(id);
        let lease = HeldLease::acquire(&self.parts.store, &job, false).await?;
        let revoked = self.revoke_current(id, ca, reason).await;
        lease.release().await?;
        revoked
    }

    /// Revokes the first certificate of this PEM text at this CA. If it is the current version of a certificate in the
    /// store, this is the same as [`Engine::revoke`].
    pub async fn revoke_pem(
        &self,
        pem: &[u8],
        ca: &Ca,
        reason: RevocationReason,
    ) -> Result<RevokedCertificate, RevokeError> {
        let (der, info) = (certificate::leaf(pem)?, certificate::inspect(pem)?);
        let stored = self.version_of(&der).await?;
        let mut key = None;
        if let Some((id, version)) = &stored {
            let current = self.parts.store.certificate(id).await;
            if current.is_ok_and(|current| current.is_some_and(|it| it.version == *version)) {
                return self.revoke(id, ca, reason).await;
            }
            key = self.key_of(id, *version).await;
        }
        let store = &*self.parts.store;
        let revoker = ca.revoker(store).await?;
        let revocation = revoker.revoke(&der, reason, key.as_ref()).await;
        Ok(RevokedCertificate {
            revocation: revocation.map_err(CaError::from)?,
            stored,
            info,
            is_renewed: false,
            has_external_key: false,
        })
    }

    /// The version with this certificate (DER), if the store has it.
    async fn version_of(&self, der: &[u8]) -> Result<Option<(CertificateId, u32)>, StoreError> {
        let store = &self.parts.store;
        for entry in store.index().await? {
            for version in store.versions(&entry.id).await? {
                // What cannot be read is not the one that is looked for.
                let Ok(Some(chain)) = store.chain(&entry.id, version).await else {
                    continue;
                };
                if certificate::leaf(chain.as_bytes()).is_ok_and(|leaf| leaf == der) {
                    return Ok(Some((entry.id, version)));
                }
            }
        }
        Ok(None)
    }

    /// The key of a version. One that cannot be read is not needed if the account may revoke.
    async fn key_of(&self, id: &CertificateId, version: u32) -> Option<CertificateKey> {
        let pem = self.parts.store.pem(id, version).await.ok().flatten()?;
        CertificateKey::from_secret(&pem.key?).ok()
    }

    async fn revoke_current(
        &self,
        id: &CertificateId,
        ca: &Ca,
        reason: RevocationReason,
    ) -> Result<RevokedCertificate, RevokeError> {
        let store = &*self.parts.store;
        let unknown = || RevokeError::Unknown { id: id.clone() };
        let stored = store.certificate(id).await?.ok_or_else(unknown)?;
        let chain = store.chain(id, stored.version).await?;
        let der = certificate::leaf(chain.ok_or_else(unknown)?.as_bytes())?;
        let key = self.key_of(id, stored.version).await;
        let revoker = ca.revoker(store).await?;
        if reason == RevocationReason::KeyCompromise {
            // A run that resumes it would use the key that others may have.
            store.remove_order(id).await?;
        }
        let version = stored.version;
        let before = self.record_revoked(id, Some(version)).await?;
        let revocation = match revoker.revoke(&der, reason, key.as_ref()).await {
            Ok(revocation) => revocation,
            // It counts as revoked.
            Err(source) if source.may_be_done() => {
                let id = id.clone();
                return Err(RevokeError::Unanswered {
                    id,
                    version,
                    source,
                });
            }
            Err(refusal) => {
                if let Err(error) = self.record_revoked(id, before).await {
                    // At worst it is renewed early.
                    tracing::warn!(certificate = %id, %error, "the certificate counts as revoked");
                }
                return Err(CaError::from(refusal).into());
            }
        };
        let is_configured = self.certificates().get(id).is_some();
        Ok(RevokedCertificate {
            stored: Some((id.clone(), version)),
            info: stored.info,
            revocation,
            is_renewed: is_configured || store.settings(id).await?.is_some(),
            has_external_key: stored.origin.external_key.is_some(),
        })
    }

    /// Records which version is revoked. Returns which one was before.
    async fn record_revoked(
        &self,
        id: &CertificateId,
        version: Option<u32>,
    ) -> Result<Option<u32>, StoreError> {
        let store = &self.parts.store;
        let mut status = store.status(id).await?;
        let before = mem::replace(&mut status.revoked, version);
        store.put_status(id, &status).await?;
        Ok(before)
    }
}
