//! What Route 53 refuses and moto does not: a DELETE of a set that is not exactly as it is said to
//! be, and a CREATE of one that is there
//! (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html>); and
//! what a policy does not permit, which is looked at first.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::http::request;
use super::iam::{IamRequest, Policy};
use crate::error::{Error, Result};
use crate::serve::Running;

const BODY_MAX: usize = 16 * 1024 * 1024;

/// What is called with the TXT records of a zone after they were changed: owners and values.
pub(super) type OnChange = Arc<Mutex<Option<Box<dyn Fn(&[(String, String)]) + Send>>>>;

/// What whoever asks may do; everything where it is not said.
pub(super) type Permitted = Arc<Mutex<Option<Policy>>>;

/// What the gate knows.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) moto: SocketAddr,
    pub(super) on_change: OnChange,
    pub(super) permitted: Permitted,
}

/// Passes requests on to moto, one at a time.
pub(super) fn start(gate: Gate) -> Result<Running> {
    Running::start(Router::new().fallback(pass).with_state(gate))
}

async fn pass(State(gate): State<Gate>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let passed = match to_bytes(body, BODY_MAX).await {
        Ok(body) => gate.answer(&parts.method, path, &String::from_utf8_lossy(&body)),
        Err(error) => Err(Error::new(error)),
    };
    let (status, body) = passed.unwrap_or_else(|error| (500, error.to_string()));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, body).into_response()
}

impl Gate {
    fn answer(&self, method: &Method, path: &str, body: &str) -> Result<(u16, String)> {
        let sets = path.trim_end_matches('/');
        if let Some(refusal) = self.refusal(method, sets, body) {
            return Ok((403, refusal));
        }
        if *method != Method::POST || !sets.ends_with("/rrset") {
            return request(self.moto, method.as_str(), path, body);
        }
        let (_, listed) = request(self.moto, "GET", sets, "")?;
        if let Err(reason) = check(body, &listed) {
            return Ok((400, error("InvalidChangeBatch", &format!("[{reason}]"))));
        }
        // moto takes a set that was there before for one that is there; what is checked is put.
        let checked = body.replace("<Action>CREATE</Action>", "<Action>UPSERT</Action>");
        let answer = request(self.moto, "POST", path, &checked)?;
        let on_change = self
            .on_change
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(on_change) = on_change.as_ref() {
            let (_, listed) = request(self.moto, "GET", sets, "")?;
            on_change(&txt(&listed));
        }
        Ok(answer)
    }

    /// The error where the policy does not permit what is asked for.
    fn refusal(&self, method: &Method, path: &str, body: &str) -> Option<String> {
        let permitted = self
            .permitted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let wanted = iam_request(method, path, body)?;
        let may = permitted
            .as_ref()
            .is_none_or(|policy| policy.permits(&wanted));
        (!may).then(|| {
            let (action, resource) = (wanted.action, wanted.resource);
            let words = format!("User is not authorized to perform: {action} on {resource}");
            error("AccessDenied", &words)
        })
    }
}

/// The request to IAM that a request to the API means; none for `GetCallerIdentity`, which cannot be forbidden
/// (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonroute53.html>).
fn iam_request(method: &Method, path: &str, body: &str) -> Option<IamRequest> {
    let mut keys = BTreeMap::new();
    if path.is_empty() {
        let mut pairs = body.split('&');
        let action = pairs.find_map(|pair| pair.strip_prefix("Action="))?;
        return (action != "GetCallerIdentity").then(|| IamRequest {
            action: format!("iam:{action}"),
            resource: "*".to_owned(),
            keys,
        });
    }
    let path = path.split('?').next().unwrap_or_default();
    let segments: Vec<_> = path.split('/').skip(2).collect();
    let (action, resource) = match (method.as_str(), segments.as_slice()) {
        ("GET", ["hostedzonesbyname"]) => ("ListHostedZonesByName", "*".to_owned()),
        ("GET", ["hostedzone", zone, "rrset"]) => (
            "ListResourceRecordSets",
            format!("arn:aws:route53:::hostedzone/{zone}"),
        ),
        ("GET", ["change", id]) => ("GetChange", format!("arn:aws:route53:::change/{id}")),
        ("POST", ["hostedzone", zone, "rrset"]) => {
            for change in elements(body, "Change") {
                let ((name, kind), _) = set(change);
                let action = elements(change, "Action").next().unwrap_or_default();
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let facts = [
                    ("NormalizedRecordNames", name),
                    ("RecordTypes", kind),
                    ("Actions", action.to_owned()),
                ];
                for (key, value) in facts {
                    let key = format!("route53:ChangeResourceRecordSets{key}");
                    keys.entry(key).or_insert_with(Vec::new).push(value);
                }
            }
            (
                "ChangeResourceRecordSets",
                format!("arn:aws:route53:::hostedzone/{zone}"),
            )
        }
        _ => ("what no policy of the tests permits", path.to_owned()),
    };
    Some(IamRequest {
        action: format!("route53:{action}"),
        resource,
        keys,
    })
}

/// A refusal as Route 53 writes it.
fn error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error>\
         <Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>\
         </Error><RequestId>0</RequestId></ErrorResponse>"
    )
}

/// The TXT records in a listing: owners without the final dot, and values without quotes.
fn txt(listed: &str) -> Vec<(String, String)> {
    let sets = elements(listed, "ResourceRecordSet").map(set);
    let txt = sets.filter(|((_, kind), _)| kind == "TXT");
    txt.flat_map(|((name, _), (_, values))| {
        let name = name.trim_end_matches('.').to_owned();
        let value = |value: String| (name.clone(), value.trim_matches('"').to_owned());
        values.into_iter().map(value).collect::<Vec<_>>()
    })
    .collect()
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
