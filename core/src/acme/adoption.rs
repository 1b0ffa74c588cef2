//! Taking over an account that another program created.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::SecretString;
use serde_json::json;

use super::account::{key_of, url_of};
use super::account_lease::{AccountLease, under_lease};
use super::ca::Ca;
use super::ca_error::CaError;
use super::jws::SigningKey;
use super::key_change::KEY;
use super::rollover;
use crate::certificate::ForeignKey;
use crate::store::Store;

/// What became of an account that was taken over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Adoption {
    /// It is in the store, with its own key.
    Stored,
    /// It is in the store, and the CA has a new key for it.
    NewKey,
    /// It is in the store, with its own key, which still works: the CA did not take a new one.
    OldKey(CaError),
    /// It was in the store before.
    Known,
    /// The store has another account at this CA, with this URL, which stays.
    Other(String),
}

impl Ca {
    /// Stores the account with this URL and key, unless the store has one for this CA. A key on P-256 is kept, and
    /// nothing is requested from the CA. Any other one is replaced by a key on P-256 (RFC 8555 §7.3.5); the account
    /// keeps its URL.
    ///
    /// If the process ends meanwhile, the account is in the store with a key that works; call this again, or let the next
    /// use of the account finish the change.
    ///
    /// This object continues with an account that it has used before; make another one afterwards.
    pub async fn adopt_account(
        &self,
        store: &dyn Store,
        url: &str,
        key: &ForeignKey,
    ) -> Result<Adoption, CaError> {
        store.check().await?;
        let lease = AccountLease::new(self.directory()).acquire(store).await?;
        under_lease(store, lease, Box::pin(self.adopt(store, url, key))).await
    }

    async fn adopt(
        &self,
        store: &dyn Store,
        url: &str,
        key: &ForeignKey,
    ) -> Result<Adoption, CaError> {
        let directory = self.directory();
        let stored = store.account(directory).await?;
        if let Some(stored) = &stored {
            let other = url_of(stored)?;
            if other != url {
                return Ok(Adoption::Other(other));
            }
            if is_on_p256(stored)? {
                return Ok(Adoption::Known);
            }
        } else {
            let credentials = credentials(directory, url, key);
            store.put_account(directory, &credentials).await?;
            if key.is_on_p256() {
                return Ok(Adoption::Stored);
            }
        }
        let changed = rollover::roll_over_once(self.client(), store).await;
        Ok(match changed {
            Ok(()) => Adoption::NewKey,
            Err(error) => Adoption::OldKey(error),
        })
    }
}

/// In the form in which accounts are stored.
fn credentials(directory: &str, url: &str, key: &ForeignKey) -> SecretString {
    let key = BASE64_URL_SAFE_NO_PAD.encode(key.pkcs8());
    json!({ "id": url, KEY: key, "directory": directory })
        .to_string()
        .into()
}

fn is_on_p256(credentials: &SecretString) -> Result<bool, CaError> {
    Ok(matches!(key_of(credentials)?, SigningKey::P256(_)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use secrecy::ExposeSecret;

    use super::*;
    use crate::acme::{AcmeError, CaConfig, TransportError};
    use crate::certificate::{CertificateKey, KeyType};
    use crate::clock::SystemClock;
    use crate::testkit::MemoryStore;

    /// Fails at once, because the URL is not HTTPS.
    const DIRECTORY: &str = "http://ca.example/directory";
    const URL: &str = "https://ca.example/account/1";

    async fn adopt(store: &MemoryStore, url: &str, kind: KeyType) -> Adoption {
        let key = CertificateKey::generate(kind).await.unwrap();
        let key = ForeignKey::from_pem(key.to_pem().expose_secret()).unwrap();
        let ca = Ca::new(CaConfig::new(DIRECTORY), Arc::new(SystemClock)).unwrap();
        ca.adopt_account(store, url, &key).await.unwrap()
    }

    #[tokio::test]
    async fn an_account_on_p256_is_stored_without_a_request() {
        let store = MemoryStore::new(Arc::new(SystemClock));
        let adopted = adopt(&store, URL, KeyType::EcdsaP256).await;
        assert!(matches!(adopted, Adoption::Stored), "{adopted:?}");
        let stored = store.account(DIRECTORY).await.unwrap().unwrap();
        assert_eq!(url_of(&stored).unwrap(), URL);
        let adopted = adopt(&store, URL, KeyType::EcdsaP256).await;
        assert!(matches!(adopted, Adoption::Known), "{adopted:?}");
        let again = store.account(DIRECTORY).await.unwrap().unwrap();
        assert_eq!(again.expose_secret(), stored.expose_secret());
        assert_eq!(store.live_leases().await.unwrap(), []);
    }

    #[tokio::test]
    async fn another_account_stays() {
        let store = MemoryStore::new(Arc::new(SystemClock));
        adopt(&store, URL, KeyType::EcdsaP256).await;
        let other = format!("{URL}2");
        match adopt(&store, &other, KeyType::EcdsaP256).await {
            Adoption::Other(url) => assert_eq!(url, URL),
            adopted => panic!("{adopted:?}"),
        }
        let stored = store.account(DIRECTORY).await.unwrap().unwrap();
        assert_eq!(url_of(&stored).unwrap(), URL);
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_replaced_is_kept_and_can_sign() {
        for kind in [KeyType::Rsa2048, KeyType::EcdsaP384] {
            let store = MemoryStore::new(Arc::new(SystemClock));
            // The second attempt finds the account, and the change under way.
            for _ in 0..2 {
                match adopt(&store, URL, kind).await {
                    Adoption::OldKey(CaError::Acme(AcmeError::Transport(
                        TransportError::NotHttps { .. },
                    ))) => {}
                    adopted => panic!("{kind}: {adopted:?}"),
                }
                let stored = store.account(DIRECTORY).await.unwrap().unwrap();
                key_of(&stored).unwrap().jwk().unwrap();
                let pending = store.pending_account(DIRECTORY).await.unwrap().unwrap();
                assert!(is_on_p256(&pending).unwrap(), "{kind}");
            }
        }
    }
}
