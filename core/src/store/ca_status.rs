//! Changes what is known of a CA, which several processes may do at once.

use super::contract::Store;
use super::error::StoreError;
use super::status::CaStatus;

/// Changes what is known of a CA, and returns what `change` returns. If another process or task stored something
/// meanwhile, `change` is called again with that, until it succeeds.
pub async fn change_ca_status<T>(
    store: &dyn Store,
    directory: &str,
    mut change: impl FnMut(&mut CaStatus) -> T,
) -> Result<T, StoreError> {
    loop {
        let before = store.ca_status(directory).await?;
        let mut status = before.clone();
        let outcome = change(&mut status);
        let is_stored =
            status == before || store.replace_ca_status(directory, &before, &status).await?;
        if is_stored {
            return Ok(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::renewal::Spent;
    use crate::store::{FileStore, FileStoreOptions};

    const DIRECTORY: &str = "https://ca.example/directory";

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_change_of_two_stores_at_once_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let count = |first: i64| {
            let root = folder.path().join("state");
            async move {
                let store = FileStore::open(&root, FileStoreOptions::default());
                let store = store.await.unwrap();
                for number in first..first + 20 {
                    let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(number);
                    let add = |status: &mut CaStatus| {
                        status.orders.push(Spent {
                            at,
                            count: 1,
                            reserved: None,
                        });
                    };
                    change_ca_status(&store, DIRECTORY, add).await.unwrap();
                }
                store.ca_status(DIRECTORY).await.unwrap().orders
            }
        };
        let first = tokio::spawn(count(0));
        let second = tokio::spawn(count(100));
        let counts = [first.await.unwrap().len(), second.await.unwrap().len()];
        assert_eq!(counts.into_iter().max(), Some(40), "{counts:?}");
    }
}
