//! A backend call that did not succeed.

use std::time::Duration;

use crate::name::DnsName;
use crate::txt::TxtChange;

/// A backend call that did not succeed: what happened, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ProviderError {
    /// Who must act, and whether trying again can help.
    pub failure: Failure,
    /// What happened, with the server and its answer.
    pub what: String,
    /// What the reader can do about it.
    pub remedy: String,
}

/// Who must act after a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The credentials are wrong or may not do this; nothing was changed.
    Denied,
    /// The backend wants fewer requests; nothing was changed.
    Throttled {
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// The backend could not be reached or cannot work now; nothing was changed.
    Unavailable,
    /// Somebody else's data stands in the way, or changed between a read and a write.
    Conflict,
    /// The backend understood the request and will never carry it out as it is.
    Rejected,
    /// The request was sent, and whether it was carried out is not known.
    UnknownOutcome,
}

impl ProviderError {
    /// An error of this kind.
    pub fn new(failure: Failure, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        ProviderError {
            failure,
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// The same error of a call that only reads: it changes nothing, so that its outcome is known.
    #[must_use]
    pub fn of_reading(self) -> Self {
        match self.failure {
            Failure::UnknownOutcome => ProviderError {
                failure: Failure::Unavailable,
                ..self
            },
            _ => self,
        }
    }
}

/// Rejects names outside `zone`. No backend may receive them: some treat them as relative.
pub fn check_within(zone: &DnsName, changes: &[TxtChange]) -> Result<(), ProviderError> {
    match changes.iter().find(|change| !change.name.is_within(zone)) {
        None => Ok(()),
        Some(outside) => Err(ProviderError::new(
            Failure::Rejected,
            format!("{} is not in the zone {zone}", outside.name),
            "correct the alias zone, or the alias of the certificate",
        )),
    }
}
