//! An order under way, stored from the moment it exists: the run after a crash resumes it instead of opening
//! another.

use std::future::ready;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio_util::task::AbortOnDropHandle;

use super::error::IssueError;
use super::key::OrderKey;
use super::left_out::StoredLeftOut;
use super::request::{CertificateRequest, LeftOut};
use crate::acme::{Account, AcmeError, Order, OrderRequest};
use crate::certificate::{CertificateKey, KeyError, KeyType};
use crate::crash::{self, Point};
use crate::store::{Store, StoreError, StoredCertificate};

/// An order that is older is given up, unless the certificate is there: the CA seems to have forgotten it. CAs that look
/// at documents take weeks.
const KEPT_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is stored of an order.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredOrder {
    /// The directory of the CA: another one may say that our account there has the same URL. Unknown for those of earlier
    /// versions of this program.
    #[serde(default)]
    directory: Option<String>,
    account: String,
    order: String,
    names: Vec<String>,
    /// When it was opened; unknown for those of earlier versions of this program.
    #[serde(default)]
    opened: Option<Timestamp>,
    key_type: KeyType,
    #[serde(default)]
    profile: Option<String>,
    /// The names that it is without, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<StoredLeftOut>,
    /// The key that the certification request was, or will be, signed with; none while it is generated, which is
    /// before the request, and if only others have it.
    key: Option<String>,
    /// The fingerprint of a key that only others have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_key: Option<String>,
}

/// An order under way.
pub(super) struct Begun {
    pub(super) order: Order,
    pub(super) key: PendingKey,
}

/// A key that may not be generated yet.
type NewKey = AbortOnDropHandle<Result<OrderKey, KeyError>>;

/// The key of an order: RSA keys take longer to generate than the CA takes to open the order.
pub(super) enum PendingKey {
    /// It is stored with the order, or only others have it.
    Ready(OrderKey),
    /// It is to be stored, with what is stored of the order.
    Generating {
        key: NewKey,
        stored: Box<StoredOrder>,
    },
}

impl PendingKey {
    /// The key, which is stored then if it is ours.
    pub(super) async fn stored(
        self,
        store: &dyn Store,
        request: &CertificateRequest,
    ) -> Result<OrderKey, IssueError> {
        match self {
            PendingKey::Ready(key) => Ok(key),
            PendingKey::Generating { key, mut stored } => {
                let key = generated(key).await?;
                stored.put(store, request, Some(&key)).await?;
                Ok(key)
            }
        }
    }
}

/// Begins to generate a key, unless there is one to use.
async fn new_key(store: &dyn Store, request: &CertificateRequest) -> Result<NewKey, IssueError> {
    let known = match &request.csr {
        Some(csr) => Some(OrderKey::External(Arc::clone(csr))),
        None => reused(store, request).await?.map(OrderKey::Own),
    };
    Ok(match known {
        Some(key) => AbortOnDropHandle::new(tokio::spawn(ready(Ok(key)))),
        None => generating(request),
    })
}

fn generating(request: &CertificateRequest) -> NewKey {
    let key = CertificateKey::generate(request.key_type);
    // One that nobody wants any more takes no turn of others.
    AbortOnDropHandle::new(tokio::spawn(async { Ok(OrderKey::Own(key.await?)) }))
}

async fn generated(key: NewKey) -> Result<OrderKey, AcmeError> {
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
    now: Timestamp,
) -> Result<Begun, IssueError> {
    if let Some(begun) = resume(store, account, request, now).await? {
        return Ok(begun);
    }
    let key = new_key(store, request).await?;
    let replaces = replaced(store, account, request).await?;
    let wanted = OrderRequest {
        names: &request.identifiers(),
        profile: request.chosen.profile.as_deref(),
        replaces: replaces.as_deref(),
    };
    let order = Order::open(account, &wanted).await?;
    crash::point(Point::OrderOpened);
    let mut stored = Box::new(StoredOrder {
        directory: Some(account.directory().to_owned()),
        account: account.url().to_owned(),
        order: order.url().to_owned(),
        names: names(request),
        opened: Some(now),
        key_type: request.key_type,
        profile: request.chosen.profile.clone(),
        left_out: request.left_out.iter().map(Into::into).collect(),
        key: None,
        external_key: request.external_key(),
    });
    let key = if key.is_finished() {
        let key = generated(key).await?;
        stored.put(store, request, Some(&key)).await?;
        PendingKey::Ready(key)
    } else {
        stored.put(store, request, None).await?;
        PendingKey::Generating { key, stored }
    };
    crash::point(Point::OrderKept);
    Ok(Begun { order, key })
}

/// The request without the names that the order under way at this CA is without; `None` if it is without none.
pub(crate) async fn as_ordered(
    store: &dyn Store,
    request: &CertificateRequest,
    directory: &str,
) -> Result<Option<CertificateRequest>, StoreError> {
    let stored = store.order(&request.id).await?;
    let stored = stored.and_then(|stored| parsed(&stored));
    let stored = stored.filter(|stored| stored.is_at(directory));
    let Some(StoredOrder {
        left_out,
        names: ordered,
        ..
    }) = stored.filter(|stored| !stored.left_out.is_empty())
    else {
        return Ok(None);
    };
    let mut reduced = Some(request.clone());
    for left_out in left_out {
        reduced = reduced.and_then(|reduced| reduced.without(LeftOut::from(left_out)));
    }
    Ok(reduced.filter(|reduced| names(reduced) == ordered))
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
    let key = pem.and_then(|pem| pem.key);
    Ok(key.and_then(|key| CertificateKey::from_secret(&key).ok()))
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
    now: Timestamp,
) -> Result<Option<Begun>, IssueError> {
    let Some(stored) = store.order(&request.id).await? else {
        return Ok(None);
    };
    let Some(stored) = matching(&stored, account, request) else {
        return Ok(None);
    };
    let own = stored.key.as_deref().map(CertificateKey::from_pem);
    let key = match (&request.csr, own) {
        (Some(csr), _) => Some(OrderKey::External(Arc::clone(csr))),
        (None, Some(Ok(key))) => Some(OrderKey::Own(key)),
        (None, Some(Err(_))) => return Ok(None),
        (None, None) => None,
    };
    let order = Order::resume(account, &stored.order, &request.identifiers()).await?;
    let age = stored.opened.map(|opened| now.duration_since(opened));
    let is_old = age.is_some_and(|age| age > KEPT_MAX);
    let order = order.filter(|order| !is_old || order.is_valid());
    Ok(order.map(|order| Begun {
        order,
        key: key.map_or_else(
            || PendingKey::Generating {
                key: generating(request),
                stored: Box::new(stored),
            },
            PendingKey::Ready,
        ),
    }))
}

impl StoredOrder {
    /// Whether the CA with this directory may have it.
    fn is_at(&self, directory: &str) -> bool {
        let known = self.directory.as_deref();
        known.is_none_or(|known| known == directory)
    }

    async fn put(
        &mut self,
        store: &dyn Store,
        request: &CertificateRequest,
        key: Option<&OrderKey>,
    ) -> Result<(), IssueError> {
        let key = key.and_then(OrderKey::to_pem);
        self.key = key.map(|key| key.expose_secret().to_owned());
        let stored = serde_json::to_string(self).map_err(|error| StoreError::Damaged {
            location: format!("the order of {}", request.id),
            cause: error.to_string(),
        })?;
        Ok(store.put_order(&request.id, &stored.into()).await?)
    }
}

/// What was stored, if it is for the same names and the same key or type of key, and for this account at this CA.
fn matching(
    stored: &SecretString,
    account: &Account,
    request: &CertificateRequest,
) -> Option<StoredOrder> {
    let stored = parsed(stored)?;
    let matches = stored.is_at(account.directory())
        && stored.account == account.url()
        && stored.names == names(request)
        && stored.key_type == request.key_type
        && stored.external_key == request.external_key()
        && stored.profile == request.chosen.profile;
    matches.then_some(stored)
}

/// What was stored; what cannot be read is as good as nothing.
fn parsed(stored: &SecretString) -> Option<StoredOrder> {
    serde_json::from_str(stored.expose_secret()).ok()
}

fn names(request: &CertificateRequest) -> Vec<String> {
    let names = request.names.iter().map(|name| name.identifier.to_string());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}
