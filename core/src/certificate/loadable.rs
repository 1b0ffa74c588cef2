//! What servers with OpenSSL do not load, and most servers have it. One with the certificates of many does not start, or
//! keeps its old ones, because of a single one that it does not load.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ParsedPublicKey,
    VerificationAlgorithm,
};

use x509_parser::asn1_rs::{Any, Class, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::{AlgorithmIdentifier, AttributeTypeAndValue, X509Name};

use super::encoding::is_strict;

/// Algorithms of signatures: RSA and ECDSA with SHA-2, Ed25519 and Ed448. Servers refuse SHA-1, MD5, and what they do not know.
const SIGNATURES: [&str; 8] = [
    "1.2.840.113549.1.1.11",
    "1.2.840.113549.1.1.12",
    "1.2.840.113549.1.1.13",
    "1.2.840.10045.4.3.2",
    "1.2.840.10045.4.3.3",
    "1.2.840.10045.4.3.4",
    "1.3.101.112",
    "1.3.101.113",
];
/// SHA-256, SHA-384 and SHA-512.
const HASHES: [&str; 3] = [
    "2.16.840.1.101.3.4.2.1",
    "2.16.840.1.101.3.4.2.2",
    "2.16.840.1.101.3.4.2.3",
];
/// Keys that are no points of a curve of NIST: Ed25519 and Ed448, with their octets.
const EDWARDS_KEYS: [(&str, usize); 2] = [("1.3.101.112", 32), ("1.3.101.113", 57)];
/// The curves of keys: P-256, P-384 and P-521.
const CURVES: [(&str, &dyn VerificationAlgorithm); 3] = [
    ("1.2.840.10045.3.1.7", &ECDSA_P256_SHA256_ASN1),
    ("1.3.132.0.34", &ECDSA_P384_SHA384_ASN1),
    ("1.3.132.0.35", &ECDSA_P521_SHA512_ASN1),
];
/// The shortest RSA key, in bits.
const RSA_MIN: usize = 2_048;

/// Why servers do not load a certificate; `None` if they do.
pub(super) fn refusal(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    let names = [certificate.subject(), certificate.issuer()];
    let mut values = names
        .into_iter()
        .flat_map(X509Name::iter_attributes)
        .map(AttributeTypeAndValue::attr_value);
    if !is_strong(&certificate.signature_algorithm) {
        Some("the algorithm of its signature is weak or unknown")
    } else if values.any(|value| !is_text(value)) {
        Some("a name in it is not text")
    } else if !is_strict(certificate.as_raw()) {
        Some("its encoding is not valid")
    } else {
        None
    }
}

/// Why servers do not load it as an issuer, whose key comes from elsewhere.
pub(super) fn refusal_of_issuer(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    if has_strong_key(certificate) {
        refusal(certificate)
    } else {
        Some("its key is short or not valid")
    }
}

fn is_strong(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    if let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = algorithm.try_into() {
        let mask = parameters.mask_gen_algorithm();
        return mask.is_ok_and(|mask| HASHES.contains(&mask.hash.to_id_string().as_str()))
            && HASHES.contains(&parameters.hash_algorithm_oid().to_id_string().as_str())
            && parameters.trailer_field() == 1;
    }
    SIGNATURES.contains(&algorithm.algorithm.to_id_string().as_str())
}

fn has_strong_key(certificate: &X509Certificate<'_>) -> bool {
    let key = certificate.public_key();
    let is_named = |parameters: &Any<'_>, name: &str| {
        parameters
            .as_oid()
            .is_ok_and(|oid| oid.to_id_string() == name)
    };
    match key.parsed() {
        Ok(PublicKey::RSA(key)) => bits(key.modulus).is_some_and(|bits| bits >= RSA_MIN),
        Ok(PublicKey::EC(point)) => key.algorithm.parameters.as_ref().is_some_and(|parameters| {
            let mut curves = CURVES.into_iter();
            let curve = curves.find(|(name, _)| is_named(parameters, name));
            curve.is_some_and(|(_, curve)| ParsedPublicKey::new(curve, point.data()).is_ok())
        }),
        _ => {
            let (name, octets) = (
                key.algorithm.algorithm.to_id_string(),
                key.subject_public_key.data.len(),
            );
            EDWARDS_KEYS.contains(&(name.as_str(), octets))
        }
    }
}

/// How many bits a positive INTEGER has, in its shortest form (X.690 §8.3.2).
fn bits(integer: &[u8]) -> Option<usize> {
    let magnitude = match integer {
        [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => rest,
        [first, ..] if (1..0x80).contains(first) => integer,
        _ => return None,
    };
    let zeros = magnitude.first()?.leading_zeros();
    (magnitude.len() * 8).checked_sub(usize::try_from(zeros).ok()?)
}

/// Whether a value in a name is a text of a usual kind.
fn is_text(value: &Any<'_>) -> bool {
    let is_primitive = value.class() == Class::Universal && value.header.is_primitive();
    is_primitive
        && match value.tag() {
            Tag::Utf8String => std::str::from_utf8(value.data).is_ok(),
            Tag::PrintableString
            | Tag::Ia5String
            | Tag::T61String
            | Tag::NumericString
            | Tag::VisibleString => true,
            Tag::BmpString => {
                let (pairs, rest) = value.data.as_chunks();
                let mut units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
                rest.is_empty() && units.all(|unit| char::from_u32(unit.into()).is_some())
            }
            _ => false,
        }
}
