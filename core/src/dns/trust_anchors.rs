//! The keys with which DNSSEC validation begins (RFC 4033 §2).

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The keys with which every chain of trust begins.
#[derive(Clone)]
pub struct TrustAnchors(Arc<hickory_proto::dnssec::TrustAnchors>);

/// The keys of the root zone that IANA publishes.
impl Default for TrustAnchors {
    fn default() -> Self {
        TrustAnchors(Arc::default())
    }
}

impl fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} trust anchors", self.0.len())
    }
}

impl TrustAnchors {
    /// The keys, as hickory's validator takes them.
    pub(crate) fn shared(&self) -> Arc<hickory_proto::dnssec::TrustAnchors> {
        Arc::clone(&self.0)
    }

    /// The DNSKEY records in a file, one on each line as in a zone file. It reads the file at once, so call it
    /// when the process starts.
    pub fn from_file(path: &Path) -> Result<Self, TrustAnchorError> {
        let anchors = hickory_proto::dnssec::TrustAnchors::from_file(path)
            .map_err(|source| TrustAnchorError::Unreadable(Arc::new(source)))?;
        if anchors.is_empty() {
            return Err(TrustAnchorError::Empty);
        }
        Ok(TrustAnchors(Arc::new(anchors)))
    }
}

/// Why a file of trust anchors cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustAnchorError {
    /// It cannot be read, or is not in the form of a zone file.
    #[error("{0}")]
    Unreadable(#[source] Arc<dyn Error + Send + Sync>),
    /// It has no DNSKEY record.
    #[error("it has no DNSKEY record")]
    Empty,
}
