//! What became of the work for a certificate so far.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::deploy::{Deployments, IndexedDeployments};
use crate::renewal::{Attempts, Pause, RenewalInfo, Spent, Window};

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
    /// When versions with the names of the current one were obtained, as far back as the CA counts them.
    pub identical: Vec<Timestamp>,
    /// Before this time the CA allows no other one with these names.
    pub identical_until: Option<Timestamp>,
    /// When the CA could not validate its names, as far back as the CA counts that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_validations: Vec<Timestamp>,
    /// Before this time the CA allows no other validation of its names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_validations_before: Option<Timestamp>,
    /// When versions were obtained because the window of the CA wanted it, as far back as they count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub in_windows: Vec<Timestamp>,
    /// Before this time no window of the CA counts: there were too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_window_before: Option<Timestamp>,
    /// For a certificate with stored settings: a digest of what it took from the configuration when the current
    /// version was ordered.
    pub shared: Option<u64>,
    /// What became of the targets of a version.
    pub deployments: Option<Deployments>,
    /// What was notified of.
    pub notified: Notified,
}

/// What somebody was notified of, so that it happens once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notified {
    /// That attempts failed since the current version was stored.
    pub failing: bool,
    /// That this version ends soon.
    pub expiring: Option<u32>,
    /// That attempts to deploy this version failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undeployed: Option<u32>,
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
    /// As [`CertificateStatus::identical_until`].
    pub identical_until: Option<Timestamp>,
    /// As [`CertificateStatus::no_validations_before`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_validations_before: Option<Timestamp>,
    /// As [`CertificateStatus::no_window_before`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_window_before: Option<Timestamp>,
    /// As [`CertificateStatus::shared`].
    pub shared: Option<u64>,
    /// What became of the targets of a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployments: Option<IndexedDeployments>,
    /// The number of attempts that failed since the current version was stored.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub failed: u32,
    /// What was notified of.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub notified: Notified,
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
            identical_until: status.identical_until,
            no_validations_before: status.no_validations_before,
            no_window_before: status.no_window_before,
            shared: status.shared,
            deployments: status.deployments.as_ref().map(Into::into),
            failed: status
                .attempts
                .as_ref()
                .map_or(0, |attempts| attempts.failed),
            notified: status.notified,
        }
    }
}

fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What is known of a CA, and counts for all certificates. It can be lost without harm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaStatus {
    /// The CA is not asked for renewal information before this time: it has none, or did not answer.
    pub no_looks_before: Option<Timestamp>,
    /// The mail addresses that the account was created with, or that were sent last.
    pub contact: Option<Vec<String>>,
    /// The domains that name the CA in CAA records, as its directory has them.
    pub caa_issuers: Option<Vec<String>>,
    /// The CA takes no orders of the account before this time: it has refused several, and asked to wait.
    pub no_orders_before: Option<Timestamp>,
    /// Orders that were opened a short time ago, or are about to be.
    pub orders: Vec<Spent>,
}
