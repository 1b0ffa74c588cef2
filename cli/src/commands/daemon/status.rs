//! How the process is, for those who watch it.

use jiff::Timestamp;

/// How the process is.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// When the last run ended.
    pub(crate) last: Option<Timestamp>,
    /// When the next run is.
    pub(crate) next: Option<Timestamp>,
}
