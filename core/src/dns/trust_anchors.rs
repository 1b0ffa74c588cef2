//! The keys with which DNSSEC validation begins (RFC 4033 §2).

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::trusted::{self, Access, Links, Untrusted};

/// No file of keys is larger, in octets.
const SIZE_MAX: u64 = 1 << 20;

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
        let unreadable =
            |source: Arc<dyn Error + Send + Sync>| TrustAnchorError::Unreadable(source);
        let read = trusted::read(path, Access::Unchangeable, Links::Followed, SIZE_MAX);
        let read = read.map_err(|error| match Untrusted::in_error(&error) {
            Some(untrusted) => TrustAnchorError::Untrusted(untrusted.clone()),
            None => unreadable(Arc::new(error)),
        })?;
        let text = String::from_utf8(read.content).map_err(|error| unreadable(Arc::new(error)))?;
        let anchors = text.parse::<hickory_proto::dnssec::TrustAnchors>();
        let anchors = anchors.map_err(|error| unreadable(Arc::new(error)))?;
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
    /// Others own it or can change it, or it is not a regular file.
    #[error(transparent)]
    Untrusted(Untrusted),
    /// It has no DNSKEY record.
    #[error("it has no DNSKEY record")]
    Empty,
}
