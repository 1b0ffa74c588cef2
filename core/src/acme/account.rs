//! The account at a CA (RFC 8555 §7.3).

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use instant_acme::{AccountCredentials, ExternalAccountKey, NewAccount};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::config::{CaConfig, ExternalAccount};
use super::error::{AcmeError, Operation};
use super::retry::retry;
use super::transport::Transport;

/// An account that orders can be placed with. Clones are cheap.
#[derive(Clone)]
pub struct Account {
    pub(super) inner: instant_acme::Account,
    pub(super) transport: Transport,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("url", &self.url()).finish()
    }
}

/// Returns the URL of an account from the credentials that [`Account::create`] returned.
pub(super) fn url_of(credentials: &SecretString) -> Result<String, AcmeError> {
    #[derive(Deserialize)]
    struct Credentials {
        id: String,
    }
    let credentials: Credentials =
        serde_json::from_str(credentials.expose_secret()).map_err(damaged)?;
    Ok(credentials.id)
}

impl Account {
    /// Opens an account with the credentials that [`Account::create`] returned. This reads the CA's
    /// directory.
    pub(super) async fn restore(
        transport: &Transport,
        credentials: &SecretString,
    ) -> Result<Self, AcmeError> {
        let parse = || serde_json::from_str::<AccountCredentials>(credentials.expose_secret());
        let _ = parse().map_err(damaged)?;
        let inner = retry!(Operation::Directory, {
            instant_acme::Account::builder_with_http(Box::new(transport.clone()))
                .from_credentials(parse()?)
                .await
        });
        Ok(Account {
            inner: inner?,
            transport: transport.clone(),
        })
    }

    /// Creates an account. Returns it with the credentials that [`Account::restore`] needs.
    pub(super) async fn create(
        transport: &Transport,
        config: &CaConfig,
    ) -> Result<(Self, SecretString), AcmeError> {
        let meta = transport.directory_meta(&config.directory).await?;
        if !config.agree_tos {
            return Err(AcmeError::TermsNotAgreed {
                terms: meta.terms_of_service,
            });
        }
        let external = match &config.external_account {
            Some(source) => Some(source.fetch().await),
            None if meta.external_account_required => {
                return Err(AcmeError::ExternalAccountRequired);
            }
            None => None,
        };
        let external = external.transpose();
        let external = external.map_err(|error| AcmeError::ExternalAccount {
            source: Arc::from(error),
        })?;
        let external = external.as_ref().map(external_key).transpose()?;
        let contact: Vec<_> = config
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
        let (inner, credentials) = retry!(Operation::Account, {
            instant_acme::Account::builder_with_http(Box::new(transport.clone()))
                .create(&request, config.directory.clone(), external.as_ref())
                .await
        })?;
        let credentials =
            serde_json::to_string(&credentials).map_err(|error| AcmeError::InvalidAnswer {
                operation: Operation::Account,
                source: Arc::new(error),
            })?;
        let transport = transport.clone();
        Ok((Account { inner, transport }, credentials.into()))
    }

    /// The account's URL at the CA (RFC 8555 §7.3). CAA records may contain it (RFC 8657 §3).
    pub fn url(&self) -> &str {
        self.inner.id()
    }
}

fn damaged(error: serde_json::Error) -> AcmeError {
    AcmeError::StoredAccount {
        source: Arc::new(error),
    }
}

fn external_key(external: &ExternalAccount) -> Result<ExternalAccountKey, AcmeError> {
    let text = external.hmac_key.expose_secret();
    let key = BASE64_URL_SAFE_NO_PAD
        .decode(text.trim().trim_end_matches('='))
        .map_err(|_| AcmeError::InvalidHmacKey)?;
    Ok(ExternalAccountKey::new(external.key_id.clone(), &key))
}
