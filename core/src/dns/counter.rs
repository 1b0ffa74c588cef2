//! How many queries were sent, by type.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use hickory_proto::rr::RecordType;

/// Counts each query that is sent to a server; a retransmission over UDP does not count, a repetition over
/// TCP does.
#[derive(Debug, Default)]
pub(super) struct QueryCounter(Mutex<BTreeMap<&'static str, u64>>);

impl QueryCounter {
    pub(super) fn count(&self, kind: RecordType) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(kind.into()).or_default() += 1;
    }

    pub(super) fn by_type(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.clone()
    }
}
