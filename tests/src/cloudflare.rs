//! A stateful fake of the part of Cloudflare's API v4 that writes TXT records, for want of a real
//! one. Its paths are those of <https://developers.cloudflare.com/api/>; it refuses every field and
//! parameter that it does not know. Which code stands for which refusal is documented for few of
//! them: the codes here have not been compared with the real API.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Result;
use crate::serve::Running;

/// What the Free plan takes in one batch:
/// <https://developers.cloudflare.com/dns/manage-dns-records/how-to/batch-record-changes/>.
const BATCH_MAX: usize = 200;
/// Pages are smaller than what the real API allows, so that there are several.
const PER_PAGE_MAX: usize = 100;

/// The running fake.
pub struct CloudflareFake {
    server: Running,
    state: Shared,
}

/// A record, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudflareRecord {
    /// 32 hexadecimal digits.
    pub id: String,
    /// `TXT`, or another type.
    pub kind: String,
    /// The owner, absolute, without the final dot.
    pub name: String,
    /// For a TXT record the value, in quotes or not.
    pub content: String,
}

/// What a token may do.
#[derive(Clone, Debug)]
pub struct Token {
    /// `active`, `disabled` or `expired`.
    pub status: &'static str,
    /// The ids of the zones it may read the records of.
    pub dns_read: Vec<String>,
    /// The ids of the zones it may edit the records of.
    pub dns_edit: Vec<String>,
    /// Whether it may list zones (Zone:Read).
    pub zone_read: bool,
}

/// What a test puts in place of an answer.
pub enum Injected {
    /// This status, with these headers and this body.
    Answer(u16, Vec<(&'static str, &'static str)>, String),
    /// No answer at all.
    Silence,
}

type Injection = Arc<dyn Fn(&Method, &str) -> Option<Injected> + Send + Sync>;
type OnChange = Box<dyn Fn(&str, &[CloudflareRecord]) + Send>;

#[derive(Default)]
struct Account {
    /// By id: the zone's name, and its records.
    zones: BTreeMap<String, (String, Vec<CloudflareRecord>)>,
    tokens: BTreeMap<String, Token>,
    quota: Option<usize>,
    records_made: u64,
    requests: Vec<(Method, String)>,
    injection: Option<Injection>,
    on_change: Option<OnChange>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Account>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CloudflareFake {
    /// Starts with no zone and no token.
    pub fn start() -> Result<CloudflareFake> {
        let state = Shared::default();
        let app = Router::new()
            .route("/client/v4/user/tokens/verify", get(verify_token))
            .route("/client/v4/zones", get(list_zones))
            .route("/client/v4/zones/{zone}", get(show_zone))
            .route(
                "/client/v4/zones/{zone}/dns_records",
                get(list).post(create),
            )
            .route("/client/v4/zones/{zone}/dns_records/batch", post(batch))
            .route(
                "/client/v4/zones/{zone}/dns_records/{record}",
                delete(remove),
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

impl Account {
    fn insert(
        &mut self,
        zone: &str,
        kind: &str,
        name: &str,
        content: &str,
    ) -> Option<CloudflareRecord> {
        self.records_made += 1;
        let record = CloudflareRecord {
            id: format!("{:032x}", self.records_made),
            kind: kind.to_owned(),
            name: name.to_owned(),
            content: content.to_owned(),
        };
        let (_, records) = self.zones.get_mut(zone)?;
        records.push(record.clone());
        Some(record)
    }

    fn changed(&self, zone: &str) {
        if let (Some(on_change), Some((name, records))) = (&self.on_change, self.zones.get(zone)) {
            on_change(name, records);
        }
    }
}

/// An answer that says no.
struct Refusal(u16, u32, String);

impl Refusal {
    fn new(status: u16, code: u32, message: &str) -> Self {
        Refusal(status, code, message.to_owned())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Refusal(status, code, message) = self;
        let errors = json!([{ "code": code, "message": message }]);
        let body = json!({ "success": false, "errors": errors, "messages": [], "result": null });
        (status_code(status), axum::Json(body)).into_response()
    }
}

type Answer = std::result::Result<axum::Json<Value>, Refusal>;

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn success(result: &Value) -> axum::Json<Value> {
    axum::Json(json!({ "success": true, "errors": [], "messages": [], "result": result }))
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

/// A path or method that is not among those above.
async fn no_route(method: Method, uri: Uri) -> Refusal {
    Refusal(
        405,
        7_001,
        format!("Method {method} not available for {}", uri.path()),
    )
}

/// The token of a request: `Authorization: Bearer`
/// (<https://developers.cloudflare.com/fundamentals/api/how-to/make-api-calls/>).
fn token(account: &Account, headers: &HeaderMap) -> std::result::Result<Token, Refusal> {
    let header = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let Some(token) = header.and_then(|header| header.strip_prefix("Bearer ")) else {
        return Err(Refusal::new(400, 6_003, "Invalid request headers"));
    };
    match account.tokens.get(token) {
        Some(known) if known.status == "active" => Ok(known.clone()),
        _ => Err(Refusal::new(403, 9_109, "Invalid access token")),
    }
}

/// The zone's id, if it is there and the token may do what it is about to.
fn zone_of(
    account: &Account,
    headers: &HeaderMap,
    zone: &str,
    allowed: impl Fn(&Token) -> Vec<String>,
) -> std::result::Result<(), Refusal> {
    let token = token(account, headers)?;
    if !account.zones.contains_key(zone) {
        let path = format!(
            "Could not route to /client/v4/zones/{zone}/dns_records, perhaps your object identifier is invalid?"
        );
        return Err(Refusal(404, 7_003, path));
    }
    if allowed(&token).iter().any(|allowed| allowed == zone) {
        return Ok(());
    }
    Err(Refusal::new(403, 10_000, "Authentication error"))
}

/// `GET /user/tokens/verify`
async fn verify_token(State(state): State<Shared>, headers: HeaderMap) -> Answer {
    let account = state.lock();
    let header = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let token = header.and_then(|header| header.strip_prefix("Bearer "));
    match token.and_then(|token| account.tokens.get(token)) {
        Some(known) => Ok(success(&json!({ "id": "0", "status": known.status }))),
        None => Err(Refusal::new(401, 1_000, "Invalid API Token")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ZoneQuery {
    name: String,
}

/// `GET /zones`: a token sees the zones among its resources only.
async fn list_zones(
    State(state): State<Shared>,
    headers: HeaderMap,
    Query(ZoneQuery { name }): Query<ZoneQuery>,
) -> Answer {
    let account = state.lock();
    let token = token(&account, &headers)?;
    let zones: Vec<_> = account
        .zones
        .iter()
        .filter(|(id, (zone, _))| token.zone_read && token.dns_edit.contains(id) && *zone == name)
        .map(|(id, (zone, _))| json!({ "id": id, "name": zone, "status": "active" }))
        .collect();
    Ok(success(&zones.into()))
}

/// `GET /zones/{zone_id}`
async fn show_zone(
    State(state): State<Shared>,
    headers: HeaderMap,
    Path(zone): Path<String>,
) -> Answer {
    let account = state.lock();
    let may = |token: &Token| {
        if token.zone_read {
            token.dns_edit.clone()
        } else {
            Vec::new()
        }
    };
    zone_of(&account, &headers, &zone, may)?;
    let name = account.zones.get(&zone).map(|(name, _)| name);
    Ok(success(
        &json!({ "id": zone, "name": name, "status": "active" }),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordQuery {
    r#type: Option<String>,
    #[serde(rename = "name.exact")]
    name: Option<String>,
    page: Option<usize>,
    per_page: Option<usize>,
}

/// `GET /zones/{zone_id}/dns_records`
async fn list(
    State(state): State<Shared>,
    headers: HeaderMap,
    Path(zone): Path<String>,
    Query(query): Query<RecordQuery>,
) -> Answer {
    let account = state.lock();
    zone_of(&account, &headers, &zone, |token| token.dns_read.clone())?;
    let records = account
        .zones
        .get(&zone)
        .map(|(_, records)| records.as_slice());
    let found: Vec<_> = records
        .unwrap_or_default()
        .iter()
        .filter(|record| {
            query
                .r#type
                .as_ref()
                .is_none_or(|kind| *kind == record.kind)
        })
        .filter(|record| {
            let same = |name: &String| record.name.eq_ignore_ascii_case(name);
            query.name.as_ref().is_none_or(same)
        })
        .collect();
    let per_page = query
        .per_page
        .unwrap_or(PER_PAGE_MAX)
        .clamp(1, PER_PAGE_MAX);
    let page = query.page.unwrap_or(1).max(1);
    let shown: Vec<_> = found
        .iter()
        .skip((page - 1) * per_page)
        .take(per_page)
        .map(|record| shown(record))
        .collect();
    let info = json!({
        "page": page, "per_page": per_page, "count": shown.len(),
        "total_count": found.len(), "total_pages": found.len().div_ceil(per_page),
    });
    Ok(axum::Json(
        json!({ "success": true, "errors": [], "messages": [], "result": shown, "result_info": info }),
    ))
}

fn shown(record: &CloudflareRecord) -> Value {
    json!({ "id": record.id, "type": record.kind, "name": record.name, "content": record.content })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRecord {
    r#type: String,
    name: String,
    content: String,
    ttl: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    #[serde(default)]
    deletes: Vec<RecordId>,
    #[serde(default)]
    posts: Vec<NewRecord>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordId {
    id: String,
}

fn parsed<'a, T: Deserialize<'a>>(
    headers: &HeaderMap,
    body: &'a Bytes,
) -> std::result::Result<T, Refusal> {
    if headers
        .get("content-type")
        .is_none_or(|value| value != "application/json")
    {
        return Err(Refusal::new(400, 6_003, "Invalid request headers"));
    }
    serde_json::from_slice(body)
        .map_err(|error| Refusal(400, 9_207, format!("Request body is invalid: {error}")))
}

/// `POST /zones/{zone_id}/dns_records`
async fn create(
    State(state): State<Shared>,
    headers: HeaderMap,
    Path(zone): Path<String>,
    body: Bytes,
) -> Answer {
    let mut account = state.lock();
    zone_of(&account, &headers, &zone, |token| token.dns_edit.clone())?;
    let made = make(&mut account, &zone, &parsed(&headers, &body)?)?;
    account.changed(&zone);
    Ok(success(&shown(&made)))
}

/// `DELETE /zones/{zone_id}/dns_records/{dns_record_id}`
async fn remove(
    State(state): State<Shared>,
    headers: HeaderMap,
    Path((zone, record)): Path<(String, String)>,
) -> Answer {
    let mut account = state.lock();
    zone_of(&account, &headers, &zone, |token| token.dns_edit.clone())?;
    unmake(&mut account, &zone, &record)?;
    account.changed(&zone);
    Ok(success(&json!({ "id": record })))
}

/// `POST /zones/{zone_id}/dns_records/batch`: deletes, then posts, in one transaction.
async fn batch(
    State(state): State<Shared>,
    headers: HeaderMap,
    Path(zone): Path<String>,
    body: Bytes,
) -> Answer {
    let mut account = state.lock();
    zone_of(&account, &headers, &zone, |token| token.dns_edit.clone())?;
    let batch: Batch = parsed(&headers, &body)?;
    if batch.deletes.len() + batch.posts.len() > BATCH_MAX {
        // The documentation has the limit, and no code for it.
        return Err(Refusal::new(400, 9_999, "too many changes in one batch"));
    }
    let before = account.zones.get(&zone).cloned();
    let carried_out = carry_out(&mut account, &zone, &batch);
    match carried_out {
        Ok(posts) => {
            account.changed(&zone);
            let result = json!({ "deletes": [], "patches": [], "puts": [], "posts": posts });
            Ok(success(&result))
        }
        Err(refusal) => {
            account.zones.extend(before.map(|before| (zone, before)));
            Err(refusal)
        }
    }
}

fn carry_out(
    account: &mut Account,
    zone: &str,
    batch: &Batch,
) -> std::result::Result<Vec<Value>, Refusal> {
    for delete in &batch.deletes {
        unmake(account, zone, &delete.id)?;
    }
    let made = batch
        .posts
        .iter()
        .map(|post| Ok(shown(&make(account, zone, post)?)));
    made.collect()
}

fn unmake(account: &mut Account, zone: &str, id: &str) -> std::result::Result<(), Refusal> {
    let gone = || Refusal::new(404, 81_044, "Record does not exist.");
    let (_, records) = account.zones.get_mut(zone).ok_or_else(gone)?;
    let before = records.len();
    records.retain(|record| record.id != id);
    if records.len() == before {
        Err(gone())
    } else {
        Ok(())
    }
}

/// Makes a record, unless another one stands in its way.
fn make(
    account: &mut Account,
    zone: &str,
    new: &NewRecord,
) -> std::result::Result<CloudflareRecord, Refusal> {
    let refused = |code, message| Err(Refusal::new(400, code, message));
    if new.ttl != 1 && !(60..=86_400).contains(&new.ttl) {
        return refused(
            9_021,
            "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.",
        );
    }
    if new.r#type != "TXT" {
        return refused(9_004, "only TXT records are made here");
    }
    let quota = account.quota;
    let Some((apex, records)) = account.zones.get(zone) else {
        return refused(7_003, "no such zone");
    };
    // A name that does not end with the zone's is relative to it.
    let name = new.name.to_ascii_lowercase();
    let within = name == *apex || name.ends_with(&format!(".{apex}"));
    let name = if within {
        name
    } else {
        format!("{name}.{apex}")
    };
    let at_name = || {
        records
            .iter()
            .filter(|record| record.name.eq_ignore_ascii_case(&name))
    };
    if at_name().any(|record| record.kind == "CNAME") {
        return refused(81_054, "A CNAME record with that host already exists.");
    }
    if at_name().any(|record| record.kind == "TXT" && record.content == new.content) {
        return refused(81_058, "An identical record already exists.");
    }
    if quota.is_some_and(|quota| records.len() >= quota) {
        return refused(81_045, "Record quota exceeded.");
    }
    match account.insert(zone, "TXT", &name, &new.content) {
        Some(record) => Ok(record),
        None => refused(7_003, "no such zone"),
    }
}
