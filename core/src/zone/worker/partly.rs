//! Requests of which a backend has accepted a part.

use super::{Batch, Worker};
use crate::provider::{Applied, ProviderError};
use crate::zone::error::WriteError;

impl Worker {
    /// Tells each caller what became of its batch, if the backend has accepted all changes but those that have failed with
    /// this error: one name must not fail the certificates of others.
    pub(super) async fn carried_out_in_part(&self, lists: Vec<Vec<Batch>>, error: ProviderError) {
        let server = self.backend();
        let is_failed = |batch: &Batch| {
            let mut changes = batch.changes.iter();
            changes.any(|requested| error.concerns(&requested.change))
        };
        let (failed, accepted): (Vec<_>, Vec<_>) = lists.into_iter().flatten().partition(is_failed);
        let changes = accepted.iter().flat_map(|batch| &batch.changes);
        let changes: Vec<_> = changes.cloned().collect();
        let together = if changes.is_empty() {
            Ok(())
        } else {
            let confirmed = self.confirm(&changes, &server, None).await;
            confirmed.map(|_| ())
        };
        for Batch { changes, done, .. } in accepted {
            let outcome = match &together {
                Err(WriteError::NotCarriedOut { .. }) => {
                    self.confirm_now(&changes, &server, None).await
                }
                outcome => outcome.clone(),
            };
            // The receiver is gone if the job was cancelled.
            let _ = done.send(outcome.map(|()| Applied::default()));
        }
        for Batch { changes, done, .. } in failed {
            // What failed may have been done already.
            let outcome = match self.confirm_now(&changes, &server, None).await {
                Ok(()) => Ok(Applied::default()),
                Err(WriteError::Ledger(ledger)) => Err(ledger.into()),
                Err(_) => Err(error.clone().into()),
            };
            let _ = done.send(outcome);
        }
    }
}
