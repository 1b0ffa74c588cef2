//! Failed backend calls.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::backend_zone::BackendZone;
use crate::name::DnsName;
use crate::txt::{TxtChange, TxtRecord};

/// Characters of a text that are kept.
const TEXT_MAX: usize = 4_000;
/// Zones of one name that are kept, and servers of each.
const ZONES_MAX: usize = 64;

/// A backend call that failed: of which kind, what happened, and what to do.
///
/// ```
/// use acme_alias_core::provider::{Failure, ProviderError};
///
/// let error = ProviderError::new(
///     Failure::Denied,
///     "api.example answered 403: the token may not edit auth.example.net",
///     "give the token of `api-token` the right to edit the zone",
/// );
/// assert_eq!(error.failure, Failure::Denied);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProviderError {
    /// Who must act, and whether a retry can help.
    pub failure: Failure,
    /// What happened, with the server and its answer.
    pub what: String,
    /// What the reader can do, as an imperative. It may name options of the provider in backticks.
    pub remedy: String,
    /// The records whose changes have failed, if the backend has accepted those of all others; empty if it has accepted
    /// none, or if that is unknown.
    pub failed: Arc<BTreeSet<TxtRecord>>,
    /// The zones of one name among which the backend cannot choose; usually empty.
    pub zones: Arc<Vec<BackendZone>>,
    /// The error that caused this one, if a library reported it.
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for ProviderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The error itself, so that it can be downcast, and not the `Arc` around it.
        let source = self.source.as_deref()?;
        Some(source)
    }
}

/// The beginning of the text, and how much is left out.
fn limited(text: String) -> String {
    let Some((end, _)) = text.char_indices().nth(TEXT_MAX) else {
        return text;
    };
    let more = text[end..].chars().count();
    format!("{}… ({more} more characters)", &text[..end])
}

/// Who must act after a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The credentials are wrong or may not do this. Nothing was changed.
    Denied,
    /// The backend wants fewer requests. Nothing was changed.
    Throttled {
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// The backend could not be reached or cannot work now. Nothing was changed.
    Unavailable,
    /// Another record conflicts with the change, or the data changed between a read and a write.
    Conflict,
    /// The backend understood the request and will always refuse it.
    Rejected,
    /// The backend could not carry out the request, perhaps because it would have left more values at one name than
    /// the backend accepts. Nothing was changed. Fewer values may be accepted.
    TooMany,
    /// The request was sent, and whether it was carried out is unknown.
    UnknownOutcome,
}

impl ProviderError {
    /// An error of this kind. Neither text may contain a secret. Of a text with what a backend has sent, the first 4,000
    /// characters are kept: each certificate keeps its error, and all are printed.
    pub fn new(failure: Failure, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        ProviderError {
            failure,
            what: limited(what.into()),
            remedy: limited(remedy.into()),
            failed: Arc::default(),
            zones: Arc::default(),
            source: None,
        }
    }

    /// Adds the error that caused this one. Its `Debug` and `Display` must not contain a secret.
    #[must_use]
    pub fn with_source(mut self, source: Arc<dyn Error + Send + Sync>) -> Self {
        self.source = Some(source);
        self
    }

    /// Adds the zones of one name among which the core can choose, by the delegation. The first 64 are kept, with 64
    /// servers each.
    #[must_use]
    pub fn with_zones(mut self, mut zones: Vec<BackendZone>) -> Self {
        zones.truncate(ZONES_MAX);
        for zone in &mut zones {
            zone.name_servers.truncate(ZONES_MAX);
            zone.name_servers.shrink_to_fit();
        }
        self.zones = Arc::new(zones);
        self
    }

    /// Whether the change of this record has failed.
    pub fn concerns(&self, change: &TxtChange) -> bool {
        self.failed.is_empty() || self.failed.contains(&change.record())
    }

    /// The same error for a call that only reads. Such a call changes nothing and writes no values, so an
    /// unknown outcome and too many values become [`Failure::Unavailable`].
    #[must_use]
    pub fn of_reading(mut self) -> Self {
        if matches!(self.failure, Failure::UnknownOutcome | Failure::TooMany) {
            self.failure = Failure::Unavailable;
        }
        self
    }
}

/// Rejects names outside `zone`. No backend may receive them, because some take them as relative.
pub fn check_within(zone: &DnsName, changes: &[TxtChange]) -> Result<(), ProviderError> {
    match changes.iter().find(|change| !change.name.is_within(zone)) {
        None => Ok(()),
        Some(outside) => Err(ProviderError::new(
            Failure::Rejected,
            format!("{} is outside the zone {zone}", outside.name),
            "correct the alias zone, or use an alias name in it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_has_no_unknown_outcome() {
        let error = |failure| ProviderError::new(failure, "", "").of_reading().failure;
        assert_eq!(error(Failure::UnknownOutcome), Failure::Unavailable);
        assert_eq!(error(Failure::Denied), Failure::Denied);
    }

    #[test]
    fn the_source_is_kept() {
        let source = Arc::new(std::io::Error::other("cause"));
        let error = ProviderError::new(Failure::Unavailable, "", "").with_source(source);
        let source = error.source().unwrap();
        assert!(source.is::<std::io::Error>(), "{source:?}");
    }
}
