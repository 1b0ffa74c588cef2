//! What the loop and the server share.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

use super::cache::Cache;
use crate::commands::daemon::configuration::Source;
use crate::commands::daemon::status::SharedStatus;
use crate::failure::Failure;
use crate::output::{Listing, list_as_json};
use crate::report::{Snapshot, Status, certificates};

/// What answers are made from.
pub(super) struct Shared {
    source: RwLock<Arc<Source>>,
    status: SharedStatus,
    snapshot: Cache<Snapshot>,
    list: Cache<String>,
}

impl Shared {
    pub(super) fn new(source: &Arc<Source>, status: &SharedStatus) -> Self {
        Shared {
            source: RwLock::new(Arc::clone(source)),
            status: status.clone(),
            snapshot: Cache::default(),
            list: Cache::default(),
        }
    }

    /// Answers are made from these settings from now on.
    pub(super) fn update(&self, source: &Arc<Source>) {
        let mut current = self.source.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current, source) {
            *current = Arc::clone(source);
            self.status.accepted();
        }
    }

    /// Looks at the names under which clients reach the server.
    pub(super) fn with_hosts<T>(&self, look: impl FnOnce(&[String]) -> T) -> T {
        look(&self.source().setup.settings.run.hosts)
    }

    fn source(&self) -> Arc<Source> {
        let source = self.source.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&source)
    }

    /// The current time.
    pub(super) fn now(&self) -> Timestamp {
        self.source().setup.clock.now()
    }

    /// How the process is now.
    pub(super) fn status(&self) -> Status {
        self.status.get()
    }

    /// How everything is, or was some seconds ago.
    pub(super) async fn snapshot(&self) -> Result<Arc<Snapshot>, Failure> {
        let source = self.source();
        let take = Snapshot::take(&source.setup, Some(&source.built), Some(self.status.get()));
        self.snapshot.get(take).await
    }

    /// What `list --output json` prints, or would have printed some seconds ago.
    pub(super) async fn list(&self) -> Result<Arc<String>, Failure> {
        let source = self.source();
        let make = async {
            let mut all = certificates::all(&source.setup, Some(&source.built)).await?;
            certificates::add_stored(&mut all, &source.setup).await?;
            let state = source.setup.settings.state.clone();
            let now = source.setup.clock.now();
            Ok(list_as_json(&Listing::new(all, now, state, None)))
        };
        self.list.get(make).await
    }
}
