//! What tests of signed requests need.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use super::jws::SigningKey;

const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJVWC_QzOTCS5vtsJp2IG-UDc8cdDfeoKtxSZxaznM-mhRANCAAQenCPoGgPFTdPJ7VLLKt56RxPlYT1wNXnHc54PEyBg3LxKaH0-sJkX0mL8LyPEdsfL_Oz4TxHkWLJGrXVtNhfH";

/// A key on P-256.
pub(super) fn key() -> SigningKey {
    SigningKey::from_pkcs8(&decode(KEY)).unwrap()
}

pub(super) fn decode(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// The header and the payload of a JWS whose signature is that of the key with this public part.
pub(super) fn verified(jws: &[u8], jwk: &Value) -> (Value, Vec<u8>) {
    let jws: Value = serde_json::from_slice(jws).unwrap();
    let member = |name: &str| jws[name].as_str().unwrap();
    let signed = format!("{}.{}", member("protected"), member("payload"));
    let signature = decode(member("signature"));
    let part = |name: &str| decode(jwk[name].as_str().unwrap());
    let verified = |message: &[u8]| match (jwk["kty"].as_str(), jwk["crv"].as_str()) {
        (Some("RSA"), _) => {
            let (n, e) = (part("n"), part("e"));
            let key = RsaPublicKeyComponents { n, e };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, message, &signature)
        }
        (_, crv) => {
            let point = [vec![4], part("x"), part("y")].concat();
            let algorithm = match crv {
                Some("P-256") => &ECDSA_P256_SHA256_FIXED,
                _ => &ECDSA_P384_SHA384_FIXED,
            };
            UnparsedPublicKey::new(algorithm, point).verify(message, &signature)
        }
    };
    assert!(verified(signed.as_bytes()).is_ok());
    assert!(verified(b"something else").is_err());
    let protected = serde_json::from_slice(&decode(member("protected"))).unwrap();
    (protected, decode(member("payload")))
}
