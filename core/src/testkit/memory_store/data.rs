//! What a store in memory holds.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::{ExposeSecret, SecretString};

use crate::certificate::CertificateInfo;
use crate::lease::{JobName, Lease};
use crate::name::DnsName;
use crate::store::{
    CaStatus, CertificateId, CertificateStatus, IndexEntry, SetAside, StoreError,
    StoredCertificate, VersionOrigin,
};

#[derive(Default)]
pub(super) struct Data {
    pub(super) accounts: BTreeMap<String, SecretString>,
    pub(super) pending_accounts: BTreeMap<String, SecretString>,
    pub(super) former_accounts: BTreeMap<String, Vec<SecretString>>,
    pub(super) cas: BTreeMap<String, CaStatus>,
    pub(super) certificates: BTreeMap<CertificateId, Entry>,
    pub(super) alias_names: BTreeMap<DnsName, DnsName>,
    pub(super) leases: BTreeMap<JobName, Lease>,
    pub(super) holders: BTreeSet<String>,
    pub(super) holders_ever: usize,
}

#[derive(Default)]
pub(super) struct Entry {
    pub(super) settings: Option<String>,
    pub(super) order: Option<SecretString>,
    pub(super) status: CertificateStatus,
    pub(super) versions: BTreeMap<u32, Version>,
    pub(super) deployed: Option<u32>,
    pub(super) damaged: bool,
    pub(super) set_aside: Vec<SetAside>,
}

pub(super) struct Version {
    pub(super) key: Option<SecretString>,
    pub(super) certificate: String,
    pub(super) intermediates: String,
    pub(super) info: CertificateInfo,
    pub(super) origin: VersionOrigin,
}

impl Data {
    pub(super) fn version(&self, id: &CertificateId, number: u32) -> Option<&Version> {
        self.certificates.get(id)?.versions.get(&number)
    }

    pub(super) fn keep_former_account(&mut self, directory: &str) {
        let account = self.accounts.get(directory);
        let pending = self.pending_accounts.get(directory);
        for current in account.into_iter().chain(pending) {
            let former = self
                .former_accounts
                .entry(directory.to_owned())
                .or_default();
            let is_same = |known: &SecretString| known.expose_secret() == current.expose_secret();
            if !former.iter().any(is_same) {
                former.push(current.clone());
            }
        }
    }
}

impl Entry {
    pub(super) fn current(
        &self,
        id: &CertificateId,
    ) -> Result<Option<StoredCertificate>, StoreError> {
        let Some((number, version)) = self.versions.last_key_value() else {
            return Ok(None);
        };
        let location = format!("memory:{id}");
        if self.damaged {
            let cause = "a test damaged it".to_owned();
            return Err(StoreError::Damaged { location, cause });
        }
        Ok(Some(StoredCertificate {
            id: id.clone(),
            version: *number,
            location,
            info: version.info.clone(),
            origin: version.origin.clone(),
            deployed: self.deployed == Some(*number),
        }))
    }

    pub(super) fn index(&self, id: &CertificateId) -> Option<IndexEntry> {
        let entry = IndexEntry {
            id: id.clone(),
            has_settings: self.settings.is_some(),
            has_order: self.order.is_some(),
            status: (&self.status).into(),
            current: match self.current(id) {
                Ok(stored) => stored.map(|stored| Ok((&stored).into())),
                Err(error) => Some(Err(error)),
            },
        };
        entry.is_anything().then_some(entry)
    }
}
