//! Why the store could not read or keep something.

use std::error::Error;
use std::sync::Arc;

use jiff::Timestamp;

use crate::lease::JobName;
use crate::trusted::Untrusted;

/// Something that could not be read or kept.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The place where the store keeps its data refused or failed.
    #[error("could not {action} {subject}: {source}")]
    Unavailable {
        /// What the store tried to do, as a verb: `read`, `write`, `lock`.
        action: &'static str,
        /// With what: a file, a table.
        subject: String,
        /// Why it failed.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// Others may change data of the store, or read a secret in it.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// Stored data that cannot be used.
    #[error("{location} is damaged: {cause}")]
    Damaged {
        /// Where it is kept.
        location: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Somebody else holds the lease of the job.
    #[error("another process ({holder}) holds the lease of {job}, which expires at {expires}")]
    Busy {
        /// The job.
        job: JobName,
        /// Who holds the lease.
        holder: String,
        /// When the lease ends, unless it is renewed.
        expires: Timestamp,
    },
    /// The lease expired before it was renewed, and somebody else took it or cleared it away.
    #[error("the lease of {job} expired before it was renewed")]
    LeaseLost {
        /// The job.
        job: JobName,
    },
}
