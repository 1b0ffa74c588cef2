//! PEM and DER.

use std::error::Error;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;

use super::error::CertificateError;
use crate::printable::{TEXT_MAX, shortened};

/// The certificates of a PEM text, in DER.
pub(super) fn decode(pem: &[u8]) -> Result<Vec<Vec<u8>>, CertificateError> {
    Pem::iter_from_buffer(pem)
        .map(|block| match block {
            Ok(block) if block.label == "CERTIFICATE" => Ok(block.contents),
            Ok(block) => Err(CertificateError::UnexpectedBlock {
                label: shortened(&block.label, TEXT_MAX),
            }),
            Err(error) => Err(CertificateError::NotPem {
                source: Arc::new(error),
            }),
        })
        .collect()
}

/// Parses one certificate.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(malformed("there are octets after the certificate")),
        Err(error) => Err(malformed(X509Error::from(error))),
    }
}

pub(super) fn malformed(error: impl Into<Box<dyn Error + Send + Sync>>) -> CertificateError {
    CertificateError::Malformed {
        source: Arc::from(error.into()),
    }
}

/// Writes certificates as PEM (RFC 7468 §5), without anything between the blocks.
pub(super) fn encode(ders: &[Vec<u8>]) -> String {
    let mut pem = String::new();
    for der in ders {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = BASE64_STANDARD.encode(der);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = more;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}
