//! Opening an order (RFC 8555 §7.4), with a profile and with the certificate that it replaces.

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use super::account::Account;
use super::directory::Directory;
use super::error::{AcmeError, Operation};
use crate::name::Identifier;

/// What an order asks for.
#[derive(Clone, Debug)]
pub struct OrderRequest<'a> {
    /// The names.
    pub names: &'a [Identifier],
    /// The profile (draft-ietf-acme-profiles §4).
    pub profile: Option<&'a str>,
    /// The identifier of the certificate that it replaces (RFC 9773 §5).
    pub replaces: Option<&'a str>,
}

impl<'a> OrderRequest<'a> {
    /// A request for these names.
    pub fn new(names: &'a [Identifier]) -> Self {
        OrderRequest {
            names,
            profile: None,
            replaces: None,
        }
    }

    fn payload(&self, replaces: Option<&str>) -> Vec<u8> {
        let identifiers = self.names.iter();
        let identifiers =
            identifiers.map(|name| json!({ "type": "dns", "value": name.to_string() }));
        let mut payload = json!({ "identifiers": identifiers.collect::<Vec<_>>() });
        if let Some(profile) = self.profile {
            payload["profile"] = Value::from(profile);
        }
        if let Some(replaces) = replaces {
            payload["replaces"] = Value::from(replaces);
        }
        payload.to_string().into_bytes()
    }
}

/// Opens an order. If the CA refuses it with `replaces`, opens one without.
pub(super) async fn post(
    account: &Account,
    request: &OrderRequest<'_>,
) -> Result<Response<Bytes>, AcmeError> {
    let operation = Operation::Order;
    let directory = account.client.directory().await?;
    check_profile(directory, request.profile)?;
    let url = &directory.new_order;
    let replaces = request.replaces;
    let replaces = replaces.filter(|_| directory.renewal_info().is_some());
    let (gate, client) = (account.client.orders(), &account.client);
    client.check_clock()?;
    gate.check(client.now())?;
    let answer = account
        .post(operation, url, &request.payload(replaces))
        .await;
    gate.note(&answer, client.now());
    let refusal = match answer {
        // Whatever it says: a certificate is worth more than a statistic of the CA.
        Err(refusal @ AcmeError::Problem { .. }) if replaces.is_some() => refusal,
        answer => return answer,
    };
    tracing::info!(%refusal, "the order is opened without the certificate that it replaces");
    account.post(operation, url, &request.payload(None)).await
}

/// A CA without profiles ignores them, and one with others may take another one.
fn check_profile(directory: &Directory, profile: Option<&str>) -> Result<(), AcmeError> {
    let Some(profile) = profile else {
        return Ok(());
    };
    if directory.has_profile(profile) {
        return Ok(());
    }
    Err(AcmeError::UnknownProfile {
        profile: profile.to_owned(),
        offered: directory.shown_profiles(),
    })
}
