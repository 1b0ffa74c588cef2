//! The key of a certificate, and the certificate request.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use rcgen::{CertificateParams, DistinguishedName, KeyPair, RsaKeySize};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::name::Identifier;

/// Turns to generate a key that takes seconds of a processor. Half of the processors are left for all other work, and few
/// threads of the runtime are taken, which the store, the ledger and the leases need too.
static SLOW_TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let processors = available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new((processors / 2).max(1)))
});

/// The type of a certificate's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    /// ECDSA on P-256.
    #[default]
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA on P-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// RSA with 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA with 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

impl KeyType {
    /// Whether it takes long to generate such a key.
    pub(crate) fn is_slow(self) -> bool {
        match self {
            KeyType::EcdsaP256 | KeyType::EcdsaP384 => false,
            KeyType::Rsa2048 | KeyType::Rsa4096 => true,
        }
    }

    /// All types, with their names.
    pub const ALL: [(&'static str, KeyType); 4] = [
        ("ecdsa-p256", KeyType::EcdsaP256),
        ("ecdsa-p384", KeyType::EcdsaP384),
        ("rsa-2048", KeyType::Rsa2048),
        ("rsa-4096", KeyType::Rsa4096),
    ];
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KeyType::ALL
            .iter()
            .find(|(_, kind)| kind == self)
            .map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for KeyType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match KeyType::ALL.iter().find(|(name, _)| *name == text) {
            Some((_, kind)) => Ok(*kind),
            None => Err(format!(
                "`{}` is not a key type; the key types are: {}",
                text.escape_debug(),
                KeyType::ALL.map(|(name, _)| name).join(", ")
            )),
        }
    }
}

/// A key that could not be generated or used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No key could be generated.
    #[error("could not generate the certificate's key: {source}")]
    Generation {
        /// The reason.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The text is not a private key in PEM.
    #[error("could not read the certificate's key: {source}")]
    Unreadable {
        /// The reason.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The certificate request could not be signed.
    #[error("could not create the certificate request: {source}")]
    Request {
        /// The reason.
        source: Arc<dyn Error + Send + Sync>,
    },
}

/// Waits for a turn to generate a key that takes long.
async fn slow_turn() -> Option<OwnedSemaphorePermit> {
    // The semaphore is never closed.
    Arc::clone(&SLOW_TURNS).acquire_owned().await.ok()
}

/// The private key of a certificate.
pub struct CertificateKey(KeyPair);

impl fmt::Debug for CertificateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateKey(..)")
    }
}

impl From<KeyPair> for CertificateKey {
    fn from(pair: KeyPair) -> Self {
        CertificateKey(pair)
    }
}

impl CertificateKey {
    /// Generates a key on a blocking thread, because RSA takes a while. Few RSA keys are generated at a time; the others
    /// wait without a thread.
    pub async fn generate(kind: KeyType) -> Result<Self, KeyError> {
        let turn = if kind.is_slow() {
            slow_turn().await
        } else {
            None
        };
        let pair = tokio::task::spawn_blocking(move || {
            // Until it has ended, even if nobody waits any more.
            let _turn = turn;
            match kind {
                KeyType::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
                KeyType::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
                KeyType::Rsa2048 => {
                    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048)
                }
                KeyType::Rsa4096 => {
                    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096)
                }
            }
        });
        let failed = |source| KeyError::Generation { source };
        let pair = pair.await.map_err(|error| failed(Arc::new(error)))?;
        let pair = pair.map_err(|error| failed(Arc::new(error)))?;
        Ok(CertificateKey(pair))
    }

    /// Reads a key in PKCS #8 PEM, as [`CertificateKey::to_pem`] writes it.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let pair = KeyPair::from_pem(pem).map_err(|error| KeyError::Unreadable {
            source: Arc::new(error),
        })?;
        Ok(CertificateKey(pair))
    }

    /// The same from a secret.
    pub fn from_secret(pem: &SecretString) -> Result<Self, KeyError> {
        CertificateKey::from_pem(pem.expose_secret())
    }

    /// Creates the certificate request (PKCS #10, DER) for exactly these names. It has no common
    /// name, because no CA needs one (RFC 8555 §7.4).
    pub fn request(&self, names: &[Identifier]) -> Result<Vec<u8>, KeyError> {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let request = CertificateParams::new(names).and_then(|mut params| {
            params.distinguished_name = DistinguishedName::new();
            params.serialize_request(&self.0)
        });
        let request = request.map_err(|error| KeyError::Request {
            source: Arc::new(error),
        })?;
        Ok(request.der().to_vec())
    }

    /// The private key as PKCS #8 PEM.
    pub fn to_pem(&self) -> SecretString {
        self.0.serialize_pem().into()
    }

    /// The private key as PKCS #8 (DER).
    pub(crate) fn pkcs8(&self) -> SecretSlice<u8> {
        self.0.serialize_der().into()
    }

    /// The public key as `SubjectPublicKeyInfo` (DER).
    pub fn public(&self) -> Vec<u8> {
        rcgen::PublicKeyData::subject_public_key_info(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn keys_that_take_long_wait_for_a_turn_and_others_do_not() {
        let processors = available_parallelism().map_or(1, usize::from);
        let mut turns = Vec::new();
        for _ in 0..(processors / 2).max(1) {
            turns.push(slow_turn().await);
        }
        for kind in [KeyType::Rsa2048, KeyType::Rsa4096] {
            let waiting = CertificateKey::generate(kind);
            assert!(waiting.now_or_never().is_none());
        }
        assert_eq!(SLOW_TURNS.available_permits(), 0);
        for kind in [KeyType::EcdsaP256, KeyType::EcdsaP384] {
            CertificateKey::generate(kind).await.unwrap();
        }
        drop(turns);
        CertificateKey::generate(KeyType::Rsa2048).await.unwrap();
    }
}
