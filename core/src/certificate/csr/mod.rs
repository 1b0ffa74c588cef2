//! Certification requests that others made (PKCS #10, RFC 2986): their private keys are not known here.

mod error;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::error::X509Error;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_NIST_EC_P384, OID_PKCS9_EXTENSION_REQUEST, OID_X509_EXT_SUBJECT_ALT_NAME,
};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

pub use self::error::CsrError;
use super::info::hexadecimal;
use crate::name::Identifier;
use crate::printable::{TEXT_MAX, shortened};

/// The labels of a request in PEM: that of RFC 7468 §7, and an older one.
const LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
/// Bits that CAs want an RSA key to have at least.
const RSA_MIN: usize = 2048;

/// A certification request whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificationRequest {
    der: Vec<u8>,
    public_key: Vec<u8>,
    fingerprint: String,
    names: Vec<Identifier>,
}

impl CertificationRequest {
    /// Reads a request in PEM or DER, and verifies that its own key signed it.
    pub fn parse(content: &[u8]) -> Result<Self, CsrError> {
        let der = decode(content)?;
        let request = match X509CertificationRequest::from_der(&der) {
            Ok(([], request)) => request,
            Ok(_) => return Err(malformed("there are octets after it")),
            Err(_) if X509Certificate::from_der(&der).is_ok() => return Err(CsrError::Certificate),
            Err(error) => return Err(malformed(X509Error::from(error))),
        };
        let key = &request.certification_request_info.subject_pki;
        check_key(key)?;
        request.verify_signature().map_err(|error| match error {
            X509Error::SignatureUnsupportedAlgorithm => CsrError::UnsupportedSignature,
            _ => CsrError::Signature,
        })?;
        let (names, public_key) = (names(&request)?, key.raw.to_vec());
        let fingerprint = hexadecimal(digest(&SHA256, &public_key).as_ref());
        Ok(CertificationRequest {
            der,
            public_key,
            fingerprint,
            names,
        })
    }

    /// The request (DER), as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The public key as `SubjectPublicKeyInfo` (DER).
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The SHA-256 of the `SubjectPublicKeyInfo`, in hexadecimal: what a TLSA record `3 1 1` has (RFC 6698).
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The DNS names of the subjectAltName, and the common name if it is not among them: to CAs it is a name of the
    /// certificate as well (RFC 8555 §7.4).
    pub fn names(&self) -> &[Identifier] {
        &self.names
    }
}

/// The names in a request (DER), whatever its signature is.
#[cfg(any(test, fuzzing))]
pub(super) fn unsigned_names(der: &[u8]) -> Result<Vec<Identifier>, CsrError> {
    let request = X509CertificationRequest::from_der(der);
    let (_, request) = request.map_err(|error| malformed(X509Error::from(error)))?;
    check_key(&request.certification_request_info.subject_pki)?;
    names(&request)
}

/// The only block of a PEM text, or the octets as they are if they are DER.
fn decode(content: &[u8]) -> Result<Vec<u8>, CsrError> {
    let is_pem = content
        .windows(b"-----BEGIN ".len())
        .any(|window| window == b"-----BEGIN ");
    if !is_pem {
        // A request in DER is a SEQUENCE.
        let is_der = content.first() == Some(&0x30);
        return is_der.then(|| content.to_vec()).ok_or(CsrError::NotPem);
    }
    let mut found = None;
    for block in Pem::iter_from_buffer(content) {
        let block = block.map_err(|_| CsrError::NotPem)?;
        match block.label.as_str() {
            label if LABELS.contains(&label) => {
                if found.replace(block.contents).is_some() {
                    return Err(CsrError::Several);
                }
            }
            label if label.ends_with("PRIVATE KEY") => return Err(CsrError::PrivateKey),
            label if label.ends_with("CERTIFICATE") => return Err(CsrError::Certificate),
            label => {
                let label = shortened(label, TEXT_MAX);
                return Err(CsrError::OtherBlock { label });
            }
        }
    }
    found.ok_or(CsrError::NotPem)
}

fn check_key(key: &SubjectPublicKeyInfo<'_>) -> Result<(), CsrError> {
    let parameters = key.algorithm.parameters.as_ref();
    let found = match key.parsed() {
        Ok(PublicKey::RSA(rsa)) if rsa.key_size() >= RSA_MIN => return Ok(()),
        Ok(PublicKey::RSA(rsa)) => format!("RSA with {} bits", rsa.key_size()),
        Ok(PublicKey::EC(_)) => match parameters.and_then(|curve| curve.as_oid().ok()) {
            Some(curve) if curve == OID_EC_P256 || curve == OID_NIST_EC_P384 => return Ok(()),
            Some(curve) => format!("ECDSA on the curve {curve}"),
            None => "ECDSA on a curve without a name".to_owned(),
        },
        _ => format!("of the kind {}", key.algorithm.algorithm),
    };
    let found = shortened(&found, TEXT_MAX);
    Err(CsrError::UnsupportedKey { found })
}

fn names(request: &X509CertificationRequest<'_>) -> Result<Vec<Identifier>, CsrError> {
    let mut names = Vec::new();
    for name in alternative_names(request)? {
        let GeneralName::DNSName(name) = name else {
            let found = in_words(name);
            return Err(CsrError::OtherName { found });
        };
        add(&mut names, name, CsrError::Name)?;
    }
    for name in request
        .certification_request_info
        .subject
        .iter_common_name()
    {
        let name = name.as_str().map_err(malformed)?;
        if !name.is_empty() {
            add(&mut names, name, CsrError::CommonName)?;
        }
    }
    if names.is_empty() {
        return Err(CsrError::NoNames);
    }
    // Somebody may have put tens of thousands into it.
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

/// A name that is no DNS name.
fn in_words(name: &GeneralName<'_>) -> String {
    let address = match name {
        GeneralName::IPAddress(octets) => {
            let four = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            four.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from))
                .ok()
        }
        _ => None,
    };
    match address {
        Some(address) => format!("the IP address {address}"),
        None => shortened(&name.to_string(), TEXT_MAX),
    }
}

/// The names of the extension that the request asks for.
fn alternative_names<'a>(
    request: &'a X509CertificationRequest<'_>,
) -> Result<Vec<&'a GeneralName<'a>>, CsrError> {
    let mut names = Vec::new();
    let attributes = request.certification_request_info.iter_attributes();
    for attribute in attributes.filter(|one| one.oid == OID_PKCS9_EXTENSION_REQUEST) {
        let ParsedCriAttribute::ExtensionRequest(requested) = attribute.parsed_attribute() else {
            return Err(malformed("its extensions cannot be parsed"));
        };
        for extension in &requested.extensions {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(found) => {
                    names.extend(&found.general_names);
                }
                _ if extension.oid == OID_X509_EXT_SUBJECT_ALT_NAME => {
                    return Err(malformed("its subjectAltName cannot be parsed"));
                }
                _ => {}
            }
        }
    }
    Ok(names)
}

/// Adds a name. The CA gets the request as it is, so the name must have the form that CAs accept.
fn add(
    names: &mut Vec<Identifier>,
    text: &str,
    wrong: fn(crate::name::NameError) -> CsrError,
) -> Result<(), CsrError> {
    let name: Identifier = text.parse().map_err(wrong)?;
    if !text.eq_ignore_ascii_case(&name.to_string()) {
        return Err(CsrError::Form {
            found: text.to_owned(),
            wanted: name,
        });
    }
    names.push(name);
    Ok(())
}

fn malformed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CsrError {
    CsrError::Malformed {
        source: error.into().into(),
    }
}
