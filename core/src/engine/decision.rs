//! What a certificate needs now. The plan decides by the index, and the job once more under its lease.

use std::fmt;

use super::certificates::CertificateConfig;
use super::core::Engine;
use super::report::{JobError, NotDue, Waiting};
use crate::deploy::digest_of;
use crate::renewal::{self, Change, Due, Reason};
use crate::store::{CertificateId, IndexEntry, IndexedVersion};

/// Why a certificate is obtained.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// There is none yet.
    Missing,
    /// The caller wants it now.
    Forced,
    /// An order is under way, and may have been paid for.
    Unfinished,
    /// The current version was revoked.
    Revoked,
    /// The configuration asks for something else now.
    Changed(Vec<Change>),
    /// It is time.
    Due(Reason),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Missing => f.write_str("there is none yet"),
            Why::Forced => f.write_str("by force"),
            Why::Unfinished => f.write_str("its order is under way"),
            Why::Revoked => f.write_str("it was revoked"),
            Why::Changed(changes) => {
                let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
                f.write_str(&changes.join("; "))
            }
            Why::Due(reason) => write!(f, "due by {reason}"),
        }
    }
}

/// What a certificate needs.
#[derive(Debug)]
pub(super) enum Needed {
    /// A new version.
    Certificate(Why),
    /// The current version is to be deployed.
    Deployment,
    /// The current version is to be deployed, and not yet: all its targets that are left failed a short time ago.
    DeploymentLater,
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
            None => return Ok(self.obtain_or_wait(entry, Why::Missing, urgency)),
            Some(Err(error)) => return Err(error.clone().into()),
            Some(Ok(current)) => current,
        };
        let due = due(entry, current, configured);
        let why = if urgency.force {
            Some(Why::Forced)
        } else if entry.has_order {
            Some(Why::Unfinished)
        } else if entry.status.revoked == Some(current.version) {
            Some(Why::Revoked)
        } else if due.at <= self.parts.clock.now() {
            Some(Why::Due(due.reason))
        } else {
            let changes = self.changes(entry, current, configured).await?;
            Some(Why::Changed(changes)).filter(|why| *why != Why::Changed(Vec::new()))
        };
        if let Some(why) = why {
            return Ok(self.obtain_or_wait(entry, why, urgency));
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
            Some(_) => Needed::DeploymentLater,
            None => Needed::Deployment,
        }))
    }

    fn obtain_or_wait(&self, entry: &IndexEntry, why: Why, urgency: Urgency) -> Needed {
        let now = self.parts.clock.now();
        let force = urgency.force || urgency.now;
        let pause = entry.status.pause;
        match pause.and_then(|pause| pause.wait(now, force)) {
            Some(until) => Needed::Later(Waiting {
                id: entry.id.clone(),
                until,
                why,
            }),
            None => Needed::Certificate(why),
        }
    }

    /// What the configuration asks for, and the current version does not have.
    async fn changes(
        &self,
        entry: &IndexEntry,
        current: &IndexedVersion,
        configured: Option<&CertificateConfig>,
    ) -> Result<Vec<Change>, JobError> {
        let wanted = match (configured, &self.parts.settings_reader) {
            (Some(certificate), _) => certificate.terms(),
            // They were ordered with these settings, unless what they share with others has changed since.
            (None, Some(reader)) if entry.status.shared != Some(reader.shared()) => {
                self.certificate(&entry.id).await?.terms()
            }
            (None, _) => return Ok(Vec::new()),
        };
        if wanted.digest() == current.terms {
            return Ok(Vec::new());
        }
        let stored = self.parts.store.certificate(&entry.id).await?;
        Ok(stored.map_or_else(Vec::new, |stored| stored.terms().changes(&wanted)))
    }

    /// The entry that the index has of a certificate, without reading the others.
    pub(super) async fn entry(&self, id: &CertificateId) -> Result<IndexEntry, JobError> {
        let store = &self.parts.store;
        Ok(IndexEntry {
            id: id.clone(),
            has_settings: store.settings(id).await?.is_some(),
            has_order: store.order(id).await?.is_some(),
            status: (&store.status(id).await?).into(),
            current: store
                .certificate(id)
                .await?
                .map(|stored| Ok((&stored).into())),
        })
    }
}

/// From when on the current version is due.
pub(super) fn due(
    entry: &IndexEntry,
    current: &IndexedVersion,
    configured: Option<&CertificateConfig>,
) -> Due {
    let info = entry.status.renewal_info;
    let info = info.filter(|info| info.version == current.version);
    let in_window = info.and_then(|info| info.renew_at);
    let renew_before = configured.and_then(|certificate| certificate.renew_before);
    renewal::due(current.validity(), in_window, renew_before)
}
