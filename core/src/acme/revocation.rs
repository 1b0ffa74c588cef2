//! Revoking certificates (RFC 8555 §7.6).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;

use super::account::Account;
use super::ca::Ca;
use super::ca_error::CaError;
use super::client::Client;
use super::error::{AcmeError, Operation};
use super::jws::{Signer, SigningKey};
use super::signed::Signing;
use crate::certificate::CertificateKey;
use crate::store::Store;

/// Why a certificate is revoked (RFC 5280 §5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationReason {
    /// No reason is given.
    #[default]
    Unspecified,
    /// Others have the private key, or may have it.
    KeyCompromise,
    /// The owner of the names has changed.
    AffiliationChanged,
    /// Another certificate replaces it.
    Superseded,
    /// The names are not used any more.
    CessationOfOperation,
}

impl RevocationReason {
    /// All reasons, with their names and codes.
    pub const ALL: [(&'static str, RevocationReason, u8); 5] = [
        ("unspecified", RevocationReason::Unspecified, 0),
        ("key-compromise", RevocationReason::KeyCompromise, 1),
        (
            "affiliation-changed",
            RevocationReason::AffiliationChanged,
            3,
        ),
        ("superseded", RevocationReason::Superseded, 4),
        (
            "cessation-of-operation",
            RevocationReason::CessationOfOperation,
            5,
        ),
    ];

    fn row(self) -> Option<&'static (&'static str, RevocationReason, u8)> {
        RevocationReason::ALL
            .iter()
            .find(|(_, reason, _)| *reason == self)
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().map_or("", |(name, ..)| name))
    }
}

impl FromStr for RevocationReason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match RevocationReason::ALL
            .iter()
            .find(|(name, ..)| *name == text)
        {
            Some((_, reason, _)) => Ok(*reason),
            None => Err(format!(
                "`{}` is not a reason; the reasons are: {}",
                text.escape_debug(),
                RevocationReason::ALL.map(|(name, ..)| name).join(", ")
            )),
        }
    }
}

/// Who asked for a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevokedBy {
    /// The account at the CA.
    Account,
    /// The certificate's own key.
    CertificateKey,
}

/// A certificate that is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Who asked for it.
    pub by: RevokedBy,
    /// Whether the CA had revoked it before.
    pub already: bool,
}

/// Asks a CA to revoke one certificate. The URL and the account were looked up before.
pub(crate) struct Revoker<'a> {
    client: &'a Client,
    url: &'a str,
    /// The account, or why there is none.
    account: Result<Account, AcmeError>,
}

impl Ca {
    /// Looks up what a revocation needs. Requests none.
    pub(crate) async fn revoker(&self, store: &dyn Store) -> Result<Revoker<'_>, CaError> {
        let operation = Operation::Revocation;
        let url = self.client().directory().await?.revoke_cert();
        let url = url.ok_or(AcmeError::NotOffered { operation })?;
        let account = self.existing_account(store).await?;
        Ok(Revoker {
            client: self.client(),
            url,
            account: account.ok_or_else(|| AcmeError::NoAccount {
                directory: self.directory().to_owned(),
            }),
        })
    }
}

impl Revoker<'_> {
    /// Revokes the certificate with this DER encoding. The account in the store asks for it. If there is none, or the CA
    /// does not let it, the certificate's own key does, if it is given.
    pub(crate) async fn revoke(
        self,
        der: &[u8],
        reason: RevocationReason,
        key: Option<&CertificateKey>,
    ) -> Result<Revocation, AcmeError> {
        let payload = payload(der, reason);
        let refusal = match self.account {
            Ok(account) => {
                let answer = account.post(Operation::Revocation, self.url, &payload);
                match revoked(RevokedBy::Account, answer.await) {
                    Err(error) if is_of_account(&error) => error,
                    outcome => return outcome,
                }
            }
            Err(missing) => missing,
        };
        let Some(key) = key else {
            return Err(refusal);
        };
        tracing::info!(%refusal, "the certificate's own key asks for the revocation");
        let answer = by_key(self.client, self.url, key, &payload).await;
        revoked(RevokedBy::CertificateKey, answer)
    }
}

fn payload(der: &[u8], reason: RevocationReason) -> Vec<u8> {
    let mut payload = json!({ "certificate": BASE64_URL_SAFE_NO_PAD.encode(der) });
    // A CRL must not contain the reason `unspecified` (RFC 5280 §5.3.1).
    if let Some((_, _, code @ 1..)) = reason.row() {
        payload["reason"] = json!(code);
    }
    payload.to_string().into_bytes()
}

async fn by_key(
    client: &Client,
    url: &str,
    key: &CertificateKey,
    payload: &[u8],
) -> Result<http::Response<bytes::Bytes>, AcmeError> {
    let key = SigningKey::from_pkcs8(key.pkcs8().expose_secret()).map_err(AcmeError::damaged)?;
    let signer = Signer::Jwk(key.jwk().map_err(AcmeError::damaged)?);
    let key = &key;
    let signing = Signing {
        client,
        key,
        signer,
    };
    signing.post(Operation::Revocation, url, payload).await
}

fn revoked<T>(by: RevokedBy, answer: Result<T, AcmeError>) -> Result<Revocation, AcmeError> {
    match answer {
        Ok(_) => Ok(Revocation { by, already: false }),
        Err(error) if error.problem() == Some("alreadyRevoked") => {
            Ok(Revocation { by, already: true })
        }
        Err(error) => Err(error),
    }
}

/// Whether the CA does not know the account, or does not let it revoke this certificate.
fn is_of_account(error: &AcmeError) -> bool {
    matches!(
        error.problem(),
        Some("unauthorized" | "accountDoesNotExist")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn reasons_are_the_words_and_the_codes_of_rfc_5280() {
        for (name, reason, code) in RevocationReason::ALL {
            assert_eq!(name.parse(), Ok(reason));
            assert_eq!(reason.to_string(), name);
            let payload: Value = serde_json::from_slice(&payload(b"\x30", reason)).unwrap();
            assert_eq!(payload["certificate"], "MA");
            let sent = Some(Value::from(code)).filter(|_| code > 0);
            assert_eq!(payload.get("reason"), sent.as_ref(), "{name}");
        }
        let error = "compromise".parse::<RevocationReason>().unwrap_err();
        assert!(error.contains("key-compromise"), "{error}");
    }
}
