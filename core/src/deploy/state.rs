//! What became of the targets of a version, as it is stored.

use serde::{Deserialize, Serialize};

use crate::renewal::{Attempts, Pause};

/// What became of the targets of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployments {
    /// The number of the version.
    pub version: u32,
    /// The digest of the targets that the configuration had, see [`digest_of`](super::digest_of).
    pub digest: u64,
    /// For a certificate with stored settings: a digest of what it took from the configuration for its targets.
    pub shared: Option<u64>,
    /// The targets, in their order.
    pub targets: Vec<Deployment>,
}

/// What became of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its [`identity`](super::Target::identity).
    pub target: u64,
    /// It in words.
    pub name: String,
    /// Whether it is done. Otherwise it is pending.
    pub done: bool,
    /// The attempts that failed since it was done last.
    pub attempts: Option<Attempts>,
}

/// What an index holds about the targets of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedDeployments {
    /// The number of the version.
    pub version: u32,
    /// As [`Deployments::digest`].
    pub digest: u64,
    /// As [`Deployments::shared`].
    pub shared: Option<u64>,
    /// The pause that ends first, if all targets that are pending wait after failed attempts.
    pub pause: Option<Pause>,
    /// The most attempts in a row that failed for one of the targets that are pending.
    #[serde(default)]
    pub failed: u32,
}

impl Deployments {
    /// The targets that are not done.
    pub fn pending(&self) -> impl Iterator<Item = &Deployment> {
        self.targets.iter().filter(|target| !target.done)
    }

    /// The attempts for the target that failed most often, of those that are not done.
    pub fn worst(&self) -> Option<&Attempts> {
        let attempts = self.pending().filter_map(|target| target.attempts.as_ref());
        attempts.max_by_key(|attempts| attempts.failed)
    }
}

impl From<&Deployments> for IndexedDeployments {
    fn from(deployments: &Deployments) -> Self {
        let pauses = deployments.pending().map(|target| {
            let attempts = target.attempts.as_ref()?;
            Some(attempts.pause)
        });
        let pauses: Option<Vec<Pause>> = pauses.collect();
        let pause = pauses.and_then(|pauses| pauses.into_iter().min_by_key(|pause| pause.until));
        IndexedDeployments {
            version: deployments.version,
            digest: deployments.digest,
            shared: deployments.shared,
            pause,
            failed: deployments.worst().map_or(0, |attempts| attempts.failed),
        }
    }
}
