//! The formats in which a key and its certificates are written.

use std::error::Error;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use x509_parser::pem::Pem;

use crate::store::VersionPem;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Format {
    /// The private key, in PEM.
    Key,
    /// The certificate alone, in PEM.
    Certificate,
    /// The intermediate certificates, in PEM.
    Chain,
    /// The certificate and the intermediate certificates, in PEM.
    FullChain,
    /// The certificate, the intermediate certificates and the private key, in PEM, as HAProxy reads them.
    Combined,
    /// The private key, in DER (PKCS#8).
    KeyDer,
    /// The certificate alone, in DER.
    CertificateDer,
    /// The private key and all certificates, in PKCS#12.
    Pkcs12,
}

/// A certificate that cannot be written in a format.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The stored PEM has no block that can be used.
    #[error("the stored key or certificate is not PEM")]
    NotPem,
    /// The format needs the private key, and only others have it.
    #[error(
        "the private key is not in the store: the certificate was issued for a certification request of others"
    )]
    NoKey,
    /// A key store cannot be made.
    #[error("PKCS#12: {0}")]
    Pkcs12(Arc<dyn Error + Send + Sync>),
    /// The program was built without this format.
    #[error("this program was built without PKCS#12 (feature `pkcs12`)")]
    NoPkcs12,
}

impl Format {
    /// Whether the file holds the private key.
    pub fn has_key(self) -> bool {
        match self {
            Format::Key | Format::Combined | Format::KeyDer | Format::Pkcs12 => true,
            Format::Certificate | Format::Chain | Format::FullChain | Format::CertificateDer => {
                false
            }
        }
    }

    /// The content of the file. `password` and `name` are for a key store.
    pub(super) fn content(
        self,
        pem: &VersionPem,
        password: Option<&SecretString>,
        name: &str,
    ) -> Result<Vec<u8>, FormatError> {
        let key = || Ok(pem.key.as_ref().ok_or(FormatError::NoKey)?.expose_secret());
        let (certificate, chain) = (&pem.certificate, &pem.intermediates);
        Ok(match self {
            Format::Key => key()?.as_bytes().to_vec(),
            Format::Certificate => certificate.as_bytes().to_vec(),
            Format::Chain => chain.as_bytes().to_vec(),
            Format::FullChain => format!("{certificate}{chain}").into_bytes(),
            Format::Combined => format!("{certificate}{chain}{}", key()?).into_bytes(),
            Format::KeyDer => der(key()?)?.swap_remove(0),
            Format::CertificateDer => der(certificate)?.swap_remove(0),
            Format::Pkcs12 => {
                let password = password
                    .map(ExposeSecret::expose_secret)
                    .unwrap_or_default();
                pkcs12(pem, key()?, password, name)?
            }
        })
    }
}

/// The blocks of a PEM text, at least one.
fn der(pem: &str) -> Result<Vec<Vec<u8>>, FormatError> {
    let blocks = Pem::iter_from_buffer(pem.as_bytes());
    let blocks = blocks.map(|block| Ok(block.map_err(|_| FormatError::NotPem)?.contents));
    let blocks = blocks.collect::<Result<Vec<_>, FormatError>>()?;
    if blocks.is_empty() {
        return Err(FormatError::NotPem);
    }
    Ok(blocks)
}

#[cfg(feature = "pkcs12")]
fn pkcs12(pem: &VersionPem, key: &str, password: &str, name: &str) -> Result<Vec<u8>, FormatError> {
    use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};

    let failed = |error: p12_keystore::error::Error| FormatError::Pkcs12(Arc::new(error));
    let key = der(key)?.swap_remove(0);
    let key = PrivateKey::from_der(&key).map_err(failed)?;
    let mut certificates = der(&pem.certificate)?;
    if !pem.intermediates.is_empty() {
        certificates.extend(der(&pem.intermediates)?);
    }
    let certificates = certificates.iter().map(|der| Certificate::from_der(der));
    let certificates = certificates
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    let chain = PrivateKeyChain::new(name, key, certificates);
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(chain));
    store.writer(password).write().map_err(failed)
}

#[cfg(not(feature = "pkcs12"))]
fn pkcs12(_: &VersionPem, _: &str, _: &str, _: &str) -> Result<Vec<u8>, FormatError> {
    Err(FormatError::NoPkcs12)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pem() -> VersionPem {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        VersionPem {
            key: Some(key.serialize_pem().into()),
            certificate: certificate.pem(),
            intermediates: certificate.pem(),
        }
    }

    #[test]
    fn each_format_has_its_parts() {
        let pem = pem();
        let blocks = |format: Format| {
            let content = format.content(&pem, None, "web").unwrap();
            let blocks = Pem::iter_from_buffer(&content);
            let blocks = blocks.map(|block| block.unwrap().label);
            blocks.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(blocks(Format::Key), "PRIVATE KEY");
        assert_eq!(blocks(Format::Certificate), "CERTIFICATE");
        assert_eq!(blocks(Format::Chain), "CERTIFICATE");
        assert_eq!(blocks(Format::FullChain), "CERTIFICATE, CERTIFICATE");
        assert_eq!(
            blocks(Format::Combined),
            "CERTIFICATE, CERTIFICATE, PRIVATE KEY"
        );
        for format in [Format::KeyDer, Format::CertificateDer] {
            let content = format.content(&pem, None, "web").unwrap();
            assert_eq!(content[0], 0x30, "a SEQUENCE");
        }
    }

    #[test]
    fn what_is_no_pem_is_an_error() {
        let broken = VersionPem {
            key: Some(String::new().into()),
            certificate: "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n".to_owned(),
            intermediates: String::new(),
        };
        for format in [Format::KeyDer, Format::CertificateDer, Format::Pkcs12] {
            assert!(format.content(&broken, None, "web").is_err(), "{format:?}");
        }
    }

    #[test]
    fn what_needs_a_key_that_others_have_is_an_error() {
        let public = VersionPem { key: None, ..pem() };
        for format in [
            Format::Key,
            Format::Certificate,
            Format::Chain,
            Format::FullChain,
            Format::Combined,
            Format::KeyDer,
            Format::CertificateDer,
            Format::Pkcs12,
        ] {
            let content = format.content(&public, None, "web");
            let is_missing = matches!(content, Err(FormatError::NoKey));
            assert_eq!(is_missing, format.has_key(), "{format:?}");
        }
    }

    #[cfg(feature = "pkcs12")]
    #[test]
    fn a_key_store_has_the_key_and_all_certificates() {
        use p12_keystore::{KeyStore, Pkcs12ImportPolicy};

        let pem = pem();
        let password = "a password".to_owned().into();
        let content = Format::Pkcs12.content(&pem, Some(&password), "web");
        let content = content.unwrap();
        let policy = Pkcs12ImportPolicy::Strict;
        let store = KeyStore::from_pkcs12(&content, "a password", policy).unwrap();
        let (name, chain) = store.private_key_chain().unwrap();
        assert_eq!(name, "web");
        let key = Format::KeyDer.content(&pem, None, "web").unwrap();
        assert_eq!(chain.key().as_der(), key);
        let certificate = Format::CertificateDer.content(&pem, None, "web").unwrap();
        assert_eq!(chain.certs()[0].as_der(), certificate);
    }
}
