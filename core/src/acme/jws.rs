//! Signing requests (RFC 8555 §6.2, RFC 7515), with ES256 on P-256 (RFC 7518 §3.4).

use std::error::Error;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::json;

type BoxedError = Box<dyn Error + Send + Sync>;

/// The key of an account.
#[derive(Debug)]
pub(super) struct AccountKey(EcdsaKeyPair);

/// What a request is signed for, besides its payload.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Header<'a> {
    /// The URL of the account.
    pub(super) kid: &'a str,
    /// The nonce, which may be used once.
    pub(super) nonce: &'a str,
    /// Where the request goes.
    pub(super) url: &'a str,
}

#[derive(Serialize)]
struct Protected<'a> {
    alg: &'static str,
    #[serde(flatten)]
    header: Header<'a>,
}

impl AccountKey {
    /// Reads a key in PKCS #8 (DER).
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, BoxedError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
            .map_err(|_| "the key is not one on P-256 in PKCS #8")?;
        Ok(AccountKey(pair))
    }

    /// Signs a request. The result is its body, a JWS in the flattened JSON serialization. An empty
    /// payload makes it a POST-as-GET request (RFC 8555 §6.3).
    pub(super) fn sign(&self, header: Header<'_>, payload: &[u8]) -> Result<Vec<u8>, BoxedError> {
        let alg = "ES256";
        let protected = serde_json::to_vec(&Protected { alg, header })?;
        let protected = BASE64_URL_SAFE_NO_PAD.encode(protected);
        let payload = BASE64_URL_SAFE_NO_PAD.encode(payload);
        let signed = format!("{protected}.{payload}");
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| "the key cannot sign")?;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        let jws = json!({ "protected": protected, "payload": payload, "signature": signature });
        Ok(jws.to_string().into_bytes())
    }

    /// Returns the TXT value that answers the dns-01 challenge with this token (RFC 8555 §8.4).
    pub(super) fn dns_value(&self, token: &str) -> String {
        sha256(&format!("{token}.{}", self.thumbprint()))
    }

    /// RFC 7638 §3.
    fn thumbprint(&self) -> String {
        // An uncompressed point: an octet that says so, and both coordinates.
        let point = self.0.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at(point.len() / 2);
        let [x, y] = [x, y].map(|octets| BASE64_URL_SAFE_NO_PAD.encode(octets));
        sha256(&format!(
            r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#
        ))
    }
}

fn sha256(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJVWC_QzOTCS5vtsJp2IG-UDc8cdDfeoKtxSZxaznM-mhRANCAAQenCPoGgPFTdPJ7VLLKt56RxPlYT1wNXnHc54PEyBg3LxKaH0-sJkX0mL8LyPEdsfL_Oz4TxHkWLJGrXVtNhfH";

    fn decode(text: &str) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    fn key() -> AccountKey {
        AccountKey::from_pkcs8(&decode(KEY)).unwrap()
    }

    #[test]
    fn a_signed_request_has_its_header_its_payload_and_a_valid_signature() {
        let header = Header {
            kid: "https://ca.example/account/1",
            nonce: "n-1",
            url: "https://ca.example/order/1",
        };
        let body = key().sign(header, b"{}").unwrap();
        let jws: Value = serde_json::from_slice(&body).unwrap();
        let member = |name: &str| jws[name].as_str().unwrap();
        let protected: Value = serde_json::from_slice(&decode(member("protected"))).unwrap();
        let expected = json!({
            "alg": "ES256", "kid": header.kid, "nonce": header.nonce, "url": header.url,
        });
        assert_eq!(protected, expected);
        assert_eq!(decode(member("payload")), b"{}");
        let signed = format!("{}.{}", member("protected"), member("payload"));
        let public = UnparsedPublicKey::new(
            &ECDSA_P256_SHA256_FIXED,
            key().0.public_key().as_ref().to_vec(),
        );
        let signature = decode(member("signature"));
        assert!(public.verify(signed.as_bytes(), &signature).is_ok());
        assert!(public.verify(b"something else", &signature).is_err());
    }

    #[test]
    fn the_value_for_a_token_contains_the_thumbprint_of_the_key() {
        // Computed by a program of its own from the coordinates in the key.
        assert_eq!(
            key().thumbprint(),
            "CdiznY-cyjYqyzhZlrR9EFX3c04SnJV4BuzDtyNklsQ"
        );
        assert_eq!(
            key().dns_value("token"),
            "sVkyuS2cAUl5uSek1kJFMtVAQa3d3m4C_KTP8kiasj4"
        );
    }

    #[test]
    fn a_request_without_a_payload_has_an_empty_one() {
        let (kid, nonce, url) = ("k", "n", "u");
        let body = key().sign(Header { kid, nonce, url }, b"").unwrap();
        let jws: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(jws["payload"], "");
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        assert!(AccountKey::from_pkcs8(b"not a key").is_err());
    }
}
