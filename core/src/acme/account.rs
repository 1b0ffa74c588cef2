//! The account at a CA (RFC 8555 §7.3).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use instant_acme::{AccountCredentials, ExternalAccountKey, NewAccount};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::client::Client;
use super::config::{CaConfig, ExternalAccount};
use super::error::{AcmeError, Operation};
use super::jws::{self, Signer, SigningKey};
use super::problem::convert;
use super::retry::Retry;
use super::signed::Signing;

/// The payload of a POST-as-GET request (RFC 8555 §6.3).
const NO_PAYLOAD: &[u8] = b"";

/// An account that orders can be placed with. Clones are cheap.
///
/// `instant-acme` creates it. Requests of the account are signed here, because `instant-acme` sends them one
/// after another.
#[derive(Clone)]
pub struct Account {
    url: Arc<str>,
    key: Arc<SigningKey>,
    thumbprint: Arc<str>,
    pub(super) client: Client,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Returns the URL of an account from the credentials that [`Account::create`] returned.
pub(super) fn url_of(credentials: &SecretString) -> Result<String, AcmeError> {
    #[derive(Deserialize)]
    struct Credentials {
        id: String,
    }
    let credentials: Credentials =
        serde_json::from_str(credentials.expose_secret()).map_err(AcmeError::damaged)?;
    Ok(credentials.id)
}

/// Returns the key of an account from the credentials that [`Account::create`] returned.
pub(super) fn key_of(credentials: &SecretString) -> Result<SigningKey, AcmeError> {
    let credentials: AccountCredentials =
        serde_json::from_str(credentials.expose_secret()).map_err(AcmeError::damaged)?;
    SigningKey::from_pkcs8(credentials.private_key().secret_pkcs8_der()).map_err(AcmeError::damaged)
}

impl Account {
    /// Opens an account with the credentials that [`Account::create`] returned. This reads the CA's
    /// directory.
    pub(super) async fn restore(
        client: &Client,
        credentials: &SecretString,
    ) -> Result<Self, AcmeError> {
        let key = key_of(credentials)?;
        let account = Account {
            url: url_of(credentials)?.into(),
            thumbprint: key.thumbprint().map_err(AcmeError::damaged)?.into(),
            key: Arc::new(key),
            client: client.clone(),
        };
        client.directory().await?;
        Ok(account)
    }

    /// Creates an account. Returns it with the credentials that [`Account::restore`] needs.
    pub(super) async fn create(
        client: &Client,
        config: &CaConfig,
    ) -> Result<(Self, SecretString), AcmeError> {
        let directory = client.directory().await?;
        if !config.agree_tos {
            return Err(AcmeError::TermsNotAgreed {
                terms: directory.terms_of_service(),
            });
        }
        let external = match &config.external_account {
            Some(source) => Some(source.fetch().await),
            None if directory.requires_external_account() => {
                return Err(AcmeError::ExternalAccountRequired);
            }
            None => None,
        };
        let external = external.transpose();
        let external = external.map_err(|error| AcmeError::ExternalAccount {
            source: Arc::from(error),
        })?;
        let external = external.as_ref().map(external_key).transpose()?;
        let credentials = register(client, config, external.as_ref()).await?;
        let account = Account::restore(client, &credentials).await?;
        Ok((account, credentials))
    }

    /// The account's URL at the CA (RFC 8555 §7.3). CAA records may contain it (RFC 8657 §3).
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of the CA's directory.
    pub fn directory(&self) -> &str {
        self.client.directory_url()
    }

    /// The thumbprint of its key (RFC 7638).
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Returns the TXT value that answers the dns-01 challenge with this token.
    pub(super) fn dns_value(&self, token: &str) -> String {
        jws::dns_value(token, &self.thumbprint)
    }

    /// Reads a resource (POST-as-GET, RFC 8555 §6.3). An error says what for.
    pub(super) async fn get(
        &self,
        operation: Operation,
        url: &str,
    ) -> Result<Response<Bytes>, AcmeError> {
        self.post(operation, url, NO_PAYLOAD).await
    }

    /// Sends a signed request (RFC 8555 §6.2), again if the CA refuses the nonce or is overloaded. An
    /// error says what for.
    pub(super) async fn post(
        &self,
        operation: Operation,
        url: &str,
        payload: &[u8],
    ) -> Result<Response<Bytes>, AcmeError> {
        let signing = Signing {
            client: &self.client,
            key: &self.key,
            signer: Signer::Kid(&self.url),
        };
        signing.post(operation, url, payload).await
    }

    /// The key that signs its requests.
    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }
}

/// The mail addresses as the CA wants them (RFC 8555 §7.3).
pub(super) fn urls(contact: &[String]) -> Vec<String> {
    let contact = contact.iter();
    contact.map(|address| format!("mailto:{address}")).collect()
}

/// Creates an account at the CA. Returns its credentials.
async fn register(
    client: &Client,
    config: &CaConfig,
    external: Option<&ExternalAccountKey>,
) -> Result<SecretString, AcmeError> {
    let contact = urls(&config.contact);
    let contact: Vec<_> = contact.iter().map(String::as_str).collect();
    let request = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let mut retry = Retry::new();
    let (_, credentials) = loop {
        let created = instant_acme::Account::builder_with_http(Box::new(client.clone()))
            .create(&request, config.directory.clone(), external)
            .await;
        match created {
            Ok(created) => break created,
            Err(error) => retry.after(convert(Operation::Account, error)).await?,
        }
    };
    let credentials = serde_json::to_string(&credentials);
    let credentials = credentials.map_err(|error| AcmeError::invalid(Operation::Account, error))?;
    Ok(credentials.into())
}

fn external_key(external: &ExternalAccount) -> Result<ExternalAccountKey, AcmeError> {
    let key = external.hmac_key_octets()?;
    Ok(ExternalAccountKey::new(external.key_id.clone(), &key))
}
