//! A stateful fake of the part of Cloudflare's API v4 that writes TXT records, for want of a real
//! one. Every rule names the page of <https://developers.cloudflare.com/> that has it (`api/…`,
//! `dns/…`, `fundamentals/…`) or, where none does, an answer of the real API that somebody wrote down
//! (`owner/repository/issues/…` at <https://github.com/>). What has neither is said to have none. A
//! field, a parameter or a path that is not known here is refused.

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

/// What the Free plan takes in one batch (`dns/manage-dns-records/how-to/batch-record-changes/`).
const BATCH_MAX: usize = 200;
/// Pages are smaller here than what the real API gives, so that there are several.
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
    /// When it expires, where it does.
    pub expires_on: Option<&'static str>,
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
            .route("/client/v4/zones/{zone}/dns_records/export", get(export))
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

/// An answer that says no, in the envelope that every answer has
/// (`api/resources/dns/subresources/records/methods/create/`).
struct Refusal {
    status: u16,
    errors: Value,
}

impl Refusal {
    fn new(status: u16, code: u32, message: &str) -> Self {
        let errors = json!([{ "code": code, "message": message }]);
        Refusal { status, errors }
    }

    /// With the reason one level down.
    fn chained(code: u32, message: &str, reason: (u32, &str)) -> Self {
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

/// What a token that is not known, not active or not allowed gets, which differs between endpoints.
#[derive(Clone, Copy)]
enum Endpoint {
    /// 403 and 9109 (`octodns/octodns-cloudflare/issues/60` and `jeessy2/ddns-go/issues/1341` have
    /// the code with other words).
    Zones,
    /// 10000 (`favonia/cloudflare-ddns/issues/897`, and the developers' pages on Workers for a zone
    /// that does not match the token); that the status is 401 for a token that is not known and 403
    /// for one that may not has no source that could be cited.
    Records,
}

impl Endpoint {
    fn unknown(self) -> Refusal {
        match self {
            Endpoint::Zones => Refusal::new(403, 9_109, "Invalid access token"),
            Endpoint::Records => Refusal::new(401, 10_000, "Authentication error"),
        }
    }

    fn not_allowed(self) -> Refusal {
        match self {
            Endpoint::Zones => {
                Refusal::new(403, 9_109, "Unauthorized to access requested resource")
            }
            Endpoint::Records => Refusal::new(403, 10_000, "Authentication error"),
        }
    }
}

/// `Authorization: Bearer` (`fundamentals/api/how-to/make-api-calls/`); a header in another form gets
/// 400 (`kissgyorgy/cloudflare-dyndns/issues/40`).
fn bearer(headers: &HeaderMap) -> std::result::Result<&str, Refusal> {
    let header = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let token = header.and_then(|header| header.strip_prefix("Bearer "));
    token.ok_or_else(|| {
        let reason = (6_111, "Invalid format for Authorization header");
        Refusal::chained(6_003, "Invalid request headers", reason)
    })
}

fn token(
    account: &Account,
    headers: &HeaderMap,
    endpoint: Endpoint,
) -> std::result::Result<Token, Refusal> {
    match account.tokens.get(bearer(headers)?) {
        Some(known) if known.status == "active" => Ok(known.clone()),
        _ => Err(endpoint.unknown()),
    }
}

/// The zone's name, if the token may do what it is about to. A zone that is not there is one that
/// it may not touch.
fn zone_of(
    account: &Account,
    headers: &HeaderMap,
    zone: &str,
    endpoint: Endpoint,
    allowed: impl Fn(&Token) -> Vec<String>,
) -> std::result::Result<String, Refusal> {
    let token = token(account, headers, endpoint)?;
    match account.zones.get(zone) {
        Some((name, _)) if allowed(&token).iter().any(|id| id == zone) => Ok(name.clone()),
        _ => Err(endpoint.not_allowed()),
    }
}

/// A token may read what it may edit: *DNS Read* or *DNS Write*, at least one
/// (`api/resources/dns/subresources/records/methods/list/`).
fn read_or_edit(token: &Token) -> Vec<String> {
    token
        .dns_read
        .iter()
        .chain(&token.dns_edit)
        .cloned()
        .collect()
}

/// `GET /user/tokens/verify` (`api/resources/user/subresources/tokens/methods/verify/`), which has the
/// three states; the words for an unknown token are in the tests of `favonia/cloudflare-ddns`.
async fn verify_token(State(state): State<Shared>, headers: HeaderMap) -> Answer {
    let account = state.lock();
    match account.tokens.get(bearer(&headers)?) {
        Some(known) => Ok(match known.expires_on {
            Some(end) => success(&json!({ "id": "0", "status": known.status, "expires_on": end })),
            None => success(&json!({ "id": "0", "status": known.status })),
        }),
        None => Err(Refusal::new(401, 1_000, "Invalid API Token")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ZoneQuery {
    name: Option<String>,
    page: Option<usize>,
    per_page: Option<usize>,
}

/// `GET /zones` (`api/resources/zones/methods/list/`): a token sees the zones among its resources.
async fn list_zones(
    State(state): State<Shared>,
    headers: HeaderMap,
    Query(query): Query<ZoneQuery>,
) -> Answer {
    let account = state.lock();
    let token = token(&account, &headers, Endpoint::Zones)?;
    let has = |id: &String| token.dns_read.contains(id) || token.dns_edit.contains(id);
    let sees = |id: &String| token.zone_read && has(id);
    let is_it = |zone: &String| query.name.as_ref().is_none_or(|name| name == zone);
    let zones: Vec<_> = account
        .zones
        .iter()
        .filter(|(id, (zone, _))| sees(id) && is_it(zone))
        .map(|(id, (zone, _))| json!({ "id": id, "name": zone, "status": "active" }))
        .collect();
    Ok(page(&zones, query.page, query.per_page))
}

/// One page of a list, with `result_info` (`api/resources/zones/methods/list/`).
fn page(found: &[Value], page: Option<usize>, per_page: Option<usize>) -> axum::Json<Value> {
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

/// `GET /zones/{zone_id}` (`api/resources/zones/methods/get/`)
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
    let name = zone_of(&account, &headers, &zone, Endpoint::Zones, may)?;
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

/// `GET /zones/{zone_id}/dns_records` (`api/resources/dns/subresources/records/methods/list/`)
async fn list(
    State(state): State<Shared>,
    headers: HeaderMap,
    Path(zone): Path<String>,
    Query(query): Query<RecordQuery>,
) -> Answer {
    let account = state.lock();
    zone_of(&account, &headers, &zone, Endpoint::Records, read_or_edit)?;
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
        .map(shown)
        .collect();
    Ok(page(&found, query.page, query.per_page))
}

/// `GET /zones/{zone_id}/dns_records/export`: a zone file without the envelope
/// (`api/resources/dns/subresources/records/methods/export/`), whose beginning is as in
/// `pdxruby/pdxruby.github.io/issues/69`.
async fn export(
    State(state): State<Shared>,
    headers: HeaderMap,
    Path(zone): Path<String>,
) -> std::result::Result<String, Refusal> {
    let account = state.lock();
    let name = zone_of(&account, &headers, &zone, Endpoint::Records, read_or_edit)?;
    Ok(format!(
        ";;\n;; Domain:     {name}.\n;; Exported:   2026-01-01 00:00:00\n;;\n\n;; SOA Record\n\
         {name}.\t3600\tIN\tSOA\t{name}. root.{name}. 1 7200 3600 86400 3600\n"
    ))
}

fn shown(record: &CloudflareRecord) -> Value {
    json!({ "id": record.id, "type": record.kind, "name": record.name, "content": record.content })
}

/// `api/resources/dns/subresources/records/methods/create/`
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

/// The body, which must say that it is JSON (`mcblum/ddclient-cloudflare-ubuntu/issues/2`) and be it
/// (`undefinedplayer/cloudflare-ddns/pull/6`). For a field that is not known, which the real API may
/// well take, there is no code: this one is the fake's.
fn parsed<'a, T: Deserialize<'a>>(
    headers: &HeaderMap,
    body: &'a Bytes,
) -> std::result::Result<T, Refusal> {
    if headers
        .get("content-type")
        .is_none_or(|value| value != "application/json")
    {
        let reason = (6_105, "Invalid Content-Type header");
        return Err(Refusal::chained(6_003, "Invalid request headers", reason));
    }
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("Malformed JSON in request body: {error}");
        Refusal::new(400, 6_007, &message)
    })
}

/// `POST /zones/{zone_id}/dns_records` (`api/resources/dns/subresources/records/methods/create/`)
async fn create(
    State(state): State<Shared>,
    headers: HeaderMap,
    Path(zone): Path<String>,
    body: Bytes,
) -> Answer {
    let mut account = state.lock();
    zone_of(&account, &headers, &zone, Endpoint::Records, |token| {
        token.dns_edit.clone()
    })?;
    let made = make(&mut account, &zone, &parsed(&headers, &body)?)?;
    account.changed(&zone);
    Ok(success(&shown(&made)))
}

/// `DELETE /zones/{zone_id}/dns_records/{dns_record_id}`
/// (`api/resources/dns/subresources/records/methods/delete/`)
async fn remove(
    State(state): State<Shared>,
    headers: HeaderMap,
    Path((zone, record)): Path<(String, String)>,
) -> Answer {
    let mut account = state.lock();
    zone_of(&account, &headers, &zone, Endpoint::Records, |token| {
        token.dns_edit.clone()
    })?;
    unmake(&mut account, &zone, &record)?;
    account.changed(&zone);
    Ok(success(&json!({ "id": record })))
}

/// `POST /zones/{zone_id}/dns_records/batch`: deletes, then posts, in one transaction
/// (`api/resources/dns/subresources/records/methods/batch/`).
async fn batch(
    State(state): State<Shared>,
    headers: HeaderMap,
    Path(zone): Path<String>,
    body: Bytes,
) -> Answer {
    let mut account = state.lock();
    zone_of(&account, &headers, &zone, Endpoint::Records, |token| {
        token.dns_edit.clone()
    })?;
    let batch: Batch = parsed(&headers, &body)?;
    if batch.deletes.len() + batch.posts.len() > BATCH_MAX {
        // Of this refusal neither status nor code has a source.
        return Err(Refusal::new(400, 1_004, "DNS Validation Error"));
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

/// Removes a record by its id (`zanjie1999/cloudflare-api-v4-ddns/issues/5` for one that is not there;
/// the status has no source).
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

/// Makes a record, unless something stands in its way.
fn make(
    account: &mut Account,
    zone: &str,
    new: &NewRecord,
) -> std::result::Result<CloudflareRecord, Refusal> {
    let refused = |code, message| Err(Refusal::new(400, code, message));
    let invalid = |code, message| {
        Err(Refusal::chained(
            1_004,
            "DNS Validation Error",
            (code, message),
        ))
    };
    // `timothymiller/cloudflare-ddns/issues/179`
    if new.ttl != 1 && !(60..=86_400).contains(&new.ttl) {
        let message = "TTL must be between 60 and 86400 seconds, or 1 for Automatic.";
        return invalid(9_021, message);
    }
    // The fake's own rule: nothing else is to be made.
    if new.r#type != "TXT" {
        return refused(1_004, "only TXT records are made here");
    }
    // Quotes are asked for (`api/resources/dns/subresources/records/methods/create/`); records
    // without them are taken, and are there in many zones.
    let quota = account.quota;
    let Some((apex, records)) = account.zones.get(zone) else {
        return Err(Endpoint::Records.not_allowed());
    };
    // A name that does not end with the zone's is relative to it (`NewFuture/DDNS/issues/21`).
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
    // `favonia/cloudflare-ddns/issues/990`
    if at_name().any(|record| record.kind == "CNAME") {
        return refused(81_054, "A CNAME record with that host already exists.");
    }
    // `jeessy2/ddns-go/issues/1378`
    if at_name().any(|record| record.kind == "TXT" && record.content == new.content) {
        return refused(81_058, "An identical record already exists.");
    }
    // `js-org/js.org/issues/2873`
    if quota.is_some_and(|quota| records.len() >= quota) {
        return refused(81_045, "Record quota exceeded.");
    }
    match account.insert(zone, "TXT", &name, &new.content) {
        Some(record) => Ok(record),
        None => Err(Endpoint::Records.not_allowed()),
    }
}
