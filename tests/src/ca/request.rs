//! Signed requests (RFC 8555 §6.2): everything about them is checked, except for the signature.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::problem::Problem;
use super::validation::sha256;

/// Octets of a signature with ES256 (RFC 7518 §3.4).
const SIGNATURE: usize = 64;
const NAMES_MAX: usize = 100;

type Result<T> = std::result::Result<T, Problem>;

/// A request that is as it must be.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) signer: Signer,
    pub(super) nonce: String,
    /// Empty in a POST-as-GET request (§6.3).
    pub(super) payload: Vec<u8>,
}

/// Who signed a request.
#[derive(Debug)]
pub(super) enum Signer {
    /// Somebody with a key of this thumbprint (RFC 7638).
    Key { thumbprint: String },
    /// The account at this URL.
    Account(String),
}

#[derive(Deserialize)]
struct Jws {
    protected: String,
    payload: String,
    signature: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    nonce: String,
    url: String,
    jwk: Option<Jwk>,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: String,
}

impl Jwk {
    /// RFC 7638 §3.
    fn thumbprint(&self) -> String {
        let Jwk { kty, crv, x, y } = self;
        let members = format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}"}}"#);
        sha256(members.as_bytes())
    }
}

/// Reads a request to `url`.
pub(super) fn read(headers: &HeaderMap, url: &str, body: &[u8]) -> Result<Signed> {
    if !headers.contains_key(header::USER_AGENT) {
        return Err(Problem::malformed("no User-Agent"));
    }
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if kind != Some(b"application/jose+json") {
        let detail = "the body is not application/jose+json";
        return Err(Problem::new(415, "malformed", detail));
    }
    let jws: Jws = from_json(body)?;
    let header: Header = from_json(&octets(&jws.protected)?)?;
    if header.alg != "ES256" {
        let detail = "only ES256 is supported";
        return Err(Problem::new(400, "badSignatureAlgorithm", detail));
    }
    if octets(&jws.signature)?.len() != SIGNATURE {
        return Err(Problem::malformed("this is not a signature"));
    }
    if header.url != url {
        let detail = format!("`url` is {}, and the request went to {url}", header.url);
        return Err(Problem::new(403, "unauthorized", detail));
    }
    let signer = match (header.jwk, header.kid) {
        (Some(jwk), None) => Signer::Key {
            thumbprint: jwk.thumbprint(),
        },
        (None, Some(kid)) => Signer::Account(kid),
        _ => return Err(Problem::malformed("neither or both of `jwk` and `kid`")),
    };
    Ok(Signed {
        signer,
        nonce: header.nonce,
        payload: octets(&jws.payload)?,
    })
}

impl Signed {
    /// The payload, which must be a JSON object.
    pub(super) fn object(&self) -> Result<Value> {
        let value: Value = from_json(&self.payload)?;
        if value.is_object() {
            return Ok(value);
        }
        Err(Problem::malformed("the payload is not an object"))
    }

    /// Checks that this is a POST-as-GET request.
    pub(super) fn expect_empty(&self) -> Result<()> {
        if self.payload.is_empty() {
            return Ok(());
        }
        Err(Problem::malformed("the payload is not empty"))
    }
}

/// The names of a new order (RFC 8555 §7.4).
pub(super) fn identifiers(payload: &Value) -> Result<Vec<String>> {
    let identifiers = payload["identifiers"].as_array();
    let mut names = BTreeSet::new();
    for identifier in identifiers.into_iter().flatten() {
        if identifier["type"] != "dns" {
            let detail = "only identifiers of the type dns are supported";
            return Err(Problem::new(400, "unsupportedIdentifier", detail));
        }
        let name = identifier["value"].as_str().unwrap_or_default();
        let host = name.strip_prefix("*.").unwrap_or(name);
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        if !host.contains('.') || !host.chars().all(letters) {
            let detail = format!("`{name}` is not a name of a certificate");
            return Err(Problem::new(400, "rejectedIdentifier", detail));
        }
        if !names.insert(name.to_owned()) {
            return Err(Problem::malformed(format_args!("`{name}` occurs twice")));
        }
    }
    if names.is_empty() || names.len() > NAMES_MAX {
        return Err(Problem::malformed("an order has 1 to 100 names"));
    }
    Ok(names.into_iter().collect())
}

fn octets(text: &str) -> Result<Vec<u8>> {
    let octets = URL_SAFE_NO_PAD.decode(text);
    octets.map_err(Problem::malformed)
}

fn from_json<'a, T: Deserialize<'a>>(octets: &'a [u8]) -> Result<T> {
    serde_json::from_slice(octets).map_err(Problem::malformed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = "https://ca.example/new-order";

    /// Reads a request with this header; returns the problem's type.
    fn refusal(header: &Value, kind: &'static str) -> Option<String> {
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let signature = URL_SAFE_NO_PAD.encode([0; SIGNATURE]);
        let body = json!({ "protected": header, "payload": "", "signature": signature });
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static("test"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let problem = read(&headers, URL, body.to_string().as_bytes()).err()?;
        let kind = problem.body()["type"]
            .as_str()?
            .rsplit_once(':')?
            .1
            .to_owned();
        Some(kind)
    }

    #[test]
    fn a_request_that_is_not_as_it_must_be_is_refused() {
        const JOSE: &str = "application/jose+json";
        let good = json!({ "alg": "ES256", "nonce": "n", "url": URL, "kid": "k" });
        assert_eq!(refusal(&good, JOSE), None);
        assert_eq!(refusal(&good, "application/json").unwrap(), "malformed");
        for (key, value, kind) in [
            ("alg", json!("none"), "badSignatureAlgorithm"),
            ("url", json!("https://ca.example/other"), "unauthorized"),
            ("kid", Value::Null, "malformed"),
            ("nonce", Value::Null, "malformed"),
        ] {
            let mut header = good.clone();
            header[key] = value;
            assert_eq!(refusal(&header, JOSE).unwrap(), kind, "{header}");
        }
    }

    #[test]
    fn an_order_has_names_that_are_in_lower_case_and_different() {
        let order = |names: &[&str]| {
            let names = names.iter().map(|n| json!({ "type": "dns", "value": n }));
            identifiers(&json!({ "identifiers": names.collect::<Vec<_>>() }))
        };
        assert_eq!(
            order(&["b.example", "*.a.example"]).unwrap()[0],
            "*.a.example"
        );
        for bad in [
            &[][..],
            &["A.example"],
            &["a.example", "a.example"],
            &["*.*.a.example"],
        ] {
            assert!(order(bad).is_err(), "{bad:?}");
        }
    }
}
