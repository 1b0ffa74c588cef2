//! One certificate in a run: its lease, the decision under the lease, issue, deploy.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::certificates::CertificateConfig;
use super::core::Engine;
use super::held_lease::HeldLease;
use super::plan::Work;
use super::report::{JobError, JobOutcome};
use crate::deploy::DeployError;
use crate::issue::{IssueError, IssueFailure, Issuer};
use crate::lease::{JobName, LeaseId};
use crate::ledger::RunId;
use crate::renewal;
use crate::store::{CertificateId, StoreError, StoredCertificate};

/// What a job needs to know of its run.
#[derive(Clone, Debug)]
pub(super) struct JobContext {
    pub(super) run: RunId,
    /// The lease of the run, which covers the probes of rehearsals.
    pub(super) run_lease: LeaseId,
    pub(super) cancel: CancellationToken,
    /// Obtain the certificate even if it is not due.
    pub(super) force: bool,
    /// Wait while another process works on the certificate.
    pub(super) wait: bool,
    /// A busy certificate is an error: it was asked for by name.
    pub(super) must_obtain: bool,
}

impl Engine {
    /// Works on one certificate. It concerns no other, however it ends.
    pub(super) async fn work_on(
        &self,
        id: CertificateId,
        certificate: Option<Arc<CertificateConfig>>,
        work: Work,
        context: JobContext,
    ) -> Result<JobOutcome, JobError> {
        if context.cancel.is_cancelled() {
            return Err(interrupted());
        }
        let certificate = match certificate {
            Some(certificate) => certificate,
            None => self.certificate(&id).await?,
        };
        if work == Work::Rehearse {
            let lease = &context.run_lease;
            let issuer = self.issuer(&certificate, &context, lease, &context.cancel);
            let plan = issuer.rehearse(&certificate.request).await?;
            return Ok(JobOutcome::Rehearsed(plan));
        }
        let job = JobName::certificate(&id);
        let acquire = HeldLease::acquire(&self.parts.store, &job, context.wait);
        let lease = match context.cancel.run_until_cancelled(acquire).await {
            None => return Err(interrupted()),
            Some(Err(StoreError::Busy { .. })) if !context.must_obtain => {
                return Ok(JobOutcome::InProgress);
            }
            Some(lease) => lease?,
        };
        let outcome = self.under_lease(&certificate, work, &context, &lease).await;
        if let Err(error) = lease.release().await {
            tracing::warn!(%job, %error, "the lease could not be released; it will expire");
        }
        outcome
    }

    async fn under_lease(
        &self,
        certificate: &CertificateConfig,
        work: Work,
        context: &JobContext,
        lease: &HeldLease,
    ) -> Result<JobOutcome, JobError> {
        let id = certificate.id();
        let mut work = work;
        if !context.must_obtain {
            // Another process may have done the work while the lease was waited for.
            let stored = self.parts.store.certificate(id).await?;
            if let Some(stored) = stored {
                let order = self.parts.store.order(id).await?;
                let due = renewal::due(stored.info.not_before, stored.info.not_after);
                let is_due = context.force || order.is_some() || due <= self.parts.clock.now();
                work = match (is_due, stored.deployed) {
                    (true, _) => Work::Obtain,
                    (false, false) => Work::Deploy,
                    (false, true) => return Ok(JobOutcome::UpToDate(Box::new(stored))),
                };
            }
        }
        if work == Work::Deploy {
            return self.deploy_stored(certificate).await;
        }
        // A job whose lease was lost stops as if it was interrupted, and withdraws.
        let cancel = context.cancel.child_token();
        let lost = lease.lost();
        let stop = async {
            lost.cancelled().await;
            cancel.cancel();
            pending::<Infallible>().await
        };
        let issuer = self.issuer(certificate, context, lease.id(), &cancel);
        let issued = tokio::select! {
            issued = issuer.issue(&certificate.request) => issued,
            never = stop => match never {},
        };
        let mut issued = match issued {
            Err(failure) if is_interrupted(&failure) && lost.is_cancelled() => {
                return Err(JobError::LeaseLost { id: id.clone() });
            }
            issued => issued?,
        };
        let undeployed = self.deploy(certificate, &mut issued.stored).await.err();
        Ok(JobOutcome::Issued {
            issued: Box::new(issued),
            undeployed,
        })
    }

    fn issuer<'a>(
        &'a self,
        certificate: &'a CertificateConfig,
        context: &'a JobContext,
        lease: &'a LeaseId,
        cancel: &'a CancellationToken,
    ) -> Issuer<'a> {
        let environment = &certificate.environment;
        Issuer {
            ca: environment.ca(),
            checker: environment.checker(),
            zones: environment.zones(&self.parts.writers, certificate.provider.as_ref()),
            store: &*self.parts.store,
            clock: &*self.parts.clock,
            observer: &*self.parts.observer,
            cancel,
            run: &context.run,
            lease,
        }
    }

    async fn deploy_stored(&self, certificate: &CertificateConfig) -> Result<JobOutcome, JobError> {
        let id = certificate.id();
        let stored = self.parts.store.certificate(id).await?;
        let Some(mut stored) = stored else {
            return Err(JobError::Unknown { id: id.clone() });
        };
        match self.deploy(certificate, &mut stored).await.err() {
            None => Ok(JobOutcome::Deployed(Box::new(stored))),
            Some(error) => Ok(JobOutcome::Undeployed {
                stored: Box::new(stored),
                error,
            }),
        }
    }

    /// The fourth phase of a run, for one certificate: runs its hook, and stores that it ran. Until then the
    /// next run tries again.
    async fn deploy(
        &self,
        certificate: &CertificateConfig,
        stored: &mut StoredCertificate,
    ) -> Result<(), DeployError> {
        if let Some(hook) = &certificate.deploy_hook {
            hook.run(stored).await?;
        }
        let store = &self.parts.store;
        store.mark_deployed(&stored.id, stored.version).await?;
        stored.deployed = true;
        Ok(())
    }
}

fn is_interrupted(failure: &IssueFailure) -> bool {
    matches!(failure.error, IssueError::Interrupted) && failure.left_behind.is_empty()
}

fn interrupted() -> JobError {
    IssueFailure::from(IssueError::Interrupted).into()
}
