//! The certificate's key and the request that is signed with it.

use std::fmt;
use std::str::FromStr;

use rcgen::{CertificateParams, DistinguishedName, KeyPair, RsaKeySize};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::name::Identifier;

/// The kind of key in a certificate.
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
    /// Every type, with the word for it.
    pub const ALL: [(&'static str, KeyType); 4] = [
        ("ecdsa-p256", KeyType::EcdsaP256),
        ("ecdsa-p384", KeyType::EcdsaP384),
        ("rsa-2048", KeyType::Rsa2048),
        ("rsa-4096", KeyType::Rsa4096),
    ];
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = KeyType::ALL
            .iter()
            .find(|(_, kind)| kind == self)
            .map_or("", |(word, _)| word);
        f.write_str(word)
    }
}

impl FromStr for KeyType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match KeyType::ALL.iter().find(|(word, _)| *word == text) {
            Some((_, kind)) => Ok(*kind),
            None => Err(format!(
                "there is no key type `{}`; there are: {}",
                text.escape_debug(),
                KeyType::ALL.map(|(word, _)| word).join(", ")
            )),
        }
    }
}

/// A key that could not be made or used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the certificate's key could not be made: {0}")]
pub struct KeyError(String);

/// The private key of a certificate that is being issued.
pub struct CertificateKey(KeyPair);

impl fmt::Debug for CertificateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateKey(..)")
    }
}

impl CertificateKey {
    /// Makes a fresh key, on a thread of its own: RSA takes a while.
    pub async fn generate(kind: KeyType) -> Result<Self, KeyError> {
        let made = tokio::task::spawn_blocking(move || match kind {
            KeyType::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyType::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyType::Rsa2048 => {
                KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048)
            }
            KeyType::Rsa4096 => {
                KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096)
            }
        });
        match made.await {
            Ok(Ok(pair)) => Ok(CertificateKey(pair)),
            Ok(Err(error)) => Err(KeyError(error.to_string())),
            Err(error) => Err(KeyError(error.to_string())),
        }
    }

    /// The key in a PKCS #8 PEM, as [`CertificateKey::to_pem`] writes it.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let pair = KeyPair::from_pem(pem).map_err(|error| KeyError(error.to_string()))?;
        Ok(CertificateKey(pair))
    }

    /// The certification request (PKCS #10, DER) for exactly these names, without a common name,
    /// which no CA needs (RFC 8555 §7.4).
    pub fn request(&self, names: &[Identifier]) -> Result<Vec<u8>, KeyError> {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let request = CertificateParams::new(names).and_then(|mut params| {
            params.distinguished_name = DistinguishedName::new();
            params.serialize_request(&self.0)
        });
        Ok(request
            .map_err(|error| KeyError(error.to_string()))?
            .der()
            .to_vec())
    }

    /// The private key as PKCS #8 PEM.
    pub fn to_pem(&self) -> SecretString {
        self.0.serialize_pem().into()
    }

    /// The public key as `SubjectPublicKeyInfo` (DER).
    pub fn public(&self) -> Vec<u8> {
        rcgen::PublicKeyData::subject_public_key_info(&self.0)
    }
}
