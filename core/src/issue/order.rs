//! An order under way, stored from the moment it exists: the run after a crash resumes it instead of opening
//! another.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::error::IssueError;
use super::request::CertificateRequest;
use crate::acme::{Account, AcmeError, CertificateKey, KeyType, Order};
use crate::crash::{self, Point};
use crate::store::{Store, StoreError};

/// What is stored of an order. The key is the one that the certification request was, or will be,
/// signed with.
#[derive(Serialize, Deserialize)]
struct StoredOrder {
    account: String,
    order: String,
    names: Vec<String>,
    key_type: KeyType,
    key: String,
}

/// The order that was begun for this request, if the CA still has it, or a new one; with its key.
pub(super) async fn begin(
    store: &dyn Store,
    account: &Account,
    request: &CertificateRequest,
) -> Result<(Order, CertificateKey), IssueError> {
    if let Some(begun) = resume(store, account, request).await? {
        return Ok(begun);
    }
    let key = CertificateKey::generate(request.key_type);
    let key = key.await.map_err(AcmeError::from)?;
    let order = Order::open(account, &request.identifiers()).await?;
    crash::point(Point::OrderOpened);
    let stored = StoredOrder {
        account: account.url().to_owned(),
        order: order.url().to_owned(),
        names: names(request),
        key_type: request.key_type,
        key: key.to_pem().expose_secret().to_owned(),
    };
    let stored = serde_json::to_string(&stored).map_err(|error| StoreError::Damaged {
        location: format!("the order of {}", request.id),
        cause: error.to_string(),
    })?;
    store.put_order(&request.id, &stored.into()).await?;
    crash::point(Point::OrderKept);
    Ok((order, key))
}

async fn resume(
    store: &dyn Store,
    account: &Account,
    request: &CertificateRequest,
) -> Result<Option<(Order, CertificateKey)>, IssueError> {
    let Some(stored) = store.order(&request.id).await? else {
        return Ok(None);
    };
    let Some(stored) = matching(&stored, account, request) else {
        return Ok(None);
    };
    let Ok(key) = CertificateKey::from_pem(&stored.key) else {
        return Ok(None);
    };
    let order = Order::resume(account, &stored.order, &request.identifiers()).await?;
    Ok(order.map(|order| (order, key)))
}

/// What was stored, if it is for the same names and key type, and for this account.
fn matching(
    stored: &SecretString,
    account: &Account,
    request: &CertificateRequest,
) -> Option<StoredOrder> {
    let stored: StoredOrder = serde_json::from_str(stored.expose_secret()).ok()?;
    let matches = stored.account == account.url()
        && stored.names == names(request)
        && stored.key_type == request.key_type;
    matches.then_some(stored)
}

fn names(request: &CertificateRequest) -> Vec<String> {
    let names = request.names.iter().map(|name| name.identifier.to_string());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}
