//! An order under way, stored from the moment it exists: the run after a crash resumes it instead of opening
//! another.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::error::IssueError;
use super::request::CertificateRequest;
use crate::acme::{Account, AcmeError, Order, OrderRequest};
use crate::certificate::{CertificateKey, KeyError, KeyType};
use crate::crash::{self, Point};
use crate::store::{Store, StoreError, StoredCertificate};

/// What is stored of an order.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredOrder {
    account: String,
    order: String,
    names: Vec<String>,
    key_type: KeyType,
    #[serde(default)]
    profile: Option<String>,
    /// The key that the certification request was, or will be, signed with; none while it is generated, which is
    /// before the request.
    key: Option<String>,
}

/// An order under way.
pub(super) struct Begun {
    pub(super) order: Order,
    pub(super) key: PendingKey,
}

/// The key of an order: RSA keys take longer to generate than the CA takes to open the order.
pub(super) enum PendingKey {
    /// It is stored with the order.
    Stored(CertificateKey),
    /// It is to be stored, with what is stored of the order.
    Generating {
        key: JoinHandle<Result<CertificateKey, KeyError>>,
        stored: Box<StoredOrder>,
    },
}

impl PendingKey {
    /// The key, which is stored then.
    pub(super) async fn stored(
        self,
        store: &dyn Store,
        request: &CertificateRequest,
    ) -> Result<CertificateKey, IssueError> {
        match self {
            PendingKey::Stored(key) => Ok(key),
            PendingKey::Generating { key, mut stored } => {
                let key = generated(key).await?;
                stored.put(store, request, Some(&key)).await?;
                Ok(key)
            }
        }
    }
}

async fn generated(
    key: JoinHandle<Result<CertificateKey, KeyError>>,
) -> Result<CertificateKey, AcmeError> {
    match key.await {
        Ok(key) => Ok(key?),
        // It was not cancelled.
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// The order that was begun for this request, if the CA still has it, or a new one; with its key.
pub(super) async fn begin(
    store: &dyn Store,
    account: &Account,
    request: &CertificateRequest,
) -> Result<Begun, IssueError> {
    if let Some(begun) = resume(store, account, request).await? {
        return Ok(begun);
    }
    let reused = reused(store, request).await?;
    let key = match reused {
        Some(key) => tokio::spawn(std::future::ready(Ok(key))),
        None => tokio::spawn(CertificateKey::generate(request.key_type)),
    };
    let replaces = replaced(store, account, request).await?;
    let wanted = OrderRequest {
        names: &request.identifiers(),
        profile: request.chosen.profile.as_deref(),
        replaces: replaces.as_deref(),
        has_failed: store.status(&request.id).await?.attempts.is_some(),
    };
    let order = Order::open(account, &wanted).await?;
    crash::point(Point::OrderOpened);
    let mut stored = Box::new(StoredOrder {
        account: account.url().to_owned(),
        order: order.url().to_owned(),
        names: names(request),
        key_type: request.key_type,
        profile: request.chosen.profile.clone(),
        key: None,
    });
    let key = if key.is_finished() {
        let key = generated(key).await?;
        stored.put(store, request, Some(&key)).await?;
        PendingKey::Stored(key)
    } else {
        stored.put(store, request, None).await?;
        PendingKey::Generating { key, stored }
    };
    crash::point(Point::OrderKept);
    Ok(Begun { order, key })
}

/// The current version; one that is damaged is as good as none.
async fn current(
    store: &dyn Store,
    request: &CertificateRequest,
) -> Result<Option<StoredCertificate>, StoreError> {
    match store.certificate(&request.id).await {
        Err(StoreError::Damaged { .. }) => Ok(None),
        current => current,
    }
}

/// The key of the current version, if it is to be used again.
async fn reused(
    store: &dyn Store,
    request: &CertificateRequest,
) -> Result<Option<CertificateKey>, IssueError> {
    if !request.reuse_key {
        return Ok(None);
    }
    let Some(current) = current(store, request).await? else {
        return Ok(None);
    };
    let is_revoked = store.status(&request.id).await?.revoked == Some(current.version);
    if is_revoked || current.info.key_type != Some(request.key_type) {
        return Ok(None);
    }
    let pem = store.pem(&request.id, current.version).await?;
    // One that cannot be read is replaced by a new one.
    Ok(pem.and_then(|pem| CertificateKey::from_pem(pem.key.expose_secret()).ok()))
}

/// The identifier of the certificate that this one replaces (RFC 9773 §5): of the current version, if this CA and
/// account issued it and they have a name in common.
async fn replaced(
    store: &dyn Store,
    account: &Account,
    request: &CertificateRequest,
) -> Result<Option<String>, IssueError> {
    let Some(current) = current(store, request).await? else {
        return Ok(None);
    };
    let origin = current.origin;
    let is_ours = origin.directory == account.directory() && origin.account == account.url();
    let wanted = names(request);
    let shares_a_name = current.info.names.iter().any(|name| wanted.contains(name));
    Ok(origin.renewal_id.filter(|_| is_ours && shares_a_name))
}

async fn resume(
    store: &dyn Store,
    account: &Account,
    request: &CertificateRequest,
) -> Result<Option<Begun>, IssueError> {
    let Some(stored) = store.order(&request.id).await? else {
        return Ok(None);
    };
    let Some(stored) = matching(&stored, account, request) else {
        return Ok(None);
    };
    let key = match stored.key.as_deref().map(CertificateKey::from_pem) {
        Some(Ok(key)) => Some(key),
        Some(Err(_)) => return Ok(None),
        None => None,
    };
    let order = Order::resume(account, &stored.order, &request.identifiers()).await?;
    Ok(order.map(|order| Begun {
        order,
        key: key.map_or_else(
            || PendingKey::Generating {
                key: tokio::spawn(CertificateKey::generate(request.key_type)),
                stored: Box::new(stored),
            },
            PendingKey::Stored,
        ),
    }))
}

impl StoredOrder {
    async fn put(
        &mut self,
        store: &dyn Store,
        request: &CertificateRequest,
        key: Option<&CertificateKey>,
    ) -> Result<(), IssueError> {
        self.key = key.map(|key| key.to_pem().expose_secret().to_owned());
        let stored = serde_json::to_string(self).map_err(|error| StoreError::Damaged {
            location: format!("the order of {}", request.id),
            cause: error.to_string(),
        })?;
        Ok(store.put_order(&request.id, &stored.into()).await?)
    }
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
        && stored.key_type == request.key_type
        && stored.profile == request.chosen.profile;
    matches.then_some(stored)
}

fn names(request: &CertificateRequest) -> Vec<String> {
    let names = request.names.iter().map(|name| name.identifier.to_string());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}
