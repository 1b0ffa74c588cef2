//! Refusals (RFC 8555 §6.7).

use std::fmt::Display;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Why a request is refused or a challenge is not met.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: u16,
    kind: &'static str,
    detail: String,
}

impl Problem {
    /// A problem of a type in ACME's own namespace.
    pub(super) fn new(status: u16, kind: &'static str, detail: impl Display) -> Problem {
        Problem {
            status,
            kind,
            detail: detail.to_string(),
        }
    }

    pub(super) fn malformed(detail: impl Display) -> Problem {
        Problem::new(400, "malformed", detail)
    }

    pub(super) fn body(&self) -> Value {
        json!({
            "type": format!("urn:ietf:params:acme:error:{}", self.kind),
            "detail": self.detail,
            "status": self.status,
        })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, kind, self.body().to_string()).into_response()
    }
}
