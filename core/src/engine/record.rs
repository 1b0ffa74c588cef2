//! What is kept of the work for a certificate beside its versions: the attempts that failed.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};

use super::certificates::CertificateConfig;
use super::core::Engine;
use super::held_lease::HeldLease;
use super::report::{JobError, JobOutcome, JobReport};
use crate::acme::AcmeError;
use crate::delegation::{Finding, Severity};
use crate::deploy::{Deployments, Progress};
use crate::issue::{IssueError, LeftOut};
use crate::lease::JobName;
use crate::renewal::{Attempts, Failure, Pause, WINDOWS};
use crate::store::{CertificateId, CertificateStatus, StoreError};

/// Failures that are recorded at a time.
const AT_ONCE: usize = 20;

/// A CA that asks to wait for longer has failed often enough, if there is another one: the version in use may end before
/// it would be asked.
const LONG_PAUSE: SignedDuration = SignedDuration::from_hours(1);

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
            attempts: of_left_out(&certificate.request.left_out, now),
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
            fresh
                .failed_validations
                .clone_from(&known.failed_validations);
            fresh.no_validations_before = known.no_validations_before;
            let window = known.renewal_info.as_ref().and_then(|info| info.window);
            (fresh.in_windows, fresh.no_window_before) =
                if window.is_some_and(|window| window.due(self.parts.runs_every) <= now) {
                    WINDOWS.add(&known.in_windows, now)
                } else {
                    (known.in_windows.clone(), known.no_window_before)
                };
            if let Some(rate) = certificate.environment.ca().config().limits.identical {
                // Versions with other names count as well: that is more careful than the CA.
                (fresh.identical, fresh.identical_until) = rate.add(&known.identical, now);
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

    /// Counts a validation that failed. The CA counts each name for itself; here those of a certificate are counted
    /// together, which is more careful.
    pub(super) async fn record_failed_validation(&self, certificate: &CertificateConfig) {
        let Some(rate) = certificate
            .environment
            .ca()
            .config()
            .limits
            .failed_validations
        else {
            return;
        };
        let (store, id) = (&self.parts.store, certificate.id());
        let recorded = async {
            let mut status = store.status(id).await?;
            let now = self.parts.clock.now();
            (status.failed_validations, status.no_validations_before) =
                rate.add(&status.failed_validations, now);
            store.put_status(id, &status).await
        };
        if let Err(error) = recorded.await {
            tracing::warn!(certificate = %id, %error, "the failed validation was not recorded");
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

    async fn record_failure(
        &self,
        id: &CertificateId,
        mut failure: Failure,
    ) -> Result<(), StoreError> {
        let store = &self.parts.store;
        let certificate = self.certificate(id).await.ok();
        let certificate = certificate.as_deref();
        let fallback = certificate.and_then(|certificate| certificate.fallback.as_ref());
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
            let failed = before.map_or(0, |before| before.at_ca);
            let ca = |failed| certificate.map(|certificate| certificate.ca_after_failures(failed));
            failure.asked_by = ca(failed).filter(|_| failure.asked.is_some());
            let mut attempts = Attempts::after(before, now, failure);
            let Pause {
                asked, asked_by, ..
            } = attempts.pause;
            if let Some(fallback) = fallback
                && asked.is_some_and(|asked| asked > now + LONG_PAUSE)
                && asked_by == ca(0)
            {
                attempts.at_ca = attempts.at_ca.max(fallback.after);
            }
            status.attempts = Some(attempts);
            store.put_status(id, &status).await
        };
        let recorded = recorded.await;
        lease.release().await?;
        recorded
    }
}

/// Whether no order was opened because the CA had refused others.
fn is_not_asked(error: &JobError) -> bool {
    matches!(error, JobError::Issue(failure)
        if matches!(failure.error, IssueError::Acme(AcmeError::NotAsked(_))))
}

/// Whether no order was opened because of the account: the CA does not answer, or takes no orders now.
pub(super) fn is_of_account(outcome: &Result<JobOutcome, JobError>) -> bool {
    let Err(error) = outcome else {
        return false;
    };
    is_not_asked(error)
        || matches!(error, JobError::Issue(failure)
            if matches!(failure.error, IssueError::Account(_)))
}

/// Whether the CA may have opened an order in work that ended so.
pub(super) fn may_have_order(outcome: &Result<JobOutcome, JobError>) -> bool {
    match outcome {
        Ok(JobOutcome::Issued { .. })
        | Err(JobError::Store(_) | JobError::LeaseLost { .. } | JobError::Defect { .. }) => true,
        Ok(_)
        | Err(JobError::Settings(_) | JobError::Unknown { .. } | JobError::Waiting { .. }) => false,
        Err(JobError::Issue(failure)) => match &failure.error {
            IssueError::Account(_) => false,
            IssueError::Acme(error) => error.may_have_order(),
            _ => true,
        },
    }
}

/// The failed attempt; `None` if the work was none, or was ended from outside.
fn failure(error: &JobError, now: Timestamp) -> Option<Failure> {
    let JobError::Issue(failure) = error else {
        return None;
    };
    let error = &failure.error;
    if matches!(error, IssueError::Interrupted) || error.is_of_store() {
        return None;
    }
    let asked = error
        .asked_pause()
        .and_then(|asked| now.checked_add(asked).ok());
    Some(Failure {
        error: in_short(error),
        is_of_ca: error.is_of_ca(),
        asked,
        asked_by: None,
    })
}

/// The attempt to obtain all names, if some were left out.
fn of_left_out(left_out: &[LeftOut], now: Timestamp) -> Option<Attempts> {
    let failure = Failure {
        error: in_short(&left_out.last()?.error),
        is_of_ca: false,
        asked: None,
        asked_by: None,
    };
    Some(Attempts::after(None, now, failure))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::CaError;
    use crate::issue::IssueFailure;

    #[test]
    fn a_failure_of_the_store_is_no_attempt_at_the_ca_and_opens_no_order() {
        let damaged = StoreError::Damaged {
            location: "account.json".to_owned(),
            cause: "it is empty".to_owned(),
        };
        let error = IssueError::from(CaError::from(damaged));
        let error = JobError::Issue(IssueFailure::from(error).into());
        assert_eq!(failure(&error, Timestamp::UNIX_EPOCH), None);
        let outcome = Err(error);
        assert!(is_of_account(&outcome) && !may_have_order(&outcome));
    }
}
