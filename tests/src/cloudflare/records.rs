//! The records of a zone.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{Endpoint, read_or_edit, zone_of};
use super::account::{Account, CloudflareRecord, Shared};
use super::answer::{Answer, Refusal, page, success};

/// What the Free plan takes in one batch (`dns/manage-dns-records/how-to/batch-record-changes/`).
const BATCH_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordQuery {
    r#type: Option<String>,
    #[serde(rename = "name.exact")]
    name: Option<String>,
    page: Option<usize>,
    per_page: Option<usize>,
}

/// `GET /zones/{zone_id}/dns_records` (`api/resources/dns/subresources/records/methods/list/`)
pub(super) async fn list(
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
pub(super) async fn export(
    State(state): State<Shared>,
    headers: HeaderMap,
    Path(zone): Path<String>,
) -> Result<String, Refusal> {
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
fn parsed<'a, T: Deserialize<'a>>(headers: &HeaderMap, body: &'a Bytes) -> Result<T, Refusal> {
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
pub(super) async fn create(
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
pub(super) async fn remove(
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
pub(super) async fn batch(
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

fn carry_out(account: &mut Account, zone: &str, batch: &Batch) -> Result<Vec<Value>, Refusal> {
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
fn unmake(account: &mut Account, zone: &str, id: &str) -> Result<(), Refusal> {
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
fn make(account: &mut Account, zone: &str, new: &NewRecord) -> Result<CloudflareRecord, Refusal> {
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
