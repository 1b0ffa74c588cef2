//! One certificate in a run: its lease, the decision under the lease, issue.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::certificates::CertificateConfig;
use super::context::JobContext;
use super::core::Engine;
use super::decision::Needed;
use super::held_lease::HeldLease;
use super::prepared::Prepared;
use super::report::{JobError, JobOutcome, Undeployed};
use crate::acme::AcmeError;
use crate::deploy::DeployError;
use crate::issue::{IssueError, IssueFailure, Issuer};
use crate::lease::{JobName, LeaseId};
use crate::renewal;
use crate::store::{CertificateId, StoreError};
use crate::zone::{Seat, Withdrawal, ZoneError};

/// How long a certificate that was obtained waits until no other of its round needs the values.
const NEEDED_FOR: Duration = Duration::from_secs(15);

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
            Ok(Needed::Certificate(_)) => {
                context.orders.opens(certificate.id()).await;
                let obtained = self.under_lease(prepared, context, &lease, seat).await;
                if is_failed_validation(&obtained) {
                    self.record_failed_validation(certificate).await;
                }
                obtained
            }
            Ok(Needed::Later(_)) => Ok(JobOutcome::InProgress),
            // The process that obtained it deploys it when its run comes to that, or else the next run does.
            Ok(Needed::Deployment | Needed::DeploymentLater(_) | Needed::Nothing(_)) => {
                Ok(JobOutcome::UpToDate)
            }
            Err(error) => Err(error),
        };
        lease.end().await;
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
        let Prepared {
            certificate, plan, ..
        } = prepared;
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
        let names = certificate.request.identifiers();
        issued.stored.info.order_names(&names);
        let version = issued.stored.version;
        self.record_issued(certificate, version).await;
        let mut undeployed = Vec::new();
        if certificate.targets.is_empty() {
            let marked = self.parts.store.mark_deployed(certificate.id(), version);
            match marked.await.map_err(DeployError::Record) {
                Ok(()) => issued.stored.deployed = true,
                Err(error) => undeployed.push(Undeployed::because(&error)),
            }
        }
        issued.left_behind = withdrawn(withdrawal, certificate.id()).await;
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
}

/// What the withdrawal leaves behind. The CA may take minutes for the others of the round, and what is obtained is not to
/// wait for them: then it is logged.
async fn withdrawn(mut withdrawal: Withdrawal, id: &CertificateId) -> Vec<ZoneError> {
    if withdrawal.begins_within(NEEDED_FOR).await {
        return withdrawal.done().await;
    }
    let id = id.clone();
    tokio::spawn(async move {
        for error in withdrawal.done().await {
            tracing::warn!(certificate = %id, %error, "a TXT value may be left behind");
        }
    });
    Vec::new()
}

fn is_failed_validation(outcome: &Result<JobOutcome, JobError>) -> bool {
    matches!(outcome, Err(JobError::Issue(failure))
        if matches!(failure.error, IssueError::Acme(AcmeError::Validation(_))))
}

fn is_interrupted(failure: &IssueFailure) -> bool {
    matches!(failure.error, IssueError::Interrupted) && failure.left_behind.is_empty()
}

fn interrupted() -> JobError {
    IssueFailure::from(IssueError::Interrupted).into()
}
