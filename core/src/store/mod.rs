//! Where certificates, their keys and the accounts are kept.
//!
//! [`Store`] is a contract, so that a fleet can keep them elsewhere than in files;
//! [`FileStore`] is the one that ships.

mod files;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use async_trait::async_trait;
use jiff::SignedDuration;
use secrecy::SecretString;
use serde::Serialize;

pub use self::files::FileStore;
use crate::certificate::{CertificateInfo, Chain};
use crate::name::DnsName;

/// Keeps what must outlive a run. Every write is durable when the call returns, and a reader
/// sees the old state or the new one, never a mixture.
#[async_trait]
pub trait Store: Send + Sync {
    /// The credentials of the account at the CA with this directory URL.
    async fn account(&self, directory: &str) -> Result<Option<SecretString>, StoreError>;

    /// Keeps the credentials of an account.
    async fn put_account(
        &self,
        directory: &str,
        credentials: &SecretString,
    ) -> Result<(), StoreError>;

    /// The newest version of a certificate.
    async fn certificate(&self, id: &CertificateId) -> Result<Option<Stored>, StoreError>;

    /// The ids of all certificates, in order.
    async fn certificates(&self) -> Result<Vec<CertificateId>, StoreError>;

    /// Makes this the newest version of a certificate; older ones stay.
    async fn put_certificate(
        &self,
        id: &CertificateId,
        key: &SecretString,
        chain: &Chain,
    ) -> Result<Stored, StoreError>;

    /// The settings that a certificate was ordered with, as the program wrote them.
    async fn settings(&self, id: &CertificateId) -> Result<Option<String>, StoreError>;

    /// Keeps the settings that a certificate was ordered with.
    async fn put_settings(&self, id: &CertificateId, settings: &str) -> Result<(), StoreError>;

    /// The order that was begun for a certificate, as it was kept; there is a key in it.
    async fn order(&self, id: &CertificateId) -> Result<Option<SecretString>, StoreError>;

    /// Keeps an order that was begun.
    async fn put_order(&self, id: &CertificateId, order: &SecretString) -> Result<(), StoreError>;

    /// Forgets the order that was begun, which has come to its end.
    async fn remove_order(&self, id: &CertificateId) -> Result<(), StoreError>;

    /// The alias names that were made up, by challenge name.
    async fn alias_names(&self) -> Result<BTreeMap<DnsName, DnsName>, StoreError>;

    /// The alias name that was made up for a challenge name in the place of `fresh`: beside it, below the
    /// same name. Where there is none yet, `fresh` becomes it.
    async fn alias_name(
        &self,
        challenge_name: &DnsName,
        fresh: &DnsName,
    ) -> Result<DnsName, StoreError>;

    /// Whether `what` was noted last longer ago than `every`, or never; it is noted now if so.
    async fn is_due(&self, what: &str, every: SignedDuration) -> Result<bool, StoreError>;

    /// Waits until nobody else makes accounts, and keeps everybody else from it.
    async fn lock_accounts(&self) -> Result<Lock, StoreError>;

    /// Keeps everybody else from this certificate. Where somebody has it, waits for them, or fails
    /// at once.
    async fn lock_certificate(&self, id: &CertificateId, wait: bool) -> Result<Lock, StoreError>;
}

/// A lock, held until it is dropped.
pub struct Lock(#[allow(dead_code)] Box<dyn Send + Sync>);

impl Lock {
    /// A lock that is released by dropping `guard`.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Lock(Box::new(guard))
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}

/// A certificate's id: 1 to 100 lower-case letters, digits, `-` and `_`, the first a letter or a
/// digit. It is the only thing that becomes part of a file's path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct CertificateId(String);

impl CertificateId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CertificateId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let allowed = |b: u8| alphanumeric(&b) || b == b'-' || b == b'_';
        let good = text.as_bytes().first().is_some_and(alphanumeric)
            && text.len() <= 100
            && text.bytes().all(allowed);
        if good {
            Ok(CertificateId(text.to_owned()))
        } else {
            Err(format!(
                "`{}` is no certificate id: those are 1 to 100 lower-case letters, digits, `-` \
                 and `_`, and begin with a letter or a digit",
                text.escape_debug()
            ))
        }
    }
}

/// A certificate in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// Its id.
    pub id: CertificateId,
    /// The folder with `privkey.pem`, `cert.pem`, `chain.pem` and `fullchain.pem`.
    pub path: PathBuf,
    /// The number of the version, from 1.
    pub version: u32,
    /// What the certificate says of itself.
    #[serde(flatten)]
    pub info: CertificateInfo,
}

/// Something that could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder that could not be used.
    #[error("could not {action} {}: {source}", .path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file or folder that others may write to, or read where it holds a secret.
    #[error("{} has the mode {mode:03o}, which lets others {}", .path.display(),
        if .mode & 0o022 == 0 { "read it" } else { "change it" })]
    LooseMode {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A stored certificate that cannot be read.
    #[error("{} cannot be read as a certificate: {cause}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Another process has the certificate.
    #[error("another acme-alias is working on the certificate `{id}`")]
    Busy {
        /// The certificate.
        id: CertificateId,
    },
}

impl StoreError {
    /// What the reader can do about it.
    pub fn remedy(&self) -> String {
        match self {
            StoreError::Io { .. } => {
                "see that the state folder (`--state`, or `state` in the settings) exists, \
                 belongs to the user who runs this, and has space left"
                    .to_owned()
            }
            StoreError::LooseMode { path, .. } => {
                format!("chmod go-rwx {}", path.display())
            }
            StoreError::Damaged { .. } => {
                "restore the file from a backup, or issue the certificate again".to_owned()
            }
            StoreError::Busy { .. } => {
                "wait until it has finished, or let `--wait` wait for it".to_owned()
            }
        }
    }
}
