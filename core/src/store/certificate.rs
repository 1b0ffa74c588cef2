//! Certificates as they are stored: versions, where they come from, and their index.

use std::collections::BTreeSet;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::id::CertificateId;
use super::status::IndexedStatus;
use crate::certificate::{CertificateInfo, Chain};
use crate::renewal::{Change, Chosen, Terms, Validity};

/// The current version of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredCertificate {
    /// Its id.
    pub id: CertificateId,
    /// The number of the version, from 1.
    pub version: u32,
    /// Where it is kept, for people and deploy hooks. In files: the folder with `privkey.pem`
    /// (unless only others have the key), `cert.pem`, `chain.pem` and `fullchain.pem`.
    pub location: String,
    /// What the certificate says about itself.
    #[serde(flatten)]
    pub info: CertificateInfo,
    /// Where the version comes from.
    pub origin: VersionOrigin,
    /// Whether the version was deployed, see [`Store::mark_deployed`](super::Store::mark_deployed).
    pub deployed: bool,
}

/// Where a version comes from. The texts are empty if it was stored by a program that did not
/// record them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionOrigin {
    /// The directory URL of the CA (RFC 8555 §7.1.1).
    pub directory: String,
    /// The URL of the account that ordered it (RFC 8555 §7.3).
    pub account: String,
    /// The certificate's identifier for renewal information (RFC 9773 §4.1), if it has one.
    pub renewal_id: Option<String>,
    /// What the order asked for beside names and key.
    #[serde(default)]
    pub chosen: Option<Chosen>,
    /// The names that were wanted and could not be had.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub left_out: BTreeSet<String>,
    /// The SHA-256 of the `SubjectPublicKeyInfo` in hexadecimal, if only others have the private key: the version was
    /// ordered with their certification request, and has no key in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_key: Option<String>,
}

/// The key and the certificates of a version, in PEM.
#[derive(Clone, Debug)]
pub struct VersionPem {
    /// The private key; `None` if only others have it.
    pub key: Option<SecretString>,
    /// The certificate.
    pub certificate: String,
    /// The intermediate certificates; empty if there are none.
    pub intermediates: String,
}

/// Who may read the private key of a version besides its owner. What is `None` stays as it is at the version before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyAccess {
    /// The group, by name or number. It may enter the folders of the certificate as well.
    pub group: Option<String>,
    /// The permission bits.
    pub mode: Option<u32>,
}

/// A version to store.
#[derive(Debug)]
pub struct NewVersion {
    /// The private key, in PEM; `None` if only others have it, which `origin` records.
    pub key: Option<SecretString>,
    /// The certificate and its intermediates.
    pub chain: Chain,
    /// Where it comes from.
    pub origin: VersionOrigin,
    /// Who may read the key.
    pub access: KeyAccess,
}

/// What the CA sent in place of the certificate that was ordered.
#[derive(Debug)]
pub struct SetAside {
    /// The URL of the order.
    pub order: String,
    /// Why it cannot be used.
    pub reason: String,
    /// What the CA sent.
    pub chain: String,
    /// The private key that the order was for, in PEM; `None` if only others have it.
    pub key: Option<SecretString>,
}

/// What the index holds about a certificate.
#[derive(Clone, Debug)]
pub struct IndexEntry {
    /// Its id.
    pub id: CertificateId,
    /// Whether settings are stored for it.
    pub has_settings: bool,
    /// Whether an order is under way.
    pub has_order: bool,
    /// What became of the work for it.
    pub status: IndexedStatus,
    /// Its current version, if it has one. The error is that of a damaged certificate.
    pub current: Option<Result<IndexedVersion, StoreError>>,
}

impl IndexEntry {
    /// Whether the store has anything of the certificate.
    pub(crate) fn is_anything(&self) -> bool {
        let has_status = self.status != IndexedStatus::default();
        self.has_settings || self.has_order || has_status || self.current.is_some()
    }
}

/// What the index holds about a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexedVersion {
    /// The number of the version, from 1.
    pub version: u32,
    /// The beginning of the certificate's validity.
    pub not_before: Timestamp,
    /// The end of the certificate's validity.
    pub not_after: Timestamp,
    /// Whether the version was deployed.
    pub deployed: bool,
    /// The digest of its [`terms`](StoredCertificate::terms).
    pub terms: u64,
    /// Whether it lacks names that were wanted.
    pub incomplete: bool,
    /// Whether only others have its private key.
    pub has_external_key: bool,
}

impl IndexedVersion {
    /// From when to when it is valid.
    pub fn validity(&self) -> Validity {
        Validity {
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }
}

impl StoredCertificate {
    /// From when to when it is valid.
    pub fn validity(&self) -> Validity {
        Validity {
            not_before: self.info.not_before,
            not_after: self.info.not_after,
        }
    }

    /// What the version was ordered with. Names that it lacks were wanted all the same.
    pub fn terms(&self) -> Terms {
        terms(&self.info, &self.origin)
    }

    /// What `wanted` has otherwise than this version was ordered with. That nobody wants the names any more that it
    /// lacks is no change.
    pub fn changes(&self, wanted: &Terms) -> Vec<Change> {
        let mut terms = self.terms();
        let held = self.info.names.iter().cloned().collect();
        if wanted.names == held {
            terms.names = held;
        }
        terms.changes(wanted)
    }
}

/// What a version was ordered with.
pub(super) fn terms(info: &CertificateInfo, origin: &VersionOrigin) -> Terms {
    let external_key = origin.external_key.clone();
    Terms {
        names: info.names.iter().chain(&origin.left_out).cloned().collect(),
        // That of an external key is not chosen here.
        key_type: info.key_type.filter(|_| external_key.is_none()),
        directory: Some(origin.directory.clone()).filter(|directory| !directory.is_empty()),
        chosen: origin.chosen.clone(),
        external_key,
    }
}

impl From<&StoredCertificate> for IndexedVersion {
    fn from(stored: &StoredCertificate) -> Self {
        IndexedVersion {
            version: stored.version,
            not_before: stored.info.not_before,
            not_after: stored.info.not_after,
            deployed: stored.deployed,
            terms: stored.terms().digest(),
            incomplete: !stored.origin.left_out.is_empty(),
            has_external_key: stored.origin.external_key.is_some(),
        }
    }
}
