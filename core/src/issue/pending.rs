//! An order under way, kept on disk from the moment it exists: whoever comes after a crash goes on
//! with it instead of opening another.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{CertificateRequest, IssueError};
use crate::acme::{Account, AcmeError, CertificateKey, KeyType, Order};
use crate::crash::{self, Point};
use crate::store::{Store, StoreError};

/// What is kept of an order. The key is the one that the certification request was, or will be,
/// signed with.
#[derive(Serialize, Deserialize)]
struct Kept {
    account: String,
    order: String,
    names: Vec<String>,
    key_type: KeyType,
    key: String,
}

/// The order that was begun for this request, if the CA still has it, or a new one; with its key.
pub(super) async fn order(
    store: &dyn Store,
    account: &Account,
    request: &CertificateRequest,
) -> Result<(Order, CertificateKey), IssueError> {
    if let Some(begun) = resume(store, account, request).await? {
        return Ok(begun);
    }
    let key = CertificateKey::generate(request.key_type);
    let key = key.await.map_err(AcmeError::from)?;
    let order = account.order(&request.identifiers()).await?;
    crash::point(Point::OrderOpened);
    let kept = Kept {
        account: account.id().to_owned(),
        order: order.url().to_owned(),
        names: names(request),
        key_type: request.key_type,
        key: key.to_pem().expose_secret().to_owned(),
    };
    let kept = serde_json::to_string(&kept).map_err(|error| StoreError::Damaged {
        path: "order.json".into(),
        cause: error.to_string(),
    })?;
    store.put_order(&request.id, &kept.into()).await?;
    crash::point(Point::OrderKept);
    Ok((order, key))
}

async fn resume(
    store: &dyn Store,
    account: &Account,
    request: &CertificateRequest,
) -> Result<Option<(Order, CertificateKey)>, IssueError> {
    let Some(kept) = store.order(&request.id).await? else {
        return Ok(None);
    };
    let Some(kept) = fitting(&kept, account, request) else {
        return Ok(None);
    };
    let Ok(key) = CertificateKey::from_pem(&kept.key) else {
        return Ok(None);
    };
    let order = account.resume(&kept.order, &request.identifiers()).await?;
    Ok(order.map(|order| (order, key)))
}

/// What was kept, if it is for the same names and key type, and for this account.
fn fitting(kept: &SecretString, account: &Account, request: &CertificateRequest) -> Option<Kept> {
    let kept: Kept = serde_json::from_str(kept.expose_secret()).ok()?;
    let fits = kept.account == account.id()
        && kept.names == names(request)
        && kept.key_type == request.key_type;
    fits.then_some(kept)
}

fn names(request: &CertificateRequest) -> Vec<String> {
    let mut names: Vec<_> = request
        .identifiers()
        .iter()
        .map(ToString::to_string)
        .collect();
    names.sort();
    names
}
