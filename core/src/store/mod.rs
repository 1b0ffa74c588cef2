//! Where certificates, their keys, accounts, alias names and leases are kept.
//!
//! [`Store`] is a contract, so that a fleet can keep them elsewhere than in files. [`FileStore`]
//! keeps them in files.

pub(crate) mod alias_names;
mod ca_status;
mod certificate;
mod contract;
mod error;
mod files;
pub(crate) mod id;
mod status;

pub use self::ca_status::change_ca_status;
pub use self::certificate::{
    IndexEntry, IndexedVersion, KeyAccess, NewVersion, SetAside, StoredCertificate, VersionOrigin,
    VersionPem,
};
pub use self::contract::Store;
pub use self::error::StoreError;
pub use self::files::{FileStore, FileStoreOptions};
pub use self::id::{CertificateId, InvalidCertificateId};
pub use self::status::{CaStatus, CertificateStatus, IndexedRenewalInfo, IndexedStatus, Notified};
pub use crate::lease::{JobName, Lease, LeaseId};
