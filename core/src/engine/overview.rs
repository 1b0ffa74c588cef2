//! What is known of every certificate, by the index and the configuration. Nobody is asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;

use super::certificates::CertificateConfig;
use super::core::Engine;
use super::decision::Urgency;
use super::report::{JobError, RunError};
use crate::deploy::Deployment;
use crate::lease::JobName;
use crate::renewal::{Attempts, Due, Why};
use crate::store::{
    CertificateId, IndexEntry, IndexedStatus, IndexedVersion, StoreError, StoredCertificate,
};

/// Certificates that are looked at more closely at a time.
const AT_ONCE: usize = 20;

/// What is known of a certificate.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Its id.
    pub id: CertificateId,
    /// Its names, in the order in which they were asked for. Empty if nobody knows them.
    pub names: Vec<String>,
    /// Who wants it.
    pub wanted_by: WantedBy,
    /// The directory URL of the CA that issued the current version, or else of the one that is asked.
    pub directory: Option<String>,
    /// Its current version, if it has one. The error is that of a damaged certificate.
    pub current: Option<Result<CurrentVersion, StoreError>>,
    /// Why it is to be obtained; `None` if it is not due, or if nobody wants it.
    pub why: Option<Why>,
    /// Why the current version is not what the configuration asks for.
    pub other: Option<Why>,
    /// The attempts that failed since the current version was stored.
    pub attempts: Option<Attempts>,
    /// The time of the next attempt, if it is due and waits: after failures, or for a limit of the CA.
    pub next_try: Option<Timestamp>,
    /// Whether something is to be done with each of its versions.
    pub has_targets: bool,
    /// The targets that the current version still has, as far as they were tried.
    pub undeployed: Vec<Deployment>,
    /// Whether a process works on it now.
    pub is_busy: bool,
    /// Why the settings that are stored with it cannot be used.
    pub unusable: Option<JobError>,
}

/// Who wants a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedBy {
    /// The configuration defines it.
    Configuration,
    /// It was issued with settings that are stored with it.
    StoredSettings,
    /// Nobody wants it any more. It is not renewed.
    Nobody,
}

/// The current version of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentVersion {
    /// What the index holds about it.
    pub indexed: IndexedVersion,
    /// From when on it is due.
    pub due: Due,
}

impl Overview {
    /// A certificate that the configuration defines, and of which the store has nothing.
    pub fn not_obtained(id: CertificateId, names: Vec<String>) -> Self {
        Overview {
            id,
            names,
            wanted_by: WantedBy::Configuration,
            directory: None,
            current: None,
            why: Some(Why::Missing),
            other: None,
            attempts: None,
            next_try: None,
            has_targets: false,
            undeployed: Vec::new(),
            is_busy: false,
            unusable: None,
        }
    }
}

impl Engine {
    /// Returns what is known of every certificate that is configured or stored, by id. Changes nothing. Certificates
    /// that are configured and did not change are not read.
    pub async fn overview(&self) -> Result<Vec<Overview>, RunError> {
        let index = self.index().await?;
        // Without the leases it is only unknown who works.
        let leases = self.parts.store.live_leases().await.unwrap_or_default();
        let busy: BTreeSet<_> = leases.into_iter().map(|lease| lease.job).collect();
        let configured = self.certificates().iter().map(|one| one.id().clone());
        let ids: BTreeSet<_> = index.keys().cloned().chain(configured).collect();
        let overviews = ids.into_iter().map(|id| {
            let entry = index.get(&id).cloned().unwrap_or_else(|| nothing(&id));
            let is_busy = busy.contains(&JobName::certificate(&id));
            async move {
                Overview {
                    is_busy,
                    ..self.overview_of(entry).await
                }
            }
        });
        Ok(stream::iter(overviews).buffered(AT_ONCE).collect().await)
    }

    async fn overview_of(&self, entry: IndexEntry) -> Overview {
        let id = &entry.id;
        let configured = self.certificates().get(id).cloned();
        let (described, unusable) = match &configured {
            None if entry.has_settings => match self.certificate(id).await {
                Ok(certificate) => (Some(certificate), None),
                Err(error) => (None, Some(error)),
            },
            configured => (configured.clone(), None),
        };
        let configured = configured.as_deref();
        let wanted_by = match configured {
            Some(_) => WantedBy::Configuration,
            None if entry.has_settings => WantedBy::StoredSettings,
            None => WantedBy::Nobody,
        };
        let (mut why, mut other) = (None, None);
        let current = entry.current.clone().map(|current| {
            current.map(|indexed| CurrentVersion {
                due: self.due(&entry, &indexed, configured),
                indexed,
            })
        });
        match &current {
            _ if wanted_by == WantedBy::Nobody => {}
            None => why = Some(Why::Missing),
            Some(Err(_)) => {}
            Some(Ok(current)) => {
                // Settings that cannot be used are reported as such.
                let found = self.why_other(&entry, &current.indexed, configured).await;
                other = found.unwrap_or_default();
                why = self.why_unchanged(&entry, &current.indexed, current.due);
                why = why.or_else(|| other.clone());
            }
        }
        let (names, directory) = self.names_and_ca(&entry, described.as_ref()).await;
        let next_try = why.as_ref().and_then(|why| {
            let urgency = Urgency::default();
            self.limited_until(&entry, configured, why, urgency)
                .map(|(until, _)| until)
                .or_else(|| self.next_try(&entry, configured, urgency))
        });
        let (attempts, undeployed) = self.failures(&entry).await;
        Overview {
            names,
            wanted_by,
            directory,
            current,
            next_try,
            why,
            other,
            attempts,
            has_targets: described.is_some_and(|certificate| !certificate.targets.is_empty()),
            undeployed,
            is_busy: false,
            unusable,
            id: entry.id,
        }
    }

    /// The names, and the directory URL of the CA. A version is read if the configuration does not describe it.
    async fn names_and_ca(
        &self,
        entry: &IndexEntry,
        described: Option<&Arc<CertificateConfig>>,
    ) -> (Vec<String>, Option<String>) {
        let asked = described.map(|certificate| certificate.terms());
        let names = described.map(|certificate| names(certificate));
        let Some(Ok(current)) = &entry.current else {
            let directory = asked.and_then(|terms| terms.directory);
            return (names.unwrap_or_default(), directory);
        };
        let fallback = described.and_then(|certificate| certificate.fallback_terms());
        let mut known = [asked, fallback].into_iter().flatten();
        let known = known.find(|terms| terms.digest() == current.terms);
        if let (Some(names), Some(terms)) = (&names, known) {
            return (names.clone(), terms.directory);
        }
        let stored = self.parts.store.certificate(&entry.id).await.ok().flatten();
        let directory = stored.as_ref().map(directory).filter(|url| !url.is_empty());
        let names = names.or_else(|| stored.map(|stored| stored.info.names));
        (names.unwrap_or_default(), directory)
    }

    /// The attempts that failed, and the targets that are not done.
    async fn failures(&self, entry: &IndexEntry) -> (Option<Attempts>, Vec<Deployment>) {
        let current = entry
            .current
            .as_ref()
            .and_then(|current| current.as_ref().ok());
        let undeployed = current.filter(|current| !current.deployed);
        if entry.status.pause.is_none() && undeployed.is_none() {
            return (None, Vec::new());
        }
        let Ok(status) = self.parts.store.status(&entry.id).await else {
            return (None, Vec::new());
        };
        let deployments = status.deployments.filter(|deployments| {
            undeployed.is_some_and(|current| current.version == deployments.version)
        });
        let left = deployments.map_or(Vec::new(), |deployments| {
            deployments.pending().cloned().collect()
        });
        (status.attempts, left)
    }
}

fn names(certificate: &CertificateConfig) -> Vec<String> {
    let names = certificate.request.names.iter();
    names.map(|name| name.identifier.to_string()).collect()
}

fn directory(stored: &StoredCertificate) -> String {
    stored.origin.directory.clone()
}

/// The entry of a certificate that the store does not have.
fn nothing(id: &CertificateId) -> IndexEntry {
    IndexEntry {
        id: id.clone(),
        has_settings: false,
        has_order: false,
        status: IndexedStatus::default(),
        current: None,
    }
}
