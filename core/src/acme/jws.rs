//! Signing requests (RFC 8555 §6.2, RFC 7515), with the algorithms of RFC 7518 §3.

use std::error::Error;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;

type BoxedError = Box<dyn Error + Send + Sync>;

/// The key of an account, or of a certificate that is revoked.
#[derive(Debug)]
pub(super) enum SigningKey {
    /// ES256, on P-256.
    P256(EcdsaKeyPair),
    /// ES384, on P-384.
    P384(EcdsaKeyPair),
    /// RS256.
    Rsa(RsaKeyPair),
}

/// What a request is signed for, besides its payload.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Header<'a> {
    /// Who signs.
    #[serde(flatten)]
    pub(super) signer: Signer<'a>,
    /// The nonce, which may be used once. A JWS within another one has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nonce: Option<&'a str>,
    /// Where the request goes.
    pub(super) url: &'a str,
}

/// Who signs a request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Signer<'a> {
    /// The account with this URL.
    Kid(&'a str),
    /// The owner of the key with this public part (RFC 7517).
    Jwk(Value),
}

#[derive(Serialize)]
struct Protected<'a> {
    alg: &'static str,
    #[serde(flatten)]
    header: Header<'a>,
}

impl SigningKey {
    /// Reads a key in PKCS #8 (DER).
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, BoxedError> {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            return Ok(SigningKey::P256(pair));
        }
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der) {
            return Ok(SigningKey::P384(pair));
        }
        let pair = RsaKeyPair::from_pkcs8(der);
        let pair =
            pair.map_err(|_| "the key is not one on P-256, on P-384 or of RSA in PKCS #8")?;
        Ok(SigningKey::Rsa(pair))
    }

    /// Signs a request. The result is its body, a JWS in the flattened JSON serialization. An empty
    /// payload makes it a POST-as-GET request (RFC 8555 §6.3).
    pub(super) fn sign(&self, header: Header<'_>, payload: &[u8]) -> Result<Vec<u8>, BoxedError> {
        let alg = match self {
            SigningKey::P256(_) => "ES256",
            SigningKey::P384(_) => "ES384",
            SigningKey::Rsa(_) => "RS256",
        };
        let protected = serde_json::to_vec(&Protected { alg, header })?;
        let protected = BASE64_URL_SAFE_NO_PAD.encode(protected);
        let payload = BASE64_URL_SAFE_NO_PAD.encode(payload);
        let signature = self.signature(format!("{protected}.{payload}").as_bytes())?;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        let jws = json!({ "protected": protected, "payload": payload, "signature": signature });
        Ok(jws.to_string().into_bytes())
    }

    fn signature(&self, signed: &[u8]) -> Result<Vec<u8>, BoxedError> {
        let random = SystemRandom::new();
        match self {
            SigningKey::P256(pair) | SigningKey::P384(pair) => {
                let signature = pair.sign(&random, signed);
                let signature = signature.map_err(|_| "the key cannot sign")?;
                Ok(signature.as_ref().to_vec())
            }
            SigningKey::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, signed, &mut signature)
                    .map_err(|_| "the key cannot sign")?;
                Ok(signature)
            }
        }
    }

    /// The public part (RFC 7517), with the members that RFC 7638 §3.2 requires.
    pub(super) fn jwk(&self) -> Result<Value, BoxedError> {
        let encode = |octets: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(octets);
        let on_curve = |name: &str, pair: &EcdsaKeyPair| {
            // An uncompressed point: an octet that says so, and both coordinates.
            let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
            let (x, y) = point.split_at(point.len() / 2);
            json!({ "crv": name, "kty": "EC", "x": encode(x), "y": encode(y) })
        };
        Ok(match self {
            SigningKey::P256(pair) => on_curve("P-256", pair),
            SigningKey::P384(pair) => on_curve("P-384", pair),
            SigningKey::Rsa(pair) => {
                let (_, key) = RSAPublicKey::from_der(pair.public_key().as_ref())?;
                let [n, e] = [key.modulus, key.exponent].map(unsigned);
                json!({ "e": encode(e), "kty": "RSA", "n": encode(n) })
            }
        })
    }

    /// RFC 7638 §3.
    pub(super) fn thumbprint(&self) -> Result<String, BoxedError> {
        // The members are in the order of the alphabet, and there is no white space.
        Ok(sha256(&self.jwk()?.to_string()))
    }
}

/// Returns the TXT value that answers the dns-01 challenge with this token, for the account whose key has this
/// thumbprint (RFC 8555 §8.4).
pub(super) fn dns_value(token: &str, thumbprint: &str) -> String {
    sha256(&format!("{token}.{thumbprint}"))
}

/// A number of DER without the zero that makes it positive.
fn unsigned(octets: &[u8]) -> &[u8] {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    &octets[zeros..]
}

fn sha256(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::acme::testing::{decode, key, verified};
    use crate::certificate::{CertificateKey, KeyType};

    #[test]
    fn a_signed_request_has_its_header_its_payload_and_a_valid_signature() {
        let (account, url) = ("https://ca.example/account/1", "https://ca.example/order/1");
        let header = Header {
            signer: Signer::Kid(account),
            nonce: Some("n-1"),
            url,
        };
        let body = key().sign(header, b"{}").unwrap();
        let (protected, payload) = verified(&body, &key().jwk().unwrap());
        let expected = json!({ "alg": "ES256", "kid": account, "nonce": "n-1", "url": url });
        assert_eq!(protected, expected);
        assert_eq!(payload, b"{}");
    }

    #[tokio::test]
    async fn a_request_is_signed_with_a_key_of_any_type() {
        for (name, kind) in KeyType::ALL {
            let certificate = CertificateKey::generate(kind).await.unwrap();
            let key = SigningKey::from_pkcs8(certificate.pkcs8().expose_secret()).unwrap();
            let jwk = key.jwk().unwrap();
            let header = Header {
                signer: Signer::Jwk(jwk.clone()),
                nonce: Some("n"),
                url: "u",
            };
            let body = key.sign(header, b"payload").unwrap();
            let (protected, payload) = verified(&body, &jwk);
            assert_eq!(protected["jwk"], jwk, "{name}");
            assert_eq!(protected.get("kid"), None, "{name}");
            assert_eq!(payload, b"payload", "{name}");
        }
    }

    #[test]
    fn the_value_for_a_token_contains_the_thumbprint_of_the_key() {
        // Computed by a program of its own from the coordinates in the key.
        let thumbprint = key().thumbprint().unwrap();
        assert_eq!(thumbprint, "CdiznY-cyjYqyzhZlrR9EFX3c04SnJV4BuzDtyNklsQ");
        assert_eq!(
            dns_value("token", &thumbprint),
            "sVkyuS2cAUl5uSek1kJFMtVAQa3d3m4C_KTP8kiasj4"
        );
    }

    #[test]
    fn the_thumbprint_of_an_rsa_key_is_that_of_rfc_7638() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let jwk = json!({ "e": "AQAB", "kty": "RSA", "n": n });
        assert_eq!(
            sha256(&jwk.to_string()),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn a_request_without_a_payload_has_an_empty_one() {
        let header = Header {
            signer: Signer::Kid("k"),
            nonce: Some("n"),
            url: "u",
        };
        let body = key().sign(header, b"").unwrap();
        let jws: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(jws["payload"], "");
        assert!(decode("").is_empty());
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        assert!(SigningKey::from_pkcs8(b"not a key").is_err());
    }
}
