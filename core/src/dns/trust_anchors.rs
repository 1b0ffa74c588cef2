//! The keys with which DNSSEC validation begins (RFC 4033 §2).

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

    /// The DNSKEY records in a file, one on each line as in a zone file. The error says in words what is
    /// wrong with it.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let anchors = hickory_proto::dnssec::TrustAnchors::from_file(path)
            .map_err(|error| error.to_string())?;
        if anchors.is_empty() {
            return Err("it has no DNSKEY record".to_owned());
        }
        Ok(TrustAnchors(Arc::new(anchors)))
    }
}
