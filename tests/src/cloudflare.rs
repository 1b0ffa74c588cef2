//! A stateful fake of the part of Cloudflare's API v4 that writes TXT records, for want of a real
//! one. Every rule names the page of <https://developers.cloudflare.com/> that has it (`api/…`,
//! `dns/…`, `fundamentals/…`) or, where none does, an answer of the real API that somebody wrote down
//! (`owner/repository/issues/…` at <https://github.com/>). What has neither is said to have none. A
//! field, a parameter or a path that is not known here is refused.

mod access;
mod account;
mod answer;
mod records;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde_json::json;

use self::account::Shared;
pub use self::account::{CloudflareRecord, Injected, Token};
use self::answer::{Refusal, status_code};
use crate::error::Result;
use crate::serve::Running;

/// The running fake.
pub struct CloudflareFake {
    server: Running,
    state: Shared,
}

impl CloudflareFake {
    /// Starts with no zone and no token.
    pub fn start() -> Result<CloudflareFake> {
        let state = Shared::default();
        let app = Router::new()
            .route("/client/v4/user/tokens/verify", get(access::verify_token))
            .route("/client/v4/zones", get(access::list_zones))
            .route("/client/v4/zones/{zone}", get(access::show_zone))
            .route(
                "/client/v4/zones/{zone}/dns_records",
                get(records::list).post(records::create),
            )
            .route(
                "/client/v4/zones/{zone}/dns_records/batch",
                post(records::batch),
            )
            .route(
                "/client/v4/zones/{zone}/dns_records/export",
                get(records::export),
            )
            .route(
                "/client/v4/zones/{zone}/dns_records/{record}",
                delete(records::remove),
            )
            .fallback(no_route)
            .method_not_allowed_fallback(no_route)
            .layer(axum::middleware::from_fn_with_state(state.clone(), watch))
            .with_state(state.clone());
        Ok(CloudflareFake {
            server: Running::start(app)?,
            state,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The URL for the option `base-url`.
    pub fn base_url(&self) -> String {
        format!("http://{}/client/v4", self.address())
    }

    /// Adds a zone; returns its id.
    pub fn add_zone(&self, name: &str) -> String {
        let mut account = self.state.lock();
        let id = format!("{:032x}", 0xacce_5500 + account.zones.len());
        account
            .zones
            .insert(id.clone(), (name.to_owned(), Vec::new()));
        id
    }

    /// Gives a zone another status than `active`.
    pub fn set_status(&self, zone: &str, status: &str) {
        let mut account = self.state.lock();
        account.statuses.insert(zone.to_owned(), status.to_owned());
    }

    /// Assigns other servers to a zone than `anna` and `bob`.
    pub fn set_name_servers(&self, zone: &str, servers: &[&str]) {
        let servers = servers.iter().map(|server| (*server).to_owned()).collect();
        let mut account = self.state.lock();
        account.name_servers.insert(zone.to_owned(), servers);
    }

    /// Adds a token.
    pub fn add_token(&self, token: &str, may: Token) {
        self.state.lock().tokens.insert(token.to_owned(), may);
    }

    /// Adds a record as another hand would.
    pub fn add_record(&self, zone: &str, kind: &str, name: &str, content: &str) {
        self.state.lock().insert(zone, kind, name, content);
    }

    /// The records of a zone, in the order in which they were made.
    pub fn records(&self, zone: &str) -> Vec<CloudflareRecord> {
        let account = self.state.lock();
        account
            .zones
            .get(zone)
            .map(|(_, records)| records.clone())
            .unwrap_or_default()
    }

    /// Methods and paths of the requests so far.
    pub fn requests(&self) -> Vec<(Method, String)> {
        self.state.lock().requests.clone()
    }

    /// Limits the number of records in a zone.
    pub fn set_quota(&self, records: usize) {
        self.state.lock().quota = Some(records);
    }

    /// Lets `injection` decide about every request before the fake does.
    pub fn inject(
        &self,
        injection: impl Fn(&Method, &str) -> Option<Injected> + Send + Sync + 'static,
    ) {
        self.state.lock().injection = Some(Arc::new(injection));
    }

    /// Calls `on_change` with the name and the records of a zone whenever they have changed,
    /// before the answer goes out.
    pub fn on_change(&self, on_change: impl Fn(&str, &[CloudflareRecord]) + Send + 'static) {
        self.state.lock().on_change = Some(Box::new(on_change));
    }
}

/// Counts every request, and answers it where the test has something to say.
async fn watch(
    State(state): State<Shared>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let injection = {
        let mut account = state.lock();
        account.requests.push((method.clone(), path.clone()));
        account.injection.clone()
    };
    let injected = injection.and_then(|injection| injection(&method, &path));
    match injected {
        None => next.run(request).await,
        Some(Injected::Silence) => std::future::pending().await,
        Some(Injected::Answer(status, headers, body)) => {
            let mut response = (status_code(status), body).into_response();
            for (name, value) in headers {
                if let Ok(value) = value.parse() {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
    }
}

/// A path or method that is not among those above: both codes come together
/// (`DonnchaC/cloudflare-tor-whitelister/issues/4`); the status has no source.
async fn no_route(uri: Uri) -> Refusal {
    let path = uri.path().trim_start_matches("/client/v4");
    let message = format!("Could not route to {path}, perhaps your object identifier is invalid?");
    Refusal {
        status: 404,
        errors: json!([
            { "code": 7_003, "message": message },
            { "code": 7_000, "message": "No route for that URI" },
        ]),
    }
}
