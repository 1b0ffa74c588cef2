//! What a token may do, and the zones that it sees.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use super::account::{Account, Shared, Token};
use super::answer::{Answer, Refusal, page, success};

/// What a token that is not known, not active or not allowed gets, which differs between endpoints.
#[derive(Clone, Copy)]
pub(super) enum Endpoint {
    /// 403 and 9109 (`octodns/octodns-cloudflare/issues/60` and `jeessy2/ddns-go/issues/1341` have
    /// the code with other words).
    Zones,
    /// 10000 (`favonia/cloudflare-ddns/issues/897`, and the developers' pages on Workers for a zone
    /// that does not match the token); that the status is 401 for a token that is not known and 403
    /// for one that may not has no source that could be cited.
    Records,
}

impl Endpoint {
    pub(super) fn unknown(self) -> Refusal {
        match self {
            Endpoint::Zones => Refusal::new(403, 9_109, "Invalid access token"),
            Endpoint::Records => Refusal::new(401, 10_000, "Authentication error"),
        }
    }

    pub(super) fn not_allowed(self) -> Refusal {
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
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let header = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let token = header.and_then(|header| header.strip_prefix("Bearer "));
    token.ok_or_else(|| {
        let reason = (6_111, "Invalid format for Authorization header");
        Refusal::chained(6_003, "Invalid request headers", reason)
    })
}

fn token(account: &Account, headers: &HeaderMap, endpoint: Endpoint) -> Result<Token, Refusal> {
    match account.tokens.get(bearer(headers)?) {
        Some(known) if known.status == "active" => Ok(known.clone()),
        _ => Err(endpoint.unknown()),
    }
}

/// The zone's name, if the token may do what it is about to. A zone that is not there is one that
/// it may not touch.
pub(super) fn zone_of(
    account: &Account,
    headers: &HeaderMap,
    zone: &str,
    endpoint: Endpoint,
    allowed: impl Fn(&Token) -> Vec<String>,
) -> Result<String, Refusal> {
    let token = token(account, headers, endpoint)?;
    match account.zones.get(zone) {
        Some((name, _)) if allowed(&token).iter().any(|id| id == zone) => Ok(name.clone()),
        _ => Err(endpoint.not_allowed()),
    }
}

/// A token may read what it may edit: *DNS Read* or *DNS Write*, at least one
/// (`api/resources/dns/subresources/records/methods/list/`).
pub(super) fn read_or_edit(token: &Token) -> Vec<String> {
    token
        .dns_read
        .iter()
        .chain(&token.dns_edit)
        .cloned()
        .collect()
}

/// `GET /user/tokens/verify` (`api/resources/user/subresources/tokens/methods/verify/`), which has the
/// three states; the words for an unknown token are in the tests of `favonia/cloudflare-ddns`.
pub(super) async fn verify_token(State(state): State<Shared>, headers: HeaderMap) -> Answer {
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
pub(super) struct ZoneQuery {
    name: Option<String>,
    page: Option<usize>,
    per_page: Option<usize>,
}

/// `GET /zones` (`api/resources/zones/methods/list/`): a token sees the zones among its resources.
pub(super) async fn list_zones(
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
        .map(|(id, (zone, _))| account.zone(id, zone))
        .collect();
    Ok(page(&zones, query.page, query.per_page))
}

/// `GET /zones/{zone_id}` (`api/resources/zones/methods/get/`)
pub(super) async fn show_zone(
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
    Ok(success(&account.zone(&zone, &name)))
}
