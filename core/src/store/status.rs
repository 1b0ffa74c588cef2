//! What became of the work for a certificate so far.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::renewal::{Attempts, Pause, RenewalInfo, Window};

/// What became of the work for a certificate so far, and what follows from it. It can be lost without harm: then the
/// CA is asked for its window again, and what is not marked as deployed is deployed again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateStatus {
    /// The attempts that failed since the current version was stored.
    pub attempts: Option<Attempts>,
    /// What the CA said about the renewal of a version.
    pub renewal_info: Option<RenewalInfo>,
    /// The version that was revoked.
    pub revoked: Option<u32>,
    /// For a certificate with stored settings: a digest of what it took from the configuration when the current
    /// version was ordered.
    pub shared: Option<u64>,
}

/// What the index holds about a status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedStatus {
    /// The pause after failed attempts.
    pub pause: Option<Pause>,
    /// How many attempts failed at the CA, one after the other.
    pub failed_at_ca: u32,
    /// What the CA said about the renewal of a version.
    pub renewal_info: Option<IndexedRenewalInfo>,
    /// The version that was revoked.
    pub revoked: Option<u32>,
    /// As [`CertificateStatus::shared`].
    pub shared: Option<u64>,
}

/// What the index holds about renewal information.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedRenewalInfo {
    /// The number of the version.
    pub version: u32,
    /// When the CA wants it to be renewed.
    pub window: Option<Window>,
    /// When to look again.
    pub look_at: Timestamp,
}

impl From<&CertificateStatus> for IndexedStatus {
    fn from(status: &CertificateStatus) -> Self {
        let info = status.renewal_info.as_ref();
        IndexedStatus {
            pause: status.attempts.as_ref().map(|attempts| attempts.pause),
            failed_at_ca: status
                .attempts
                .as_ref()
                .map_or(0, |attempts| attempts.at_ca),
            renewal_info: info.map(|info| IndexedRenewalInfo {
                version: info.version,
                window: info.window,
                look_at: info.look_at,
            }),
            revoked: status.revoked,
            shared: status.shared,
        }
    }
}

/// What is known of a CA, and counts for all certificates. It can be lost without harm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaStatus {
    /// The CA is not asked for renewal information before this time: it has none, or did not answer.
    pub no_looks_before: Option<Timestamp>,
    /// The mail addresses that the account was created with, or that were sent last.
    pub contact: Option<Vec<String>>,
}
