//! One certificate in a run: its lease, the decision under the lease, issue, deploy.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::certificates::CertificateConfig;
use super::context::JobContext;
use super::core::Engine;
use super::decision::Needed;
use super::held_lease::HeldLease;
use super::prepared::Prepared;
use super::report::{JobError, JobOutcome};
use crate::deploy::DeployError;
use crate::issue::{IssueError, IssueFailure, Issuer};
use crate::lease::{JobName, LeaseId};
use crate::renewal;
use crate::store::{CertificateId, StoreError, StoredCertificate};
use crate::zone::Seat;

impl Engine {
    /// Obtains a certificate that was prepared, under its lease. It concerns no other, however it ends.
    pub(super) async fn obtain(
        &self,
        prepared: &Prepared,
        context: &JobContext,
        lease: HeldLease,
        seat: Seat,
    ) -> Result<JobOutcome, JobError> {
        let certificate = &*prepared.certificate;
        // Another process may have done the work while the lease was waited for.
        let needed = match self.entry(certificate.id()).await {
            Ok(entry) => {
                let configured = Some(certificate);
                self.needed(&entry, configured, context.urgency).await
            }
            Err(error) => Err(error.into()),
        };
        let outcome = match needed {
            Ok(Needed::Certificate(_)) => self.under_lease(prepared, context, &lease, seat).await,
            Ok(Needed::Deployment) => {
                // The others of the round do not wait for its hook.
                drop(seat);
                self.deploy_current(certificate).await
            }
            Ok(Needed::Later(_)) => Ok(JobOutcome::InProgress),
            Ok(Needed::Nothing(_)) => Ok(JobOutcome::UpToDate),
            Err(error) => Err(error),
        };
        release(lease).await;
        outcome
    }

    /// Deploys a certificate that is stored, unless another process has done so.
    pub(super) async fn deploy_only(
        &self,
        id: CertificateId,
        given: Option<Arc<CertificateConfig>>,
        context: &JobContext,
    ) -> Result<JobOutcome, JobError> {
        let certificate = match given {
            Some(certificate) => certificate,
            None => self.certificate(&id).await?,
        };
        let Some(lease) = self.lease(&id, context, context.wait).await? else {
            return Ok(JobOutcome::InProgress);
        };
        let outcome = self.deploy_current(&certificate).await;
        release(lease).await;
        outcome
    }

    /// Tries everything but the CA.
    pub(super) async fn rehearse(
        &self,
        id: CertificateId,
        given: Option<Arc<CertificateConfig>>,
        context: &JobContext,
    ) -> Result<JobOutcome, JobError> {
        let certificate = match given {
            Some(certificate) => certificate,
            None => self.certificate(&id).await?,
        };
        let issuer = self.issuer(&certificate, context, &context.run_lease, &context.cancel);
        Ok(JobOutcome::Rehearsed(
            issuer.rehearse(&certificate.request).await?,
        ))
    }

    /// The lease of a certificate; `None` if another process has it, and that is no error.
    pub(super) async fn lease(
        &self,
        id: &CertificateId,
        context: &JobContext,
        wait: bool,
    ) -> Result<Option<HeldLease>, JobError> {
        let job = JobName::certificate(id);
        let acquire = HeldLease::acquire(&self.parts.store, &job, wait);
        // If it is to be waited for, it is asked for without a wait first.
        let may_be_busy = !context.must_obtain || (context.wait && !wait);
        match context.cancel.run_until_cancelled(acquire).await {
            None => Err(interrupted()),
            Some(Err(StoreError::Busy { .. })) if may_be_busy => Ok(None),
            Some(lease) => Ok(Some(lease?)),
        }
    }

    async fn under_lease(
        &self,
        prepared: &Prepared,
        context: &JobContext,
        lease: &HeldLease,
        seat: Seat,
    ) -> Result<JobOutcome, JobError> {
        let Prepared { certificate, plan } = prepared;
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
            issued = issuer.issue(&certificate.request, plan, seat) => issued,
            never = stop => match never {},
        };
        let (mut issued, withdrawal) = match issued {
            Err(failure) if is_interrupted(&failure) && lost.is_cancelled() => {
                let id = certificate.id().clone();
                return Err(JobError::LeaseLost { id });
            }
            issued => issued?,
        };
        self.record_issued(certificate).await;
        let deploy = self.deploy(certificate, &mut issued.stored);
        let (deployed, left_behind) = tokio::join!(deploy, withdrawal.done());
        let undeployed = deployed.err();
        issued.left_behind = left_behind;
        Ok(JobOutcome::Issued {
            due: renewal::due(issued.stored.validity(), None, certificate.renew_before),
            issued: Box::new(issued),
            undeployed,
        })
    }

    pub(super) fn issuer<'a>(
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

    /// Deploys the current version, unless another process has done so.
    async fn deploy_current(
        &self,
        certificate: &CertificateConfig,
    ) -> Result<JobOutcome, JobError> {
        let id = certificate.id();
        let stored = self.parts.store.certificate(id).await?;
        let mut stored = stored.ok_or_else(|| JobError::Unknown { id: id.clone() })?;
        if stored.deployed {
            return Ok(JobOutcome::UpToDate);
        }
        Ok(match self.deploy(certificate, &mut stored).await {
            Ok(()) => JobOutcome::Deployed(Box::new(stored)),
            Err(error) => JobOutcome::Undeployed {
                stored: Box::new(stored),
                error,
            },
        })
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

async fn release(lease: HeldLease) {
    if let Err(error) = lease.release().await {
        tracing::warn!(%error, "a lease could not be released; it will expire");
    }
}

fn is_interrupted(failure: &IssueFailure) -> bool {
    matches!(failure.error, IssueError::Interrupted) && failure.left_behind.is_empty()
}

fn interrupted() -> JobError {
    IssueFailure::from(IssueError::Interrupted).into()
}
