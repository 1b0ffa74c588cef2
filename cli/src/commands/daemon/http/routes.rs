//! What is served where.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;

use super::cache::Cache;
use super::guard::{Allowed, guard};
use crate::commands::daemon::configuration::Source;
use crate::commands::daemon::status::SharedStatus;
use crate::failure::Failure;
use crate::output::{Listing, list_as_json};
use crate::report::{Snapshot, certificates, metrics, page};

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
        *current = Arc::clone(source);
    }

    /// Looks at the names under which clients reach the server.
    pub(super) fn with_hosts<T>(&self, look: impl FnOnce(&[String]) -> T) -> T {
        look(&self.source().setup.settings.run.hosts)
    }

    fn source(&self) -> Arc<Source> {
        let source = self.source.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&source)
    }

    async fn snapshot(&self) -> Result<Arc<Snapshot>, Failed> {
        let source = self.source();
        let take = Snapshot::take(&source.setup, Some(&source.built), Some(self.status.get()));
        self.snapshot.get(take).await.map_err(Failed)
    }
}

/// All that is served.
pub(super) fn router(shared: &Arc<Shared>, allowed: Allowed) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/healthz", get(health))
        .route("/metrics", get(metrics_text))
        .route("/api/v1/certificates", get(list))
        .with_state(Arc::clone(shared))
        .layer(from_fn_with_state((Arc::clone(shared), allowed), guard))
}

async fn status_page(State(shared): State<Arc<Shared>>) -> Result<Response, Failed> {
    let page = page::render(&*shared.snapshot().await?);
    let policy = [(CONTENT_SECURITY_POLICY, page::header_policy())];
    Ok((policy, Html(page)).into_response())
}

/// The health is never cached: it costs nothing.
async fn health(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    match shared.status.get().health(Timestamp::now()) {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn metrics_text(State(shared): State<Arc<Shared>>) -> Result<Response, Failed> {
    let text = metrics::render(&*shared.snapshot().await?);
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

/// The same as `list --output json` prints.
async fn list(State(shared): State<Arc<Shared>>) -> Result<Response, Failed> {
    let source = shared.source();
    let make = async {
        let mut all = certificates::all(&source.setup, Some(&source.built)).await?;
        certificates::add_stored(&mut all, &source.setup).await?;
        let state = source.setup.settings.state.clone();
        Ok(list_as_json(&Listing::new(
            all,
            Timestamp::now(),
            state,
            None,
        )))
    };
    let list = shared.list.get(make).await.map_err(Failed)?;
    let header = [(CONTENT_TYPE, "application/json")];
    Ok((header, list.as_str().to_owned()).into_response())
}

/// The state folder could not be read.
struct Failed(Failure);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let remedy = self.0.remedy.as_deref().unwrap_or_default();
        let text = format!("{}\n{remedy}\n", self.0);
        (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
    }
}
