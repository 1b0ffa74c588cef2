//! A gate before the HTTP API of a real PowerDNS, for what Debian's version cannot do: it adds and removes single
//! values as versions from 4.9.12 and 5.0.2 do (`applyPruneOrExtend` in `pdns/ws-auth.cc` of
//! <https://github.com/PowerDNS/pdns>), and another writer can come in between.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::Result;
use crate::serve::Running;

const BODY_MAX: usize = 2 * 1024 * 1024;
const API_KEY: &str = "x-api-key";

/// A running gate.
#[derive(Debug)]
pub struct PowerDnsGate {
    server: Running,
    state: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    api: SocketAddr,
    has_single_values: bool,
    http: reqwest::Client,
    /// One change at a time, as in one transaction.
    turn: tokio::sync::Mutex<()>,
    patches: Mutex<Vec<Value>>,
    intruder: Mutex<Option<Value>>,
}

impl PowerDnsGate {
    /// Starts it before this API. It may let single values through as they are, which old versions refuse.
    pub fn start(api: SocketAddr, has_single_values: bool) -> Result<PowerDnsGate> {
        // An error means that a provider is installed already, which is fine.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let state = Arc::new(Gate {
            api,
            has_single_values,
            http: reqwest::Client::builder().no_proxy().build()?,
            turn: tokio::sync::Mutex::default(),
            patches: Mutex::default(),
            intruder: Mutex::default(),
        });
        let app = Router::new().fallback(pass).with_state(Arc::clone(&state));
        Ok(PowerDnsGate {
            server: Running::start(app)?,
            state,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The changes that came so far.
    pub fn patches(&self) -> Vec<Value> {
        lock(&self.state.patches).clone()
    }

    /// Makes this change of another writer right after the next one that succeeds.
    pub fn intrude(&self, change: Value) {
        *lock(&self.state.intruder) = Some(change);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn pass(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_MAX).await.unwrap_or_default();
    let path = parts.uri.to_string();
    let result = if parts.method == Method::PATCH {
        let changes = serde_json::from_slice(&body).unwrap_or_default();
        gate.patch(&path, &parts.headers, changes).await
    } else {
        let asked = gate.send(parts.method, &path, &parts.headers, body.to_vec());
        asked.await
    };
    match result {
        Ok((status, body)) => (status, body).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

type Answer = std::result::Result<(StatusCode, Vec<u8>), reqwest::Error>;

impl Gate {
    async fn send(&self, method: Method, path: &str, headers: &HeaderMap, body: Vec<u8>) -> Answer {
        let url = format!("http://{}{path}", self.api);
        let mut request = self.http.request(method, url).body(body);
        if let Some(key) = headers.get(API_KEY) {
            request = request.header(API_KEY, key);
        }
        let answer = request.send().await?;
        let status = answer.status();
        Ok((status, answer.bytes().await?.to_vec()))
    }

    async fn patch(&self, path: &str, headers: &HeaderMap, mut changes: Value) -> Answer {
        let _turn = self.turn.lock().await;
        lock(&self.patches).push(changes.clone());
        if self.has_single_values {
            let zone = self.send(Method::GET, path, headers, Vec::new()).await?;
            let zone: Value = serde_json::from_slice(&zone.1).unwrap_or_default();
            changes = match whole_sets(&zone, &changes) {
                Ok(rrsets) => json!({ "rrsets": rrsets }),
                Err(problem) => {
                    let body = json!({ "error": problem }).to_string();
                    return Ok((StatusCode::UNPROCESSABLE_ENTITY, body.into_bytes()));
                }
            };
        }
        let body = changes.to_string().into_bytes();
        let answer = self.send(Method::PATCH, path, headers, body).await?;
        if answer.0.is_success() {
            let intruder = lock(&self.intruder).take();
            if let Some(intruder) = intruder {
                let body = intruder.to_string().into_bytes();
                self.send(Method::PATCH, path, headers, body).await?;
            }
        }
        Ok(answer)
    }
}

/// The changes, with whole sets in place of single values.
fn whole_sets(zone: &Value, changes: &Value) -> std::result::Result<Vec<Value>, String> {
    let mut whole: Vec<Value> = Vec::new();
    for change in changes["rrsets"].as_array().into_iter().flatten() {
        let kind = change["changetype"].as_str().unwrap_or_default();
        if !["EXTEND", "PRUNE"].contains(&kind) {
            whole.push(change.clone());
            continue;
        }
        let [record] = change["records"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
        else {
            return Err(
                "Exactly one record should be provided for PRUNE or EXTEND operation".to_owned(),
            );
        };
        let is_it =
            |set: &&mut Value| set["name"] == change["name"] && set["type"] == change["type"];
        let set = if let Some(set) = whole.iter_mut().find(is_it) {
            set
        } else {
            whole.push(existing(zone, change));
            whole.last_mut().ok_or("nothing was added")?
        };
        let records = set["records"].as_array_mut().ok_or("no records")?;
        let is_there = records
            .iter()
            .any(|other| other["content"] == record["content"]);
        match kind {
            "EXTEND" if !is_there => records.push(record.clone()),
            "PRUNE" => records.retain(|other| other["content"] != record["content"]),
            _ => {}
        }
        if set["ttl"] != change["ttl"] && set["records"] != json!([]) {
            return Err("the records of the RRset have more than one TTL".to_owned());
        }
    }
    Ok(whole)
}

/// The set that a change is about, without disabled records, which the real server loses.
fn existing(zone: &Value, change: &Value) -> Value {
    let sets = zone["rrsets"].as_array();
    let set = sets
        .into_iter()
        .flatten()
        .find(|set| set["name"] == change["name"] && set["type"] == change["type"]);
    let records = set.and_then(|set| set["records"].as_array());
    let shown = records.into_iter().flatten();
    let shown: Vec<_> = shown.filter(|record| record["disabled"] != true).collect();
    json!({
        "name": change["name"],
        "type": change["type"],
        "ttl": set.map_or(&change["ttl"], |set| &set["ttl"]),
        "changetype": "REPLACE",
        "records": shown,
    })
}
