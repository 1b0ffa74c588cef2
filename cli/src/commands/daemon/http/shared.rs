//! What the loop and the server share.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use axum::body::Bytes;
use jiff::Timestamp;

use super::cache::Cache;
use crate::commands::daemon::configuration::Source;
use crate::commands::daemon::status::SharedStatus;
use crate::failure::Failure;
use crate::output::{Listing, list_as_json};
use crate::report::{Snapshot, Status, certificates, metrics, page};

/// What answers are made from.
pub(super) struct Shared {
    source: RwLock<Arc<Source>>,
    status: SharedStatus,
    shown: Cache<Shown>,
    list: Cache<Bytes>,
}

/// How everything is at one time, and what is made of that once. All answers share it: clients may be many, and slow.
struct Shown {
    snapshot: Snapshot,
    page: OnceLock<Bytes>,
    metrics: OnceLock<Bytes>,
}

impl Shared {
    pub(super) fn new(source: &Arc<Source>, status: &SharedStatus) -> Self {
        Shared {
            source: RwLock::new(Arc::clone(source)),
            status: status.clone(),
            shown: Cache::default(),
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

    /// The status page of now, or of some seconds ago.
    pub(super) async fn page(&self) -> Result<Bytes, Failure> {
        let shown = self.shown().await?;
        let page = shown
            .page
            .get_or_init(|| page::render(&shown.snapshot).into());
        Ok(page.clone())
    }

    /// The metrics of now, or of some seconds ago.
    pub(super) async fn metrics(&self) -> Result<Bytes, Failure> {
        let shown = self.shown().await?;
        let metrics = shown
            .metrics
            .get_or_init(|| metrics::render(&shown.snapshot).into());
        Ok(metrics.clone())
    }

    async fn shown(&self) -> Result<Arc<Shown>, Failure> {
        let source = self.source();
        let status = Some(self.status.get());
        let make = async move {
            Ok(Shown {
                snapshot: Snapshot::take(&source.setup, Some(&source.built), status).await?,
                page: OnceLock::new(),
                metrics: OnceLock::new(),
            })
        };
        self.shown.get(make).await
    }

    /// What `list --output json` prints, or would have printed some seconds ago.
    pub(super) async fn list(&self) -> Result<Bytes, Failure> {
        let source = self.source();
        let make = async move {
            let mut all = certificates::all(&source.setup, Some(&source.built)).await?;
            certificates::add_stored(&mut all, &source.setup).await?;
            let state = source.setup.settings.state.clone();
            let now = source.setup.clock.now();
            let list = list_as_json(&Listing::new(all, now, state, None));
            Ok::<_, Failure>(Bytes::from(list))
        };
        let list = self.list.get(make).await?;
        Ok(Bytes::clone(&list))
    }
}
