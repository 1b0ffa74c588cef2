//! What is kept of the work for a certificate beside its versions: the attempts that failed.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;

use super::certificates::CertificateConfig;
use super::core::Engine;
use super::held_lease::HeldLease;
use super::report::{JobError, JobReport};
use crate::acme::AcmeError;
use crate::delegation::{Finding, Severity};
use crate::deploy::{Deployments, Progress};
use crate::issue::IssueError;
use crate::lease::JobName;
use crate::renewal::{Attempts, Failure, Rate};
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
        let mut fresh = CertificateStatus {
            deployments: Some(deployments)
                .filter(|_| shared_targets.is_some() || !targets.is_empty()),
            shared: reader
                .filter(|_| !is_configured)
                .map(|reader| reader.shared()),
            ..CertificateStatus::default()
        };
        let store = &self.parts.store;
        let recorded = async {
            let known = store.status(id).await?;
            if let Some(rate) = certificate.environment.ca().config().limits.identical {
                let now = self.parts.clock.now();
                (fresh.identical, fresh.identical_until) = identical(&known.identical, rate, now);
            }
            if known != fresh {
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

    /// The certificate at the CA that is to be asked now: the other one, after failures of the usual one.
    pub(super) async fn at_ca_to_ask(
        &self,
        certificate: Arc<CertificateConfig>,
    ) -> Result<Arc<CertificateConfig>, StoreError> {
        if certificate.fallback.is_none() {
            return Ok(certificate);
        }
        let status = self.parts.store.status(certificate.id()).await?;
        let failed = status.attempts.map_or(0, |attempts| attempts.at_ca);
        Ok(certificate.after_failures(failed))
    }

    /// Records the attempts that failed, and the time before which no other is made.
    pub(super) async fn record_failures(&self, reports: &[JobReport]) {
        let now = self.parts.clock.now();
        let failures = reports.iter().filter_map(|report| {
            let error = report.outcome.as_ref().err()?;
            // Only another CA would do what this one was not asked for.
            let certificate = self.certificates().get(&report.id);
            let has_fallback =
                certificate.is_some_and(|certificate| certificate.fallback.is_some());
            if is_not_asked(error) && !has_fallback {
                return None;
            }
            Some((report.id.clone(), failure(error, now)?))
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
            // The process that works on it now records its own result.
            Err(StoreError::Busy { .. }) => return Ok(()),
            lease => lease?,
        };
        let recorded = async {
            let mut status = store.status(id).await?;
            let before = status.attempts.as_ref();
            let now = self.parts.clock.now();
            status.attempts = Some(Attempts::after(before, now, failure));
            store.put_status(id, &status).await
        };
        let recorded = recorded.await;
        lease.release().await?;
        recorded
    }
}

/// Whether no order was opened because the CA had refused others.
pub(super) fn is_not_asked(error: &JobError) -> bool {
    matches!(error, JobError::Issue(failure)
        if matches!(failure.error, IssueError::Acme(AcmeError::NotAsked(_))))
}

/// The failed attempt; `None` if the work was none, or was ended from outside.
fn failure(error: &JobError, now: Timestamp) -> Option<Failure> {
    let JobError::Issue(failure) = error else {
        return None;
    };
    let error = &failure.error;
    if matches!(error, IssueError::Interrupted | IssueError::Store(_)) {
        return None;
    }
    let asked = error
        .asked_pause()
        .and_then(|asked| now.checked_add(asked).ok());
    Some(Failure {
        error: in_short(error),
        is_of_ca: error.is_of_ca(),
        asked,
    })
}

/// The error in a sentence; of the findings about delegations the first.
fn in_short(error: &IssueError) -> String {
    let IssueError::Delegation(findings) = error else {
        return error.to_string();
    };
    let mut errors = findings.iter();
    match errors.find(|finding| finding.severity == Severity::Error) {
        Some(Finding { name, answer, .. }) => format!("{error}: {}: {answer}", name.fqdn()),
        None => error.to_string(),
    }
}

/// When versions with the same names were obtained, this one included, and the time before which there is no other.
/// Versions with other names count as well: that is more careful than the CA.
fn identical(
    known: &[Timestamp],
    rate: Rate,
    now: Timestamp,
) -> (Vec<Timestamp>, Option<Timestamp>) {
    let recent = known.iter().copied();
    let recent = recent.filter(|at| *at <= now && *at > now - rate.per);
    let all: Vec<_> = recent.chain([now]).collect();
    let count = usize::try_from(rate.count).unwrap_or(usize::MAX);
    let oldest = all.len().checked_sub(count).map(|first| all[first]);
    (all, oldest.map(|oldest| oldest + rate.per))
}
