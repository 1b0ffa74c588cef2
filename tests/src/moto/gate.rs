//! What Route 53 refuses and moto does not: a DELETE of a set that is not exactly as it is said to
//! be, and a CREATE of one that is there
//! (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html>).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::error::{Error, Result};
use crate::serve::Running;

const BODY_MAX: usize = 16 * 1024 * 1024;

/// Passes requests on to moto, one at a time.
pub(super) fn start(moto: SocketAddr) -> Result<Running> {
    Running::start(Router::new().fallback(pass).with_state(moto))
}

async fn pass(State(moto): State<SocketAddr>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let passed = match to_bytes(body, BODY_MAX).await {
        Ok(body) => answer(moto, &parts.method, path, &String::from_utf8_lossy(&body)),
        Err(error) => Err(Error::new(error)),
    };
    let (status, body) = passed.unwrap_or_else(|error| (500, error.to_string()));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, body).into_response()
}

fn answer(moto: SocketAddr, method: &Method, path: &str, body: &str) -> Result<(u16, String)> {
    let is_change = *method == Method::POST && path.trim_end_matches('/').ends_with("/rrset");
    if !is_change {
        return super::request(moto, method.as_str(), path, body);
    }
    let (_, listed) = super::request(moto, "GET", path.trim_end_matches('/'), "")?;
    if let Err(reason) = check(body, &listed) {
        let refusal = format!(
            "<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error>\
             <Type>Sender</Type><Code>InvalidChangeBatch</Code><Message>[{reason}]</Message>\
             </Error><RequestId>0</RequestId></ErrorResponse>"
        );
        return Ok((400, refusal));
    }
    // moto takes a set that was there before for one that is there; what is checked is put.
    let checked = body.replace("<Action>CREATE</Action>", "<Action>UPSERT</Action>");
    super::request(moto, "POST", path, &checked)
}

/// A record set without its name and type: the TTL, and the values in order.
type Content = (String, Vec<String>);

/// Whether the changes, one after the other, fit what is there.
fn check(changes: &str, listed: &str) -> std::result::Result<(), String> {
    let mut sets: BTreeMap<_, _> = elements(listed, "ResourceRecordSet").map(set).collect();
    for change in elements(changes, "Change") {
        let action = elements(change, "Action").next().unwrap_or_default();
        let ((name, kind), content) = set(change);
        let told = format!("resource record set [name='{name}', type='{kind}']");
        let key = (name, kind);
        match (action, sets.get(&key)) {
            ("DELETE", None) => return Err(format!("Tried to delete {told} but it was not found")),
            ("DELETE", Some(there)) if *there != content => {
                return Err(format!(
                    "Tried to delete {told} but the values provided do not match the current values"
                ));
            }
            ("DELETE", Some(_)) => {
                sets.remove(&key);
            }
            ("CREATE", Some(_)) => {
                return Err(format!("Tried to create {told} but it already exists"));
            }
            _ => {
                sets.insert(key, content);
            }
        }
    }
    Ok(())
}

fn set(xml: &str) -> ((String, String), Content) {
    let text = |tag| elements(xml, tag).next().map(unescaped).unwrap_or_default();
    let mut values: Vec<_> = elements(xml, "Value").map(unescaped).collect();
    values.sort();
    ((text("Name"), text("Type")), (text("TTL"), values))
}

/// What stands between `<tag>` and `</tag>`, each time.
fn elements<'a>(xml: &'a str, tag: &str) -> impl Iterator<Item = &'a str> {
    let (start, end) = (format!("<{tag}>"), format!("</{tag}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&start)?;
        let (inside, after) = after.split_once(&end)?;
        rest = after;
        Some(inside)
    })
}

fn unescaped(text: &str) -> String {
    let plain = [
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    plain
        .into_iter()
        .fold(text.to_owned(), |text, (escape, plain)| {
            text.replace(escape, plain)
        })
}
