//! The state folder.

use std::sync::Arc;

use acme_alias_core::clock::Clock;
use acme_alias_core::ledger::FileLedger;
use acme_alias_core::store::{FileStore, FileStoreOptions};

use crate::failure::Failure;
use crate::settings::Settings;

/// The folder of the ledger, in the state folder.
const LEDGER: &str = "ledger";

/// The store and the ledger in the state folder, which is made if it does not exist.
pub(crate) async fn open(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<(Arc<FileStore>, Arc<FileLedger>), Failure> {
    let store = open_store(settings, clock).await?;
    let ledger = FileLedger::open(&settings.state.join(LEDGER), Arc::clone(clock)).await?;
    Ok((store, Arc::new(ledger)))
}

async fn open_store(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<FileStore>, Failure> {
    let options = FileStoreOptions {
        clock: Arc::clone(clock),
        keep_versions: settings.keep_versions,
    };
    let store = FileStore::open(&settings.state, options).await?;
    Ok(Arc::new(store))
}

/// The same, with a ledger that is only read, or `None` if there is no state folder: commands that only look
/// change nothing.
pub(crate) async fn open_existing(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<Option<(Arc<FileStore>, Arc<FileLedger>)>, Failure> {
    if settings.state.is_dir() {
        let ledger = FileLedger::open_read_only(&settings.state.join(LEDGER));
        Ok(Some((open_store(settings, clock).await?, Arc::new(ledger))))
    } else {
        Ok(None)
    }
}
