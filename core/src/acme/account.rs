//! The account at a certification authority (RFC 8555 §7.3): made once, and kept.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use instant_acme::{AccountCredentials, ExternalAccountKey, NewAccount};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::error::AcmeError;
use super::order::Order;
use super::retry::{retrying, translate};
use super::transport::{DirectoryError, Transport};
use crate::name::Identifier;

/// What an account is made from.
#[derive(Clone, Debug)]
pub struct AccountSettings {
    /// The URL of the CA's directory.
    pub directory: String,
    /// Mail addresses that the CA may write to.
    pub contact: Vec<String>,
    /// Whether the CA's terms of service are agreed to.
    pub agree_tos: bool,
    /// The account elsewhere that this one is bound to, for CAs that want it.
    pub external: Option<ExternalAccount>,
}

/// An external account binding (RFC 8555 §7.3.4).
#[derive(Clone, Debug)]
pub struct ExternalAccount {
    /// The key identifier.
    pub key_id: String,
    /// The HMAC key in base64url.
    pub hmac_key: SecretString,
}

/// An account that orders can be placed with.
#[derive(Clone)]
pub struct Account {
    pub(super) inner: instant_acme::Account,
    pub(super) transport: Transport,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("id", &self.id()).finish()
    }
}

/// The URL of an account, from the credentials that [`Account::create`] returned.
pub fn account_url(credentials: &SecretString) -> Option<String> {
    #[derive(Deserialize)]
    struct Kept {
        id: String,
    }
    let kept: Kept = serde_json::from_str(credentials.expose_secret()).ok()?;
    Some(kept.id)
}

impl Account {
    /// Takes up an account again from what [`Account::create`] returned.
    pub async fn restore(
        transport: &Transport,
        credentials: &SecretString,
    ) -> Result<Self, AcmeError> {
        let parse = || serde_json::from_str::<AccountCredentials>(credentials.expose_secret());
        let _ = parse().map_err(|error| AcmeError::StoredAccount(error.to_string()))?;
        let inner = retrying("the directory", async || {
            instant_acme::Account::builder_with_http(Box::new(transport.clone()))
                .from_credentials(parse()?)
                .await
        });
        Ok(Account {
            inner: inner.await?,
            transport: transport.clone(),
        })
    }

    /// Makes an account; the second value is to be kept, and is what [`Account::restore`] takes.
    pub async fn create(
        transport: &Transport,
        settings: &AccountSettings,
    ) -> Result<(Self, SecretString), AcmeError> {
        let what = "the account";
        let meta = transport
            .directory_meta(&settings.directory)
            .await
            .map_err(|error| match error {
                DirectoryError::Transport(error) => AcmeError::Transport(error),
                DirectoryError::NotAcme(cause) => AcmeError::NotAcme {
                    what: "the directory",
                    cause,
                },
            })?;
        if !settings.agree_tos {
            return Err(AcmeError::TermsNotAgreed {
                terms: meta.terms_of_service,
            });
        }
        let external = match &settings.external {
            Some(external) => Some(external_key(external)?),
            None if meta.external_account_required => {
                return Err(AcmeError::ExternalAccountRequired);
            }
            None => None,
        };
        let contact: Vec<_> = settings
            .contact
            .iter()
            .map(|address| format!("mailto:{address}"))
            .collect();
        let contact: Vec<_> = contact.iter().map(String::as_str).collect();
        let request = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let (inner, credentials) = retrying(what, async || {
            instant_acme::Account::builder_with_http(Box::new(transport.clone()))
                .create(&request, settings.directory.clone(), external.as_ref())
                .await
        })
        .await?;
        let credentials = serde_json::to_string(&credentials)
            .map_err(|error| translate(what, instant_acme::Error::Json(error)))?;
        let transport = transport.clone();
        Ok((Account { inner, transport }, credentials.into()))
    }

    /// The account's URL at the CA; CAA records may name it (RFC 8657 §3).
    pub fn id(&self) -> &str {
        self.inner.id()
    }

    /// Opens an order for these names (RFC 8555 §7.4).
    pub async fn order(&self, names: &[Identifier]) -> Result<Order, AcmeError> {
        Order::open(self, names).await
    }

    /// Goes on with an order that was opened before; none where the CA does not have it any more,
    /// or has given it up.
    pub async fn resume(
        &self,
        url: &str,
        names: &[Identifier],
    ) -> Result<Option<Order>, AcmeError> {
        Order::resume(self, url, names).await
    }
}

fn external_key(external: &ExternalAccount) -> Result<ExternalAccountKey, AcmeError> {
    let text = external
        .hmac_key
        .expose_secret()
        .trim()
        .trim_end_matches('=');
    let key = BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| AcmeError::ExternalAccountKey)?;
    Ok(ExternalAccountKey::new(external.key_id.clone(), &key))
}
