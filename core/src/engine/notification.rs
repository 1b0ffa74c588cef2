//! The end of a run: somebody is notified of certificates that fail or end soon.

use jiff::SignedDuration;

use super::core::Engine;
use super::held_lease::HeldLease;
use super::notify::Notify;
use super::options::{RunOptions, Selection};
use super::report::NotifyError;
use crate::deploy::{Deployments, VARIABLE_PREFIX};
use crate::lease::JobName;
use crate::printable::shortened;
use crate::program::{Input, Program};
use crate::store::{CertificateId, IndexEntry, IndexedVersion, Notified, StoreError};

/// Characters of an error in the message.
const ERROR_MAX: usize = 500;
/// Octets of a variable. Linux refuses to run a program with one of more than 128 KiB.
const VARIABLE_MAX: usize = 100 << 10;

/// A certificate that somebody is to be notified of.
struct Notice {
    id: CertificateId,
    /// What will have been notified of.
    notified: Notified,
    line: String,
}

impl Engine {
    /// Notifies of each certificate that has failed too often or ends soon, once; returns how many there were. `None` if
    /// that is not configured, or if the run was for no certificate or was cancelled.
    pub(super) async fn notify(&self, options: &RunOptions) -> Option<Result<usize, NotifyError>> {
        let notify = self.parts.notify.as_ref()?;
        if matches!(options.selection, Selection::None) || options.cancel.is_cancelled() {
            return None;
        }
        Some(self.notify_with(notify, options).await)
    }

    async fn notify_with(
        &self,
        notify: &Notify,
        options: &RunOptions,
    ) -> Result<usize, NotifyError> {
        let index = self.parts.store.index().await?;
        let mut notices = Vec::new();
        for entry in &index {
            let is_wanted = entry.has_settings
                || self.certificates().get(&entry.id).is_some()
                || options.except.contains(&entry.id);
            let reasons = is_wanted.then(|| self.reasons(notify, entry)).flatten();
            if let Some(reasons) = reasons {
                notices.push(self.notice(notify, entry, reasons).await);
            }
        }
        let mut rest = &notices[..];
        let mut result = Ok(0);
        while !rest.is_empty() && !options.cancel.is_cancelled() {
            let together;
            (together, rest) = rest.split_at(fitting(rest));
            // One that fails is repeated by the next run, and keeps nobody from reading of the others.
            let notified = self.notify_together(notify, together, options).await;
            result = result.and_then(|count| notified.map(|()| count + together.len()));
        }
        result
    }

    async fn notify_together(
        &self,
        notify: &Notify,
        notices: &[Notice],
        options: &RunOptions,
    ) -> Result<(), NotifyError> {
        let ids: Vec<_> = notices.iter().map(|notice| notice.id.as_str()).collect();
        let message: String = notices.iter().map(|notice| notice.line.as_str()).collect();
        let variable = |name: &str, text: String| (format!("{VARIABLE_PREFIX}{name}"), text);
        let program = Program {
            variables: vec![
                variable("CERTIFICATES", ids.join(" ")),
                variable("MESSAGE", message.clone()),
            ],
            input: Input::Text(message),
            ..Program::new(&notify.command, notify.timeout)
        };
        program.run(&options.cancel).await?;
        for notice in notices {
            self.record_notice(notice).await?;
        }
        Ok(())
    }

    /// What is to be notified of; `None` if there is nothing, or it was notified of.
    fn reasons(&self, notify: &Notify, entry: &IndexEntry) -> Option<Notified> {
        let before = entry.status.notified;
        let failing = notify.failures > 0 && entry.status.failed >= notify.failures;
        let limit = SignedDuration::from_hours(24 * i64::from(notify.days));
        let ends_soon = |version: &&IndexedVersion| {
            version.not_after.duration_since(self.parts.clock.now()) < limit
        };
        let current = entry
            .current
            .as_ref()
            .and_then(|current| current.as_ref().ok());
        let expiring = current.filter(ends_soon).map(|version| version.version);
        let deployments = entry.status.deployments;
        let undeployed = deployments.filter(|deployments| {
            let is_current = current.is_some_and(|current| current.version == deployments.version);
            is_current && notify.failures > 0 && deployments.failed >= notify.failures
        });
        let undeployed = undeployed.map(|deployments| deployments.version);
        let after = Notified {
            failing: failing || before.failing,
            expiring: expiring.or(before.expiring),
            undeployed: undeployed.or(before.undeployed),
        };
        (after != before).then_some(after)
    }

    async fn notice(&self, notify: &Notify, entry: &IndexEntry, notified: Notified) -> Notice {
        let id = entry.id.clone();
        let mut parts = Vec::new();
        let status = self.parts.store.status(&id).await.unwrap_or_default();
        let attempts = status
            .attempts
            .filter(|attempts| attempts.failed >= notify.failures.max(1));
        if let Some(attempts) = attempts {
            let error = shortened(&attempts.error, ERROR_MAX);
            parts.push(match attempts.failed {
                1 => format!("it could not be obtained: {error}"),
                failed => format!("it could not be obtained, {failed} times in a row: {error}"),
            });
        }
        let deployments = status.deployments.as_ref();
        let undeployed = deployments.and_then(Deployments::worst);
        if let Some(attempts) = undeployed.filter(|one| one.failed >= notify.failures.max(1)) {
            let error = shortened(&attempts.error, ERROR_MAX);
            parts.push(format!(
                "it was obtained and could not be deployed: {error}"
            ));
        }
        parts.push(match &entry.current {
            Some(Ok(current)) => {
                let end = current.not_after.strftime("%Y-%m-%d %H:%M UTC");
                let is_valid = current.not_after > self.parts.clock.now();
                if is_valid {
                    format!("the current certificate is valid until {end}")
                } else {
                    format!("the current certificate has been invalid since {end}")
                }
            }
            Some(Err(_)) => "the current certificate cannot be read".to_owned(),
            None => "there is none yet".to_owned(),
        });
        let line = format!("{id}: {}\n", parts.join("; "));
        Notice { id, notified, line }
    }

    async fn record_notice(&self, notice: &Notice) -> Result<(), StoreError> {
        let store = &self.parts.store;
        let job = JobName::certificate(&notice.id);
        let lease = match HeldLease::acquire(store, &job, false).await {
            // It is repeated by the next run, unless the work of the other process makes it needless.
            Err(StoreError::Busy { .. }) => return Ok(()),
            lease => lease?,
        };
        let recorded = async {
            let mut status = store.status(&notice.id).await?;
            status.notified = notice.notified;
            store.put_status(&notice.id, &status).await
        };
        let recorded = recorded.await;
        lease.end().await;
        recorded
    }
}

/// How many of these fit into the variables of one run of the program. The lines are longer than the ids.
fn fitting(notices: &[Notice]) -> usize {
    let sizes = notices.iter().scan(0, |size, notice| {
        *size += notice.line.len();
        Some(*size)
    });
    sizes
        .take_while(|size| *size <= VARIABLE_MAX)
        .count()
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_take_as_many_lines_as_fit() {
        let notice = || Notice {
            id: "web".parse().unwrap(),
            notified: Notified::default(),
            line: "e".repeat(1 << 10),
        };
        let notices: Vec<_> = (0..250).map(|_| notice()).collect();
        let mut runs = Vec::new();
        let mut rest = &notices[..];
        while !rest.is_empty() {
            runs.push(fitting(rest));
            rest = &rest[fitting(rest)..];
        }
        assert_eq!(runs, [100, 100, 50]);
    }
}
