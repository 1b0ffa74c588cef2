//! Requests that OpenSSL made (`openssl req -new`), and mistakes.

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DnType, DnValue, KeyPair, RsaKeySize, SanType};

use super::*;

const P256: &str = include_str!("p256.pem");
const P384: &str = include_str!("p384.pem");
/// Without an extension; the subject is `O=Example, CN=mail.example.com`.
const RSA: &str = include_str!("rsa2048.pem");
const SECP256K1: &str = include_str!("secp256k1.pem");
/// For `bücher.example`, in UTF-8.
const U_LABEL: &str = include_str!("u-label.pem");

fn names(request: &CertificationRequest) -> Vec<String> {
    request.names().iter().map(ToString::to_string).collect()
}

fn der(pem: &str) -> Vec<u8> {
    decode(pem.as_bytes()).unwrap()
}

fn error(content: impl AsRef<[u8]>) -> CsrError {
    CertificationRequest::parse(content.as_ref()).unwrap_err()
}

/// A request for these names, with this subject.
fn request(key: &KeyPair, common_name: Option<&str>, names: Vec<SanType>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(name) = common_name {
        let name = DnValue::Utf8String(name.to_owned());
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params.subject_alt_names = names;
    params.serialize_request(key).unwrap().der().to_vec()
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(name).unwrap())
}

#[test]
fn requests_of_openssl_are_read() {
    for (pem, expected) in [
        (P256, &["example.com", "*.example.com"][..]),
        (P384, &["www.example.com"]),
        (RSA, &["mail.example.com"]),
    ] {
        let request = CertificationRequest::parse(pem.as_bytes()).unwrap();
        assert_eq!(names(&request), expected);
        let der = der(pem);
        assert_eq!(request.der(), der);
        assert_eq!(CertificationRequest::parse(&der).unwrap(), request);
        let with_text = format!("Certificate Request:\n    Data:\n{pem}");
        let read = CertificationRequest::parse(with_text.as_bytes()).unwrap();
        assert_eq!(read, request);
        let old = pem.replace("CERTIFICATE", "NEW CERTIFICATE");
        for other in [old, pem.replace('\n', "\r\n"), pem.trim().to_owned()] {
            let read = CertificationRequest::parse(other.as_bytes()).unwrap();
            assert_eq!(read, request);
        }
        assert_eq!(request.fingerprint().len(), 64);
    }
}

#[test]
fn the_public_key_and_its_fingerprint_are_those_of_the_key() {
    let key = KeyPair::generate().unwrap();
    let read = CertificationRequest::parse(&request(&key, None, vec![dns("a.example")])).unwrap();
    let public = rcgen::PublicKeyData::subject_public_key_info(&key);
    assert_eq!(read.public_key(), public);
    let expected = hexadecimal(digest(&SHA256, &public).as_ref());
    assert_eq!(read.fingerprint(), expected);
}

#[test]
fn a_common_name_is_one_of_the_names() {
    let key = KeyPair::generate().unwrap();
    for (common_name, expected) in [
        ("B.example", &["a.example", "b.example"][..]),
        ("A.example", &["a.example"]),
        ("", &["a.example"]),
    ] {
        let made = request(&key, Some(common_name), vec![dns("a.example")]);
        let read = CertificationRequest::parse(&made).unwrap();
        assert_eq!(names(&read), expected, "{common_name}");
    }
    let made = request(&key, Some("My Server"), vec![dns("a.example")]);
    assert!(matches!(error(made), CsrError::CommonName(_)));
}

#[test]
fn what_is_not_a_request_is_named() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["a.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let both = format!("{}{P256}", key.serialize_pem());
    assert!(matches!(error(key.serialize_pem()), CsrError::PrivateKey));
    assert!(matches!(error(both), CsrError::PrivateKey));
    assert!(matches!(error(certificate.pem()), CsrError::Certificate));
    assert!(matches!(error(certificate.der()), CsrError::Certificate));
    let several = format!("{P256}{P384}");
    assert!(matches!(error(several), CsrError::Several));
    for text in ["", "hello", "-----BEGIN CERTIFICATE REQUEST-----\n*\n"] {
        assert!(matches!(error(text), CsrError::NotPem), "{text}");
    }
    let label = "-----BEGIN X-----\nAAAA\n-----END X-----\n";
    assert!(matches!(error(label), CsrError::OtherBlock { .. }));
    let mut longer = der(P256);
    longer.push(0);
    for content in [key.serialize_der(), der(P256)[..99].to_vec(), longer] {
        assert!(matches!(error(content), CsrError::Malformed { .. }));
    }
}

#[test]
fn a_request_that_was_changed_is_refused() {
    let made = der(P256);
    let name = made.windows(7).position(|part| part == b"example");
    for at in [name.unwrap(), made.len() - 1] {
        let mut changed = made.clone();
        changed[at] ^= 1;
        assert!(matches!(error(changed), CsrError::Signature), "{at}");
    }
}

#[test]
fn keys_that_cas_do_not_sign_are_refused() {
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let p521 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA256).unwrap();
    for key in [ed25519, p521] {
        let made = request(&key, None, vec![dns("a.example")]);
        assert!(matches!(error(made), CsrError::UnsupportedKey { .. }));
    }
    // It is as long as P-256.
    assert!(matches!(error(SECP256K1), CsrError::UnsupportedKey { .. }));
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA512, RsaKeySize::_3072).unwrap();
    let made = request(&rsa, None, vec![dns("a.example")]);
    assert!(CertificationRequest::parse(&made).is_ok());
}

#[test]
fn names_that_cannot_be_validated_are_refused() {
    let key = KeyPair::generate().unwrap();
    let of = |names| error(request(&key, None, names));
    assert!(matches!(of(Vec::new()), CsrError::NoNames));
    let address = SanType::IpAddress([192, 0, 2, 1].into());
    let found = of(vec![dns("a.example"), address]).to_string();
    assert!(found.contains("192.0.2.1"), "{found}");
    for name in [
        "www*.example.com",
        "*.*.example.com",
        "localhost",
        "_x.a.example",
        "192.0.2.1",
    ] {
        assert!(matches!(of(vec![dns(name)]), CsrError::Name(_)), "{name}");
    }
    let dotted = of(vec![dns("a.example.")]).to_string();
    assert!(dotted.ends_with("must be written `a.example`"), "{dotted}");
    let found = error(U_LABEL).to_string();
    assert!(
        found.contains("must be written `xn--bcher-kva.example`"),
        "{found}"
    );
}
