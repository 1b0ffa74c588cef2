//! A certificate as it lies on disk, read with another library than the one that made it.

use std::fs;
use std::path::{Path, PathBuf};

use x509_parser::pem::Pem;
use x509_parser::prelude::{GeneralName, X509Certificate};

use crate::error::{Context, Error, Result};

/// What stands in a stored certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Its folder.
    pub folder: PathBuf,
    /// The names it holds for, in order of the alphabet.
    pub names: Vec<String>,
    /// From when it holds, as text.
    pub not_before: String,
    /// Until when it holds, as text.
    pub not_after: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// The certificate in PEM.
    pub pem: String,
}

impl Certificate {
    /// Reads the folder of a certificate; an error where its key, its certificate and its chain
    /// do not belong together.
    pub(crate) fn read(folder: &Path) -> Result<Certificate> {
        let path = folder.join("privkey.pem");
        let key = fs::read_to_string(&path).context(path.display())?;
        let key = rcgen::KeyPair::from_pem(&key)?;
        Certificate::of_key(folder, &rcgen::PublicKeyData::subject_public_key_info(&key))
    }

    /// Reads the folder of a certificate whose key only others have; an error where there is one, or if the
    /// certificate is not for this public key (PEM).
    pub(crate) fn read_external(folder: &Path, public_key: &str) -> Result<Certificate> {
        if folder.join("privkey.pem").symlink_metadata().is_ok() {
            return Err(Error::new("there is a key that only others have"));
        }
        Certificate::of_key(folder, &first(public_key)?.contents)
    }

    fn of_key(folder: &Path, public_key: &[u8]) -> Result<Certificate> {
        let file = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).context(path.display())
        };
        let (pem, chain) = (file("cert.pem")?, file("chain.pem")?);
        if file("fullchain.pem")? != format!("{pem}{chain}") {
            return Err(Error::new("fullchain.pem is not cert.pem and chain.pem"));
        }
        let (leaf, issuer) = (first(&pem)?, first(&chain)?);
        let (leaf, issuer) = (leaf.parse_x509()?, issuer.parse_x509()?);
        leaf.verify_signature(Some(issuer.public_key()))
            .context("the certificate is not signed by the first one of its chain")?;
        if public_key != leaf.public_key().raw {
            return Err(Error::new("the certificate is for another key"));
        }
        Ok(Certificate {
            folder: folder.to_owned(),
            names: names(&leaf)?,
            not_before: leaf.validity().not_before.to_string(),
            not_after: leaf.validity().not_after.to_string(),
            serial: format!("{:x}", leaf.tbs_certificate.serial),
            pem,
        })
    }
}

fn first(pem: &str) -> Result<Pem> {
    Pem::iter_from_buffer(pem.as_bytes())
        .next()
        .ok_or_else(|| Error::new("a PEM text without a block"))?
        .context("PEM")
}

fn names(leaf: &X509Certificate<'_>) -> Result<Vec<String>> {
    let extension = leaf.subject_alternative_name()?;
    let mut names: Vec<_> = extension
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .map(|name| match name {
            GeneralName::DNSName(name) => (*name).to_owned(),
            other => other.to_string(),
        })
        .collect();
    names.sort();
    Ok(names)
}
