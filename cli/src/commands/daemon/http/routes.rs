//! What is served where.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::guard::{Allowed, guard};
use super::shared::Shared;
use crate::failure::Failure;
use crate::report::{metrics, page};

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
    let page = shared.page().await?;
    let policy = [(CONTENT_SECURITY_POLICY, page::header_policy())];
    Ok((policy, Html(page)).into_response())
}

/// The health is never cached: it costs nothing.
async fn health(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    match shared.status().health(shared.now()) {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn metrics_text(State(shared): State<Arc<Shared>>) -> Result<Response, Failed> {
    let text = shared.metrics().await?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

/// The same as `list --output json` prints.
async fn list(State(shared): State<Arc<Shared>>) -> Result<Response, Failed> {
    let list = shared.list().await?;
    Ok(([(CONTENT_TYPE, "application/json")], list).into_response())
}

/// The state folder could not be read.
struct Failed(Failure);

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Failed(failure)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let remedy = self.0.remedy.as_deref().unwrap_or_default();
        let text = format!("{}\n{remedy}\n", self.0);
        (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
    }
}
