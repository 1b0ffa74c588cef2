//! File access off the async worker threads.

use std::sync::Arc;

use super::folder::Folder;
use crate::ledger::error::{LedgerAction, LedgerError};

/// Does `work` on a thread that may block.
///
/// The runtime waits for such threads before it ends, so `work` must be short: it must not wait for
/// a lock, and must read a long file in pieces.
pub(super) async fn blocking<T: Send + 'static>(
    folder: &Folder,
    action: LedgerAction,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LedgerError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| LedgerError::Unavailable {
        action,
        location: folder.path().display().to_string(),
        source: Arc::new(error),
    })
}
