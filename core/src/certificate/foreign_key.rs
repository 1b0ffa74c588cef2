//! Private keys as other programs keep them.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::KeyPair;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::Deserialize;
use x509_parser::pem::Pem;

use super::key::CertificateKey;

/// The tags of DER (X.690 §8.1.2).
const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

/// The header of a key that a passphrase protects.
const ENCRYPTED: &str = "Proc-Type: 4,ENCRYPTED";

/// A private key of another program: on P-256, on P-384 or of RSA.
pub struct ForeignKey {
    /// PKCS #8 (DER).
    pkcs8: SecretSlice<u8>,
}

impl fmt::Debug for ForeignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForeignKey(..)")
    }
}

/// Why a text is not a key that can be used. It quotes nothing of the text, which is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignKeyError {
    /// There is no key in it.
    #[error("there is no private key in it")]
    None,
    /// A passphrase protects the key.
    #[error("the private key is encrypted")]
    Encrypted,
    /// The key is damaged, or of another type.
    #[error("the private key is neither one on P-256 or P-384 nor one of RSA, or it is damaged")]
    Unsupported,
}

/// An RSA key as RFC 7517 and RFC 7518 §6.3 have it.
#[derive(Deserialize)]
struct RsaJwk {
    kty: String,
    n: String,
    e: String,
    d: String,
    p: String,
    q: String,
    dp: String,
    dq: String,
    qi: String,
}

impl ForeignKey {
    /// Reads the first private key of a PEM text: PKCS #8, or the older forms of OpenSSL (RFC 5915, PKCS #1).
    pub fn from_pem(pem: &str) -> Result<Self, ForeignKeyError> {
        // A header of RFC 1421, which the older forms have.
        if pem.lines().any(|line| line.trim() == ENCRYPTED) {
            return Err(ForeignKeyError::Encrypted);
        }
        for block in Pem::iter_from_buffer(pem.as_bytes()) {
            let block = block.map_err(|_| ForeignKeyError::None)?;
            match block.label.as_str() {
                "ENCRYPTED PRIVATE KEY" => return Err(ForeignKeyError::Encrypted),
                "PRIVATE KEY" => return ForeignKey::from_pkcs8(&block.contents),
                "EC PRIVATE KEY" => return ForeignKey::from_sec1(&block.contents),
                "RSA PRIVATE KEY" => return ForeignKey::from_pkcs1(&block.contents),
                _ => {}
            }
        }
        Err(ForeignKeyError::None)
    }

    /// Reads an RSA key in a JSON Web Key (RFC 7517).
    pub fn from_jwk(json: &str) -> Result<Self, ForeignKeyError> {
        let jwk: RsaJwk = serde_json::from_str(json).map_err(|_| ForeignKeyError::Unsupported)?;
        if jwk.kty != "RSA" {
            return Err(ForeignKeyError::Unsupported);
        }
        // RFC 8017 §A.1.2: the version, then the numbers in this order.
        let mut content = number(&[0]);
        for member in [
            &jwk.n, &jwk.e, &jwk.d, &jwk.p, &jwk.q, &jwk.dp, &jwk.dq, &jwk.qi,
        ] {
            let octets = BASE64_URL_SAFE_NO_PAD.decode(member.trim_end_matches('='));
            content.extend(number(&octets.map_err(|_| ForeignKeyError::Unsupported)?));
        }
        ForeignKey::from_pkcs1(&tagged(SEQUENCE, &content))
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, ForeignKeyError> {
        let is_ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).is_ok()
            || EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der).is_ok();
        if is_ec || RsaKeyPair::from_pkcs8(der).is_ok() {
            let pkcs8 = der.to_vec().into();
            return Ok(ForeignKey { pkcs8 });
        }
        Err(ForeignKeyError::Unsupported)
    }

    fn from_sec1(der: &[u8]) -> Result<Self, ForeignKeyError> {
        let curves = [
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &ECDSA_P384_SHA384_FIXED_SIGNING,
        ];
        let mut pairs = curves
            .into_iter()
            .filter_map(|curve| EcdsaKeyPair::from_private_key_der(curve, der).ok());
        let pkcs8 = pairs.next().and_then(|pair| pair.to_pkcs8v1().ok());
        let pkcs8 = pkcs8.ok_or(ForeignKeyError::Unsupported)?;
        let pkcs8 = pkcs8.as_ref().to_vec().into();
        Ok(ForeignKey { pkcs8 })
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, ForeignKeyError> {
        let pair = RsaKeyPair::from_der(der).map_err(|_| ForeignKeyError::Unsupported)?;
        let pkcs8: Result<Pkcs8V1Der<'static>, _> = pair.as_der();
        let pkcs8 = pkcs8.map_err(|_| ForeignKeyError::Unsupported)?;
        let pkcs8 = pkcs8.as_ref().to_vec().into();
        Ok(ForeignKey { pkcs8 })
    }

    /// The key as PKCS #8 (DER).
    pub(crate) fn pkcs8(&self) -> &[u8] {
        self.pkcs8.expose_secret()
    }

    /// Whether it is on P-256.
    pub fn is_on_p256(&self) -> bool {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, self.pkcs8()).is_ok()
    }

    /// The same as the key of a certificate.
    pub fn to_certificate_key(&self) -> Result<CertificateKey, ForeignKeyError> {
        let pair = KeyPair::try_from(self.pkcs8()).map_err(|_| ForeignKeyError::Unsupported)?;
        Ok(CertificateKey::from(pair))
    }

    /// The private key as PKCS #8 PEM.
    pub fn to_pem(&self) -> Result<SecretString, ForeignKeyError> {
        Ok(self.to_certificate_key()?.to_pem())
    }
}

/// A number that is not negative, in DER.
fn number(octets: &[u8]) -> Vec<u8> {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    let mut content = octets[zeros..].to_vec();
    // The first bit is the sign.
    if content.first().is_none_or(|octet| *octet > 0x7f) {
        content.insert(0, 0);
    }
    tagged(INTEGER, &content)
}

/// A tag, the length (X.690 §8.1.3) and the content.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|octet| **octet == 0).count();
    match *length.as_slice() {
        [.., last] if content.len() < 0x80 => der.push(last),
        _ => {
            let count = u8::try_from(length.len() - zeros).unwrap_or(u8::MAX);
            der.push(0x80 | count);
            der.extend(&length[zeros..]);
        }
    }
    der.extend(content);
    der
}

#[cfg(test)]
mod tests;
