//! What the CA keeps: nonces, accounts, orders, authorizations and certificates.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rand::Rng as _;
use rcgen::{CertificateSigningRequestParams, Issuer, KeyPair, SanType};
use serde::Serialize;
use serde_json::{Value, json};

use super::problem::Problem;
use super::response::{json as response, located};
use super::times::Dated;

type Result<T> = std::result::Result<T, Problem>;

/// The status of an order, an authorization or a challenge (RFC 8555 §7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Pending,
    Processing,
    Ready,
    Valid,
    Invalid,
}

/// Everything, by number.
#[derive(Debug, Default)]
pub(super) struct Resources {
    nonces: HashSet<String>,
    /// Thumbprints of the accounts' keys.
    pub(super) accounts: Vec<String>,
    pub(super) orders: Vec<Order>,
    pub(super) authorizations: Vec<Authorization>,
    pub(super) requests: usize,
    /// What depends on the time, for each order.
    pub(super) dated: Vec<Dated>,
}

#[derive(Debug)]
pub(super) struct Order {
    account: usize,
    names: Vec<String>,
    /// The number of the first authorization; there is one for each name.
    first: usize,
    /// The certificate and the issuer's, in PEM.
    pub(super) chain: Option<String>,
}

/// An authorization, with its only challenge.
#[derive(Debug)]
pub(super) struct Authorization {
    account: usize,
    number: usize,
    /// Without `*.`.
    pub(super) name: String,
    wildcard: bool,
    pub(super) token: String,
    pub(super) status: Status,
    error: Option<Problem>,
}

/// An order as it is now.
#[derive(Debug)]
pub(super) struct OrderView {
    number: usize,
    first: usize,
    pub(super) names: Vec<String>,
    pub(super) status: Status,
}

fn random() -> String {
    let mut octets = [0; 16];
    rand::rng().fill_bytes(&mut octets);
    URL_SAFE_NO_PAD.encode(octets)
}

fn not_found<T>() -> Result<T> {
    Err(Problem::new(404, "malformed", "no such resource"))
}

fn foreign<T>() -> Result<T> {
    let detail = "this belongs to another account";
    Err(Problem::new(403, "unauthorized", detail))
}

impl Resources {
    pub(super) fn new_nonce(&mut self) -> String {
        let nonce = random();
        self.nonces.insert(nonce.clone());
        nonce
    }

    /// Whether the nonce is valid. It is not any more.
    pub(super) fn use_nonce(&mut self, nonce: &str) -> bool {
        self.nonces.remove(nonce)
    }

    /// Returns the number of the new order.
    pub(super) fn open_order(&mut self, account: usize, names: Vec<String>) -> usize {
        let first = self.authorizations.len();
        for (number, name) in (first..).zip(&names) {
            let host = name.strip_prefix("*.");
            self.authorizations.push(Authorization {
                account,
                number,
                name: host.unwrap_or(name).to_owned(),
                wildcard: host.is_some(),
                token: random(),
                status: Status::Pending,
                error: None,
            });
        }
        self.orders.push(Order {
            account,
            names,
            first,
            chain: None,
        });
        self.orders.len() - 1
    }

    pub(super) fn order(&self, account: usize, number: usize) -> Result<OrderView> {
        let Some(order) = self.orders.get(number) else {
            return not_found();
        };
        if order.account != account {
            return foreign();
        }
        let authorizations = &self.authorizations[order.first..][..order.names.len()];
        let all = |status| authorizations.iter().all(|a| a.status == status);
        let any = |status| authorizations.iter().any(|a| a.status == status);
        let status = match &order.chain {
            Some(_) => Status::Valid,
            None if any(Status::Invalid) => Status::Invalid,
            None if all(Status::Valid) => Status::Ready,
            None => Status::Pending,
        };
        Ok(OrderView {
            number,
            first: order.first,
            names: order.names.clone(),
            status,
        })
    }

    pub(super) fn authorization(&self, account: usize, number: usize) -> Result<&Authorization> {
        match self.authorizations.get(number) {
            None => not_found(),
            Some(authorization) if authorization.account != account => foreign(),
            Some(authorization) => Ok(authorization),
        }
    }

    pub(super) fn authorization_mut(
        &mut self,
        account: usize,
        number: usize,
    ) -> Result<&mut Authorization> {
        self.authorization(account, number)?;
        Ok(&mut self.authorizations[number])
    }
}

impl OrderView {
    /// RFC 8555 §7.1.3.
    pub(super) fn response(&self, base: &str, status: u16) -> Response {
        let number = self.number;
        let identifiers = self.names.iter();
        let identifiers = identifiers.map(|name| json!({ "type": "dns", "value": name }));
        let authorizations = (self.first..).take(self.names.len());
        let authorizations = authorizations.map(|n| format!("{base}/authorization/{n}"));
        let mut body = json!({
            "status": self.status,
            "identifiers": identifiers.collect::<Vec<_>>(),
            "authorizations": authorizations.collect::<Vec<_>>(),
            "finalize": format!("{base}/finalize/{number}"),
        });
        if self.status == Status::Valid {
            body["certificate"] = json!(format!("{base}/certificate/{number}"));
        }
        located(response(status, &body), &format!("{base}/order/{number}"))
    }
}

impl Authorization {
    /// RFC 8555 §7.1.4.
    pub(super) fn body(&self, base: &str) -> Value {
        let status = match self.status {
            Status::Processing => Status::Pending,
            status => status,
        };
        let mut body = json!({
            "status": status,
            "identifier": { "type": "dns", "value": self.name },
            "challenges": [self.challenge(base)],
        });
        if self.wildcard {
            body["wildcard"] = json!(true);
        }
        body
    }

    /// RFC 8555 §8.
    pub(super) fn challenge(&self, base: &str) -> Value {
        let mut body = json!({
            "type": "dns-01",
            "url": format!("{base}/challenge/{}", self.number),
            "token": self.token,
            "status": self.status,
        });
        if let Some(error) = &self.error {
            body["error"] = error.body();
        }
        body
    }

    pub(super) fn settle(&mut self, found: Result<()>) {
        self.error = found.err();
        self.status = match self.error {
            None => Status::Valid,
            Some(_) => Status::Invalid,
        };
    }
}

fn system_time(time: Timestamp) -> SystemTime {
    let since = Duration::try_from(time.duration_since(Timestamp::UNIX_EPOCH));
    SystemTime::UNIX_EPOCH + since.unwrap_or_default()
}

/// Signs a request (DER) for exactly these names and this time; returns the certificate in PEM.
pub(super) fn sign(
    issuer: &Issuer<'_, KeyPair>,
    csr: Vec<u8>,
    names: &[String],
    (not_before, not_after): (Timestamp, Timestamp),
) -> Result<String> {
    let bad = |error: &dyn std::fmt::Display| Problem::new(400, "badCSR", error);
    let mut csr =
        CertificateSigningRequestParams::from_der(&csr.into()).map_err(|error| bad(&error))?;
    let mut requested: Vec<_> = csr
        .params
        .subject_alt_names
        .iter()
        .map(|name| match name {
            SanType::DnsName(name) => name.to_string(),
            other => format!("{other:?}"),
        })
        .collect();
    requested.sort();
    if requested != names {
        return Err(bad(&format!("it is for {requested:?}")));
    }
    csr.params.not_before = system_time(not_before).into();
    csr.params.not_after = system_time(not_after).into();
    csr.params.use_authority_key_identifier_extension = true;
    let certificate = csr.signed_by(issuer).map_err(|error| bad(&error))?;
    Ok(certificate.pem())
}
