//! What the CA says about the renewal of a version (RFC 9773).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the CA said last about the renewal of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalInfo {
    /// The number of the version.
    pub version: u32,
    /// When to renew it; `None` if the CA did not say so.
    pub window: Option<Window>,
    /// When to look again.
    pub look_at: Timestamp,
    /// A page of the CA that explains the window.
    pub explanation: Option<String>,
}

/// The time in which the CA wants a version to be renewed (RFC 9773 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The beginning.
    pub start: Timestamp,
    /// The end.
    pub end: Timestamp,
    /// The time in it that was drawn, once for this window.
    pub renew_at: Timestamp,
}
