//! What is kept of the work for a certificate beside its versions: the attempts that failed.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use super::certificates::CertificateConfig;
use super::core::Engine;
use super::held_lease::HeldLease;
use super::report::{JobError, JobReport};
use crate::deploy::{Deployments, Progress};
use crate::issue::IssueError;
use crate::lease::JobName;
use crate::renewal::Attempts;
use crate::store::{CertificateId, CertificateStatus, StoreError};

/// Failures that are recorded at a time.
const AT_ONCE: usize = 20;

impl Engine {
    /// Records that the current version was obtained. What was known of the one before does not count any more.
    pub(super) async fn record_issued(&self, certificate: &CertificateConfig, version: u32) {
        let id = certificate.id();
        let is_configured = self.certificates().get(id).is_some();
        let reader = self.parts.settings_reader.as_ref();
        let (targets, now) = (&certificate.targets, self.parts.clock.now());
        let pending = Progress::begin(None, version, targets, now, false);
        let shared_targets = self.shared_targets(id);
        let deployments = Deployments {
            shared: shared_targets,
            ..pending.state().clone()
        };
        let fresh = CertificateStatus {
            deployments: Some(deployments)
                .filter(|_| shared_targets.is_some() || !targets.is_empty()),
            shared: reader
                .filter(|_| !is_configured)
                .map(|reader| reader.shared()),
            ..CertificateStatus::default()
        };
        let store = &self.parts.store;
        let recorded = async {
            if store.status(id).await? != fresh {
                store.put_status(id, &fresh).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = recorded.await {
            // The version is stored. At worst the next run waits, or reads the settings once more.
            tracing::warn!(certificate = %id, %error, "the status was not stored");
        }
    }

    /// Records the settings that describe a certificate, if nothing else does.
    pub(super) async fn record_settings(
        &self,
        certificate: &CertificateConfig,
    ) -> Result<(), StoreError> {
        match &certificate.request.settings {
            Some(settings) => {
                self.parts
                    .store
                    .put_settings(certificate.id(), settings)
                    .await
            }
            None => Ok(()),
        }
    }

    /// Records the attempts that failed, and the time before which no other is made.
    pub(super) async fn record_failures(&self, reports: &[JobReport]) {
        let failures = reports.iter().filter_map(|report| {
            let error = report.outcome.as_ref().err()?;
            Some((report.id.clone(), Failure::of(error)?))
        });
        let failures: Vec<_> = failures.collect();
        let records = failures.into_iter().map(|(id, failure)| async move {
            if let Err(error) = self.record_failure(&id, failure).await {
                tracing::warn!(certificate = %id, %error, "the failed attempt was not recorded");
            }
        });
        stream::iter(records)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
    }

    async fn record_failure(&self, id: &CertificateId, failure: Failure) -> Result<(), StoreError> {
        let store = &self.parts.store;
        let job = JobName::certificate(id);
        let lease = HeldLease::acquire(store, &job, false);
        let lease = match lease.await {
            // Whoever works on it now records how that ends.
            Err(StoreError::Busy { .. }) => return Ok(()),
            lease => lease?,
        };
        let recorded = async {
            let mut status = store.status(id).await?;
            let now = self.parts.clock.now();
            let asked = failure.asked.and_then(|asked| now.checked_add(asked).ok());
            let before = status.attempts.as_ref();
            status.attempts = Some(Attempts::after(before, now, failure.error, asked));
            store.put_status(id, &status).await
        };
        let recorded = recorded.await;
        lease.release().await?;
        recorded
    }
}

/// A failed attempt.
struct Failure {
    error: String,
    /// How long the CA asks to wait.
    asked: Option<Duration>,
}

impl Failure {
    /// `None` if the work was not an attempt, or was ended from outside.
    fn of(error: &JobError) -> Option<Self> {
        let JobError::Issue(failure) = error else {
            return None;
        };
        match &failure.error {
            IssueError::Interrupted | IssueError::Store(_) => None,
            error => Some(Failure {
                error: error.to_string(),
                asked: error.asked_pause(),
            }),
        }
    }
}
