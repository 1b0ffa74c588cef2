//! What a certificate needs now. The plan decides by the index, and the job once more under its lease.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::certificates::CertificateConfig;
use super::core::Engine;
use super::report::{JobError, NotDue, WaitReason, Waiting};
use crate::deploy::digest_of;
use crate::renewal::{self, Change, Due, Terms, WINDOWS, Why};
use crate::store::{CertificateId, IndexEntry, IndexedRenewalInfo, IndexedVersion, StoreError};

/// No two looks are further apart.
const LOOKS_DIFFER_MAX: SignedDuration = SignedDuration::from_hours(24);

/// What a certificate needs.
#[derive(Debug)]
pub(super) enum Needed {
    /// A new version.
    Certificate(Why),
    /// The current version is to be deployed.
    Deployment,
    /// The current version is to be deployed, and not before then: all its targets that are left failed a short time
    /// ago.
    DeploymentLater(Timestamp),
    /// A new version, and not yet: an attempt failed a short time ago.
    Later(Waiting),
    /// Nothing yet.
    Nothing(NotDue),
}

/// How urgent the caller is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Urgency {
    /// Obtain it even if it is not due.
    pub(super) force: bool,
    /// Do not wait after failed attempts, unless the CA asks for it: the certificate was named.
    pub(super) now: bool,
    /// Replace a version that is damaged: this very certificate was named.
    pub(super) replace: bool,
}

impl Engine {
    /// What a certificate needs that is configured, or has settings in the store.
    pub(super) async fn needed(
        &self,
        entry: &IndexEntry,
        configured: Option<&CertificateConfig>,
        urgency: Urgency,
    ) -> Result<Needed, JobError> {
        let id = &entry.id;
        let current = match &entry.current {
            None => {
                let why = if entry.has_order {
                    Why::Unfinished
                } else {
                    Why::Missing
                };
                let needed = self.obtain_or_wait(entry, configured, why, urgency);
                return Ok(needed.await);
            }
            Some(Err(StoreError::Damaged { .. })) if urgency.replace => {
                let needed = self.obtain_or_wait(entry, configured, Why::Damaged, urgency);
                return Ok(needed.await);
            }
            Some(Err(error)) => return Err(error.clone().into()),
            Some(Ok(current)) => current,
        };
        let due = self.due(entry, current, configured);
        let why = match self.why_unchanged(entry, current, due) {
            _ if urgency.force => Some(Why::Forced),
            Some(why) => Some(why),
            None => self.why_other(entry, current, configured).await?,
        };
        if let Some(why) = why {
            let needed = self.obtain_or_wait(entry, configured, why, urgency);
            return Ok(needed.await);
        }
        if let Some(needed) = self.deployment(entry, current, configured, urgency).await? {
            return Ok(needed);
        }
        Ok(Needed::Nothing(NotDue {
            id: id.clone(),
            due: due.at,
            reason: due.reason,
            not_after: current.not_after,
        }))
    }

    /// Why the current version is to be renewed, even if the configuration asks for nothing else.
    pub(super) fn why_unchanged(
        &self,
        entry: &IndexEntry,
        current: &IndexedVersion,
        due: Due,
    ) -> Option<Why> {
        if entry.has_order {
            Some(Why::Unfinished)
        } else if entry.status.revoked == Some(current.version) {
            Some(Why::Revoked)
        } else if due.at <= self.parts.clock.now() {
            Some(Why::Due(due.reason))
        } else {
            None
        }
    }

    /// Whether targets of the current version are to be done while a new one is wanted. One that was revoked is not
    /// deployed. What cannot be read is reported when the new one is obtained.
    pub(super) async fn deployment_beside(
        &self,
        entry: &IndexEntry,
        configured: Option<&CertificateConfig>,
        needed: &Needed,
        urgency: Urgency,
    ) -> Option<Needed> {
        let (Needed::Certificate(_) | Needed::Later(_), Some(Ok(current))) =
            (needed, &entry.current)
        else {
            return None;
        };
        if entry.status.revoked == Some(current.version) {
            return None;
        }
        let needed = self.deployment(entry, current, configured, urgency);
        needed.await.ok().flatten()
    }

    /// Whether targets of the current version are to be done: it was not deployed, or has other targets now.
    async fn deployment(
        &self,
        entry: &IndexEntry,
        current: &IndexedVersion,
        configured: Option<&CertificateConfig>,
        urgency: Urgency,
    ) -> Result<Option<Needed>, JobError> {
        let recorded = entry.status.deployments;
        let recorded = recorded.filter(|recorded| recorded.version == current.version);
        let shared = self.shared_targets(&entry.id);
        let wanted = match configured {
            Some(certificate) => Some(digest_of(&certificate.targets)),
            None if shared.is_some() && recorded.and_then(|recorded| recorded.shared) != shared => {
                Some(digest_of(&self.certificate(&entry.id).await?.targets))
            }
            None => None,
        };
        let digest = recorded.map_or(0, |recorded| recorded.digest);
        if wanted.is_some_and(|wanted| wanted != digest) {
            return Ok(Some(Needed::Deployment));
        }
        if current.deployed {
            return Ok(None);
        }
        let force = urgency.force || urgency.now;
        let pause = recorded.and_then(|recorded| recorded.pause);
        let wait = pause.and_then(|pause| pause.wait(self.parts.clock.now(), force));
        Ok(Some(match wait {
            Some(until) => Needed::DeploymentLater(until),
            None => Needed::Deployment,
        }))
    }

    /// From when on the current version is due.
    pub(super) fn due(
        &self,
        entry: &IndexEntry,
        current: &IndexedVersion,
        configured: Option<&CertificateConfig>,
    ) -> Due {
        let info = info_of(entry, current);
        let window = info.and_then(|info| info.window);
        let in_window = window.map(|window| window.due(self.parts.runs_every));
        let not_before = entry.status.no_window_before;
        // One that is far away was written when the clock was ahead.
        let not_before = not_before.filter(|at| *at <= self.parts.clock.now() + WINDOWS.per);
        let in_window = in_window.map(|at| not_before.map_or(at, |not_before| at.max(not_before)));
        let renew_before = match configured {
            Some(certificate) => certificate.renew_before,
            None => self.parts.renew_before,
        };
        renewal::due(current.validity(), in_window, renew_before)
    }

    /// Whether it is time to ask the CA again when to renew the current version.
    pub(super) fn is_look_due(&self, entry: &IndexEntry) -> bool {
        let Some(Ok(current)) = &entry.current else {
            return false;
        };
        let now = self.parts.clock.now();
        match info_of(entry, current) {
            // One that is far away was written when the clock was ahead.
            Some(info) => info.look_at <= now || info.look_at > now + LOOKS_DIFFER_MAX,
            None => true,
        }
    }

    async fn obtain_or_wait(
        &self,
        entry: &IndexEntry,
        configured: Option<&CertificateConfig>,
        why: Why,
        urgency: Urgency,
    ) -> Needed {
        if let Some((until, reason)) = self.limited_until(entry, configured, &why, urgency) {
            return Needed::Later(Waiting {
                id: entry.id.clone(),
                until,
                why,
                reason,
                attempts: None,
            });
        }
        let Some(until) = self.next_try(entry, configured, urgency) else {
            return Needed::Certificate(why);
        };
        // The failure is reported without its error if the status cannot be read.
        let status = self.parts.store.status(&entry.id).await;
        Needed::Later(Waiting {
            id: entry.id.clone(),
            until,
            why,
            reason: WaitReason::Failed,
            attempts: status.unwrap_or_default().attempts,
        })
    }

    /// The time before which the CA would refuse one more with the same names, and why.
    pub(super) fn limited_until(
        &self,
        entry: &IndexEntry,
        configured: Option<&CertificateConfig>,
        why: &Why,
        urgency: Urgency,
    ) -> Option<(Timestamp, WaitReason)> {
        let has_other_names = matches!(why, Why::Changed(changes)
            if changes.iter().any(|change| matches!(change, Change::Names { .. })));
        let identical = entry.status.identical_until;
        let identical = identical.filter(|_| !has_other_names && entry.current.is_some());
        // Without the names that failed there is nothing to wait for.
        let is_reduced = configured.is_some_and(|one| !one.request.left_out.is_empty());
        let failed = entry.status.no_validations_before;
        let failed = failed.filter(|_| !is_reduced);
        let limits = [
            identical.map(|until| (until, WaitReason::Limit)),
            failed.map(|until| (until, WaitReason::Validations)),
        ];
        let latest = limits.into_iter().flatten().max_by_key(|(until, _)| *until);
        latest.filter(|(until, _)| !urgency.force && *until > self.parts.clock.now())
    }

    /// The end of the pause after failed attempts; `None` if an attempt may be made now.
    pub(super) fn next_try(
        &self,
        entry: &IndexEntry,
        configured: Option<&CertificateConfig>,
        urgency: Urgency,
    ) -> Option<Timestamp> {
        let now = self.parts.clock.now();
        let force = urgency.force || urgency.now;
        let mut pause = entry.status.pause;
        let failed = entry.status.failed_at_ca;
        if let (Some(pause), Some(certificate)) = (&mut pause, configured)
            && let Some(asked_by) = pause.asked_by
            && asked_by != certificate.ca_after_failures(failed)
        {
            // One CA asks to wait, and another one is asked next.
            pause.asked = None;
        }
        pause.and_then(|pause| pause.wait(now, force))
    }

    /// Why the current version is not what the configuration asks for.
    pub(super) async fn why_other(
        &self,
        entry: &IndexEntry,
        current: &IndexedVersion,
        configured: Option<&CertificateConfig>,
    ) -> Result<Option<Why>, JobError> {
        let changes = self.changes(entry, current, configured).await?;
        if !changes.is_empty() {
            return Ok(Some(Why::Changed(changes)));
        }
        if !current.incomplete {
            return Ok(None);
        }
        let stored = self.parts.store.certificate(&entry.id).await?;
        let left_out = stored.map_or_else(BTreeSet::new, |stored| stored.origin.left_out);
        let wanted = configured.map(|certificate| certificate.terms().names);
        let lacking = left_out.into_iter();
        let lacking = lacking.filter(|name| wanted.as_ref().is_none_or(|all| all.contains(name)));
        let lacking: Vec<_> = lacking.collect();
        Ok((!lacking.is_empty()).then_some(Why::Incomplete(lacking)))
    }

    /// What the configuration asks for, and the current version does not have.
    async fn changes(
        &self,
        entry: &IndexEntry,
        current: &IndexedVersion,
        configured: Option<&CertificateConfig>,
    ) -> Result<Vec<Change>, JobError> {
        let read;
        let certificate = match (configured, &self.parts.settings_reader) {
            (Some(certificate), _) => certificate,
            // They were ordered with these settings, unless what they share with others has changed since, or the
            // certification request that the settings name.
            (None, Some(reader))
                if current.has_external_key || entry.status.shared != Some(reader.shared()) =>
            {
                read = self.certificate(&entry.id).await?;
                &*read
            }
            (None, _) => return Ok(Vec::new()),
        };
        let wanted = certificate.terms();
        let fallback = certificate.fallback_terms();
        let is_current = |terms: &Terms| terms.digest() == current.terms;
        if is_current(&wanted) || fallback.as_ref().is_some_and(is_current) {
            return Ok(Vec::new());
        }
        let stored = self.parts.store.certificate(&entry.id).await?;
        Ok(stored.map_or_else(Vec::new, |stored| stored.changes(&wanted)))
    }

    /// The entry that the index has of a certificate, without reading the others.
    pub(super) async fn entry(&self, id: &CertificateId) -> Result<IndexEntry, StoreError> {
        let store = &self.parts.store;
        let current = match store.certificate(id).await {
            Ok(stored) => stored.map(|stored| Ok((&stored).into())),
            Err(error) => Some(Err(error)),
        };
        Ok(IndexEntry {
            id: id.clone(),
            has_settings: store.settings(id).await?.is_some(),
            has_order: store.order(id).await?.is_some(),
            status: (&store.status(id).await?).into(),
            current,
        })
    }
}

/// What the CA said about the current version.
pub(super) fn info_of(entry: &IndexEntry, current: &IndexedVersion) -> Option<IndexedRenewalInfo> {
    let info = entry.status.renewal_info;
    info.filter(|info| info.version == current.version)
}
