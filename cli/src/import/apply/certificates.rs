//! The certificates of the other client, in the store.

use std::sync::Arc;

use acme_alias_core::deploy::{Deployment, Deployments, digest_of};
use acme_alias_core::engine::HeldLease;
use acme_alias_core::lease::JobName;
use acme_alias_core::renewal::Chosen;
use acme_alias_core::store::{
    CertificateId, KeyAccess, NewVersion, Store, StoreError, VersionOrigin,
};

use super::outcome::{Applied, CertificateOutcome};
use crate::failure::Failure;
use crate::import::draft::Draft;
use crate::import::model::{FoundCertificate, Problem};
use crate::setup::Setup;

/// A certificate that was stored.
pub(super) struct Stored {
    id: CertificateId,
    version: u32,
    /// Whether the other client has deployed it, with its own targets.
    is_deployed: bool,
}

/// Stores the certificates whose settings are there, or are added, and that have no version yet.
pub(super) async fn store(
    certificates: Vec<FoundCertificate>,
    draft: &Draft,
    store: &Arc<dyn Store>,
    applied: &mut Applied,
) -> Result<Vec<Stored>, Failure> {
    let mut all = Vec::new();
    for certificate in certificates {
        let id = certificate.id.clone();
        let is_added = draft.added.contains(&id);
        if !is_added && !draft.known.contains(&id) {
            applied.certificates.push((id, CertificateOutcome::Left));
            continue;
        }
        let file = certificate.file.clone();
        let job = JobName::certificate(&id);
        let lease = match HeldLease::acquire(store, &job, false).await {
            Err(StoreError::Busy { .. }) => {
                let reason = "another process works on the certificate: run the same command again";
                applied.problems.push(Problem::new(&file, reason));
                applied.certificates.push((id, CertificateOutcome::Left));
                continue;
            }
            lease => lease?,
        };
        let outcome = one(certificate, &**store, is_added, &mut all).await;
        lease.release().await?;
        match outcome? {
            Ok(outcome) => applied.certificates.push((id, outcome)),
            Err(reason) => {
                applied.problems.push(Problem::new(&file, reason));
                applied.certificates.push((id, CertificateOutcome::Left));
            }
        }
    }
    Ok(all)
}

/// Stores one; the inner error is why it is left out.
async fn one(
    certificate: FoundCertificate,
    store: &dyn Store,
    is_added: bool,
    all: &mut Vec<Stored>,
) -> Result<Result<CertificateOutcome, String>, Failure> {
    let id = &certificate.id;
    let Some(version) = certificate.version else {
        return Ok(Ok(CertificateOutcome::Missing));
    };
    let known = match store.certificate(id).await {
        Ok(known) => known,
        Err(error) => return Ok(Err(format!("`{id}` in the state folder stays: {error}"))),
    };
    if let Some(known) = known {
        if known.info.serial == version.chain.info.serial {
            return Ok(Ok(CertificateOutcome::Known));
        }
        return Ok(Err(format!(
            "the state folder has another certificate `{id}`, which stays"
        )));
    }
    let not_after = version.chain.info.not_after;
    let origin = VersionOrigin {
        directory: certificate.directory.unwrap_or_default(),
        account: certificate.account.unwrap_or_default(),
        renewal_id: version.chain.info.renewal_id.clone(),
        chosen: is_added.then_some(Chosen {
            profile: certificate.profile,
            preferred_chain: certificate.preferred_chain,
        }),
        ..VersionOrigin::default()
    };
    let new = NewVersion {
        key: Some(version.key),
        chain: version.chain,
        origin,
        access: KeyAccess::default(),
    };
    let stored = store.put_certificate(id, new).await?;
    all.push(Stored {
        id: id.clone(),
        version: stored.version,
        is_deployed: is_added && !(certificate.hooks.is_empty() && certificate.files.is_empty()),
    });
    Ok(Ok(CertificateOutcome::Stored(not_after)))
}

/// Records that the targets are done that the other client has done.
pub(super) async fn mark_deployed(
    stored: &[Stored],
    setup: &Setup,
    store: &Arc<dyn Store>,
) -> Result<(), Failure> {
    for Stored {
        id,
        version,
        is_deployed,
    } in stored
    {
        // What cannot be used is reported, and deployed when it can be.
        let Some(Ok(certificate)) = setup.configured(id) else {
            continue;
        };
        let targets = &certificate.targets;
        if !is_deployed && !targets.is_empty() {
            continue;
        }
        let lease = HeldLease::acquire(store, &JobName::certificate(id), true).await?;
        let mut status = store.status(id).await?;
        let done = targets.iter().map(|target| Deployment {
            target: target.identity(),
            name: target.to_string(),
            done: true,
            attempts: None,
        });
        status.deployments = Some(Deployments {
            version: *version,
            digest: digest_of(targets),
            shared: None,
            targets: done.collect(),
        });
        store.put_status(id, &status).await?;
        store.mark_deployed(id, *version).await?;
        lease.release().await?;
    }
    Ok(())
}
