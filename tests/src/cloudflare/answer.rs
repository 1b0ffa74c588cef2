//! Answers, in the envelope that every answer has.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Pages are smaller here than what the real API gives, so that there are several.
const PER_PAGE_MAX: usize = 100;

/// An answer that says no, in the envelope that every answer has
/// (`api/resources/dns/subresources/records/methods/create/`).
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) errors: Value,
}

impl Refusal {
    pub(super) fn new(status: u16, code: u32, message: &str) -> Self {
        let errors = json!([{ "code": code, "message": message }]);
        Refusal { status, errors }
    }

    /// With the reason one level down.
    pub(super) fn chained(code: u32, message: &str, reason: (u32, &str)) -> Self {
        let chain = json!([{ "code": reason.0, "message": reason.1 }]);
        let errors = json!([{ "code": code, "message": message, "error_chain": chain }]);
        Refusal {
            status: 400,
            errors,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Refusal { status, errors } = self;
        let body = json!({ "success": false, "errors": errors, "messages": [], "result": null });
        (status_code(status), axum::Json(body)).into_response()
    }
}

pub(super) type Answer = Result<axum::Json<Value>, Refusal>;

pub(super) fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(super) fn success(result: &Value) -> axum::Json<Value> {
    axum::Json(json!({ "success": true, "errors": [], "messages": [], "result": result }))
}

/// One page of a list, with `result_info` (`api/resources/zones/methods/list/`).
pub(super) fn page(
    found: &[Value],
    page: Option<usize>,
    per_page: Option<usize>,
) -> axum::Json<Value> {
    let per_page = per_page.unwrap_or(PER_PAGE_MAX).clamp(1, PER_PAGE_MAX);
    let page = page.unwrap_or(1).max(1);
    let shown: Vec<_> = found
        .iter()
        .skip((page - 1) * per_page)
        .take(per_page)
        .collect();
    let info = json!({
        "page": page, "per_page": per_page, "count": shown.len(),
        "total_count": found.len(), "total_pages": found.len().div_ceil(per_page),
    });
    axum::Json(
        json!({ "success": true, "errors": [], "messages": [], "result": shown, "result_info": info }),
    )
}
