//! An HTTP server that answers by a script: for what no server does when it is asked to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::error::Result;
use crate::serve::Running;

const BODY_MAX: usize = 1024 * 1024;

/// A request, as the script sees it.
#[derive(Clone, Debug)]
pub struct StubRequest {
    /// The method.
    pub method: String,
    /// The path, with the query.
    pub path: String,
    /// The header of that name.
    pub authorization: Option<String>,
    /// The body.
    pub body: String,
}

/// What the script says.
#[derive(Clone, Debug)]
pub enum Reply {
    /// This status and body.
    Answer(u16, String),
    /// This header and body, with status 200.
    Headed((&'static str, &'static str), String),
    /// A redirect to this URL.
    Redirect(String),
    /// Nothing, ever.
    Silence,
}

type Script = Arc<Mutex<dyn FnMut(&StubRequest) -> Reply + Send>>;

/// The running server.
#[derive(Debug)]
pub struct Stub {
    server: Running,
}

impl Stub {
    /// Answers every request with what `script` says.
    pub fn start(script: impl FnMut(&StubRequest) -> Reply + Send + 'static) -> Result<Stub> {
        let script: Script = Arc::new(Mutex::new(script));
        let app = Router::new().fallback(answer).with_state(script);
        Ok(Stub {
            server: Running::start(app)?,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_MAX).await.unwrap_or_default();
    let authorization = parts.headers.get("authorization");
    let asked = StubRequest {
        authorization: authorization.map(|value| String::from_utf8_lossy(value.as_bytes()).into()),
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let reply = {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        script(&asked)
    };
    match reply {
        Reply::Answer(status, body) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, body).into_response()
        }
        Reply::Headed(header, body) => ([header], body).into_response(),
        Reply::Redirect(url) => (StatusCode::FOUND, [("location", url)]).into_response(),
        Reply::Silence => std::future::pending().await,
    }
}
