//! Changing the key of an account (RFC 8555 §7.3.5): a request signed with the old key contains one that is signed
//! with the new key.

use std::error::Error;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::account::Account;
use super::error::{AcmeError, Operation};
use super::jws::{Header, Signer, SigningKey};

/// The member of stored credentials that has the key.
pub(super) const KEY: &str = "key_pkcs8";

impl Account {
    /// Asks the CA to use another key for the account. The URL of the account stays.
    pub(super) async fn change_key(&self, new: &SigningKey) -> Result<(), AcmeError> {
        let operation = Operation::KeyChange;
        let url = self.client.directory().await?.key_change();
        let url = url.ok_or(AcmeError::NotOffered { operation })?;
        let payload = inner(url, self.url(), self.key(), new).map_err(AcmeError::damaged)?;
        self.post(operation, url, &payload).await?;
        Ok(())
    }
}

/// The request that the new key signs. It has no nonce.
fn inner(
    url: &str,
    account: &str,
    old: &SigningKey,
    new: &SigningKey,
) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let payload = json!({ "account": account, "oldKey": old.jwk()? });
    let header = Header {
        signer: Signer::Jwk(new.jwk()?),
        nonce: None,
        url,
    };
    new.sign(header, payload.to_string().as_bytes())
}

/// The same credentials with a fresh key.
pub(super) fn with_fresh_key(credentials: &SecretString) -> Result<SecretString, AcmeError> {
    let parsed = serde_json::from_str(credentials.expose_secret());
    let mut credentials: Value = parsed.map_err(AcmeError::damaged)?;
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let key = key.map_err(|_| AcmeError::damaged("no key could be generated"))?;
    credentials[KEY] = Value::from(BASE64_URL_SAFE_NO_PAD.encode(key.as_ref()));
    Ok(credentials.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::account::{key_of, url_of};
    use crate::acme::testing::{decode, key, verified};

    #[test]
    fn a_key_change_is_signed_by_both_keys() {
        let (url, account) = (
            "https://ca.example/key-change",
            "https://ca.example/account/1",
        );
        let stored = json!({ "id": account, KEY: "", "directory": "https://ca.example/dir" });
        let fresh = with_fresh_key(&stored.to_string().into()).unwrap();
        assert_eq!(url_of(&fresh).unwrap(), account);
        let (old, new) = (key(), key_of(&fresh).unwrap());
        let payload = inner(url, account, &old, &new).unwrap();
        let header = Header {
            signer: Signer::Kid(account),
            nonce: Some("n-1"),
            url,
        };
        let outer = old.sign(header, &payload).unwrap();

        let (protected, payload) = verified(&outer, &old.jwk().unwrap());
        let expected = json!({ "alg": "ES256", "kid": account, "nonce": "n-1", "url": url });
        assert_eq!(protected, expected);
        let (protected, payload) = verified(&payload, &new.jwk().unwrap());
        let expected = json!({ "alg": "ES256", "jwk": new.jwk().unwrap(), "url": url });
        assert_eq!(protected, expected);
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(
            payload,
            json!({ "account": account, "oldKey": old.jwk().unwrap() })
        );
        assert_ne!(old.jwk().unwrap(), new.jwk().unwrap());
    }

    #[test]
    fn fresh_credentials_differ_in_their_key_only() {
        let stored = json!({ "id": "u", KEY: "AAAA", "directory": "d", "other": [1] });
        let fresh = with_fresh_key(&stored.to_string().into()).unwrap();
        let mut fresh: Value = serde_json::from_str(fresh.expose_secret()).unwrap();
        assert!(decode(fresh[KEY].as_str().unwrap()).len() > 100);
        fresh[KEY] = Value::from("AAAA");
        assert_eq!(fresh, stored);
    }
}
