//! What a certificate contains.

use std::collections::HashSet;
use std::fmt::Write as _;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::public_key::PublicKey;

use super::error::CertificateError;
use super::key::KeyType;
use super::pem::{decode, malformed, parse};
use crate::name::Identifier;
use crate::printable::{TEXT_MAX, shortened};

/// The longest identifier for renewal information, in characters. A serial number has 20 octets at most (RFC 5280 §4.1.2.2),
/// and the identifier of a key is a hash.
const RENEWAL_ID_MAX: usize = 300;

/// The content of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateInfo {
    /// The names that it is valid for, in the certificate's order unless they were
    /// [put in another one](CertificateInfo::order_names).
    pub names: Vec<String>,
    /// The start of its validity.
    pub not_before: Timestamp,
    /// The end of its validity.
    pub not_after: Timestamp,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// The issuer's distinguished name.
    pub issuer: String,
    /// The type of its key; `None` if it is none that we generate.
    pub key_type: Option<KeyType>,
    /// The identifier for renewal information (RFC 9773 §4.1); `None` if the certificate does not
    /// name its issuer's key, or by far more octets than CAs do.
    #[serde(skip)]
    pub renewal_id: Option<String>,
}

impl CertificateInfo {
    /// Puts the names in the order in which they were asked for. Others follow.
    pub fn order_names(&mut self, wanted: &[Identifier]) {
        let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
        let place = |name: &String| wanted.iter().position(|one| one == name);
        let place = |name: &String| place(name).unwrap_or(usize::MAX);
        self.names.sort_by_cached_key(place);
    }
}

/// Reads the first certificate of a PEM text.
pub fn inspect(pem: &[u8]) -> Result<CertificateInfo, CertificateError> {
    let ders = decode(pem)?;
    let leaf = parse(ders.first().ok_or(CertificateError::Empty)?)?;
    read(&leaf)
}

/// Returns the first certificate of a PEM text, in DER.
pub fn leaf(pem: &[u8]) -> Result<Vec<u8>, CertificateError> {
    let mut ders = decode(pem)?.into_iter();
    let leaf = ders.next().ok_or(CertificateError::Empty)?;
    parse(&leaf)?;
    Ok(leaf)
}

/// A certificate of a chain, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainLink {
    /// Its subject's distinguished name.
    pub subject: String,
    /// Its issuer's distinguished name.
    pub issuer: String,
    /// The start of its validity.
    pub not_before: Timestamp,
    /// The end of its validity.
    pub not_after: Timestamp,
    /// The serial number in hexadecimal.
    pub serial: String,
}

/// Reads all certificates of a PEM text.
pub fn chain_links(pem: &[u8]) -> Result<Vec<ChainLink>, CertificateError> {
    let link = |der: &Vec<u8>| {
        let certificate = parse(der)?;
        let info = read(&certificate)?;
        Ok(ChainLink {
            subject: shortened(&certificate.subject().to_string(), TEXT_MAX),
            issuer: info.issuer,
            not_before: info.not_before,
            not_after: info.not_after,
            serial: info.serial,
        })
    };
    let ders = decode(pem)?;
    if ders.is_empty() {
        return Err(CertificateError::Empty);
    }
    ders.iter().map(link).collect()
}

/// Returns the common name of the issuer of the last certificate of a chain (PEM). This is the root
/// that the chain ends at. The name is empty if the issuer has no common name.
pub fn root_name(pem: &str) -> Result<String, CertificateError> {
    let ders = decode(pem.as_bytes())?;
    let last = parse(ders.last().ok_or(CertificateError::Empty)?)?;
    let mut names = last.issuer().iter_common_name();
    let name = names.next().and_then(|name| name.as_str().ok());
    Ok(shortened(name.unwrap_or_default(), TEXT_MAX))
}

/// Reads one certificate.
pub(super) fn read(certificate: &X509Certificate<'_>) -> Result<CertificateInfo, CertificateError> {
    let mut names: Vec<String> = certificate
        .subject_alternative_name()
        .map_err(malformed)?
        .map(|extension| &extension.value.general_names)
        .into_iter()
        .flatten()
        .map(|name| match name {
            GeneralName::DNSName(name) => shortened(&name.to_ascii_lowercase(), TEXT_MAX),
            other => shortened(&other.to_string(), TEXT_MAX),
        })
        .collect();
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    // A name may be there thousands of times, and what was read is kept for each certificate.
    names.shrink_to_fit();
    let time = |seconds| Timestamp::from_second(seconds).map_err(malformed);
    Ok(CertificateInfo {
        names,
        not_before: time(certificate.validity().not_before.timestamp())?,
        not_after: time(certificate.validity().not_after.timestamp())?,
        serial: shortened(&hexadecimal(certificate.raw_serial()), TEXT_MAX),
        issuer: shortened(&certificate.issuer().to_string(), TEXT_MAX),
        key_type: key_type(certificate),
        renewal_id: renewal_id(certificate),
    })
}

/// `base64url(AKI keyIdentifier) "." base64url(serial)`, both without padding (RFC 9773 §4.1). The
/// serial has all the octets of its DER encoding, leading zero included.
fn renewal_id(certificate: &X509Certificate<'_>) -> Option<String> {
    let key =
        certificate
            .iter_extensions()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(key) => key.key_identifier.as_ref(),
                _ => None,
            })?;
    let id = format!(
        "{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(key.0),
        BASE64_URL_SAFE_NO_PAD.encode(certificate.raw_serial())
    );
    (id.len() <= RENEWAL_ID_MAX).then_some(id)
}

fn key_type(certificate: &X509Certificate<'_>) -> Option<KeyType> {
    match certificate.public_key().parsed().ok()? {
        PublicKey::EC(point) => match point.key_size() {
            256 => Some(KeyType::EcdsaP256),
            384 => Some(KeyType::EcdsaP384),
            _ => None,
        },
        PublicKey::RSA(key) => match key.key_size() {
            2048 => Some(KeyType::Rsa2048),
            4096 => Some(KeyType::Rsa4096),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use secrecy::ExposeSecret;

    use super::*;
    use crate::certificate::CertificateKey;

    /// RFC 9773, appendix A.
    const EXAMPLE: &str = "-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
";

    #[test]
    fn the_renewal_id_is_the_one_of_rfc_9773() {
        let info = inspect(EXAMPLE.as_bytes()).unwrap();
        let expected = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
        assert_eq!(info.renewal_id.as_deref(), Some(expected));
    }

    #[test]
    fn a_certificate_without_an_authority_key_identifier_has_no_renewal_id() {
        let params = CertificateParams::new(["example.com".to_owned()]).unwrap();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let info = inspect(certificate.pem().as_bytes()).unwrap();
        assert_eq!(info.renewal_id, None);
    }

    #[tokio::test]
    async fn the_key_type_is_that_of_the_key() {
        for (_, key_type) in KeyType::ALL {
            let key = CertificateKey::generate(key_type).await.unwrap();
            let key = KeyPair::from_pem(key.to_pem().expose_secret()).unwrap();
            let params = CertificateParams::new(["example.com".to_owned()]).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let info = inspect(certificate.pem().as_bytes()).unwrap();
            assert_eq!(info.key_type, Some(key_type));
        }
    }

    #[test]
    fn names_keep_their_order_until_they_are_put_in_another_one() {
        let names = ["b.example", "c.example", "a.example", "b.example"];
        let params = CertificateParams::new(names.map(str::to_owned)).unwrap();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let mut info = inspect(certificate.pem().as_bytes()).unwrap();
        assert_eq!(info.names, ["b.example", "c.example", "a.example"]);
        info.order_names(&["a.example", "b.example"].map(|name| name.parse().unwrap()));
        assert_eq!(info.names, ["a.example", "b.example", "c.example"]);
    }

    #[test]
    fn a_name_that_is_there_thousands_of_times_takes_the_memory_of_one() {
        let mut params = CertificateParams::new(["example.com".to_owned()]).unwrap();
        let name = params.subject_alt_names[0].clone();
        params.subject_alt_names = vec![name; 10_000];
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let info = inspect(certificate.pem().as_bytes()).unwrap();
        assert_eq!(info.names, ["example.com"]);
        assert!(info.names.capacity() < 100, "{}", info.names.capacity());
    }

    #[test]
    fn the_renewal_id_is_not_serialized() {
        let info = inspect(EXAMPLE.as_bytes()).unwrap();
        let json = serde_json::to_value(&info).unwrap();
        assert!(json.get("renewal_id").is_none(), "{json}");
    }
}
