//! What the CA has of an account, and changing it (RFC 8555 §7.1.2, §7.3.2, §7.3.6).

use bytes::Bytes;
use http::Response;
use serde::Deserialize;
use serde_json::json;

use super::account::{Account, urls};
use super::decode::{decode, lenient};
use super::error::{AcmeError, Operation};
use crate::printable::{TEXT_MAX, shortened};

/// Contacts of an account that are shown.
const CONTACT_MAX: usize = 20;

/// What the CA has of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// Its status: `valid`, `deactivated` or `revoked`.
    pub status: String,
    /// How the CA reaches its owner: URLs such as `mailto:admin@example.com`. Some CAs keep none.
    pub contact: Vec<String>,
    /// Whether its owner has agreed to the terms of service; `None` if the CA does not say so.
    pub terms_agreed: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    status: String,
    #[serde(default, deserialize_with = "lenient")]
    contact: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    terms_of_service_agreed: Option<bool>,
}

impl AccountState {
    fn parse(operation: Operation, response: &Response<Bytes>) -> Result<Self, AcmeError> {
        let resource: Resource =
            decode(response.body()).map_err(|error| AcmeError::invalid(operation, error))?;
        let contact = resource.contact.unwrap_or_default().into_iter();
        let contact = contact.take(CONTACT_MAX);
        Ok(AccountState {
            status: shortened(&resource.status, TEXT_MAX),
            contact: contact.map(|url| shortened(&url, TEXT_MAX)).collect(),
            terms_agreed: resource.terms_of_service_agreed,
        })
    }
}

impl Account {
    /// Reads what the CA has of the account.
    pub(super) async fn state(&self) -> Result<AccountState, AcmeError> {
        let operation = Operation::Account;
        let response = self.get(operation, self.url()).await?;
        AccountState::parse(operation, &response)
    }

    /// Sends the mail addresses to the CA.
    pub(super) async fn update(&self, contact: &[String]) -> Result<AccountState, AcmeError> {
        let operation = Operation::AccountUpdate;
        let payload = json!({ "contact": urls(contact) }).to_string();
        let response = self.post(operation, self.url(), payload.as_bytes());
        AccountState::parse(operation, &response.await?)
    }

    /// Ends the account at the CA. Nothing can be ordered with it afterwards.
    pub(super) async fn deactivate(&self) -> Result<AccountState, AcmeError> {
        let operation = Operation::AccountUpdate;
        let payload = json!({ "status": "deactivated" }).to_string();
        let response = self.post(operation, self.url(), payload.as_bytes());
        let state = AccountState::parse(operation, &response.await?)?;
        if state.status == "deactivated" {
            return Ok(state);
        }
        let reason = format!("the account is `{}` afterwards", state.status);
        Err(AcmeError::invalid(operation, reason))
    }
}
