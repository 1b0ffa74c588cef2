//! A store in memory.

mod data;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::SignedDuration;
use secrecy::SecretString;
use tokio::sync::watch;

use self::data::{Data, Version};
use crate::clock::Clock;
use crate::lease::{JobName, Lease, LeaseId};
use crate::name::DnsName;
use crate::store::{
    CaStatus, CertificateId, CertificateStatus, IndexEntry, NewVersion, SetAside, Store,
    StoreError, StoredCertificate, VersionPem, alias_names,
};

/// Versions that are kept.
const KEEP_VERSIONS: usize = 3;

/// How a handle on a store answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreBehaviour {
    /// Every call is carried out.
    #[default]
    Work,
    /// Every call fails and changes nothing.
    Fail,
    /// No call ends before the test sets another behaviour.
    Hang,
}

/// A store in memory. Each handle is a holder of leases, as a process is; dropping it kills that
/// process.
pub struct MemoryStore {
    holder: String,
    clock: Arc<dyn Clock>,
    data: Arc<Mutex<Data>>,
    behaviour: watch::Sender<StoreBehaviour>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_holder(clock, Arc::default())
    }

    /// Another handle on the same data, as another process would have it.
    #[must_use]
    pub fn another_process(&self) -> Self {
        Self::with_holder(Arc::clone(&self.clock), Arc::clone(&self.data))
    }

    /// The private keys that are kept, by version.
    pub fn keys(&self, id: &CertificateId) -> BTreeMap<u32, SecretString> {
        let data = self.data();
        let versions = data.certificates.get(id).map(|entry| &entry.versions);
        let keys = versions.into_iter().flatten();
        keys.filter_map(|(number, version)| Some((*number, version.key.clone()?)))
            .collect()
    }

    /// Damages the current version of a certificate.
    pub fn damage(&self, id: &CertificateId) {
        if let Some(entry) = self.data().certificates.get_mut(id) {
            entry.damaged = true;
        }
    }

    /// Sets how this handle answers from now on.
    pub fn set_behaviour(&self, behaviour: StoreBehaviour) {
        self.behaviour.send_replace(behaviour);
    }

    /// Answers as the test wants it.
    async fn answer(&self) -> Result<(), StoreError> {
        let mut behaviour = self.behaviour.subscribe();
        let answers = |behaviour: &StoreBehaviour| *behaviour != StoreBehaviour::Hang;
        let behaviour = behaviour.wait_for(answers).await;
        match behaviour.as_deref() {
            Ok(StoreBehaviour::Fail) | Err(_) => Err(StoreError::Unavailable {
                action: "reach",
                subject: "the store".to_owned(),
                source: Arc::new(io::Error::other("a test stopped it")),
            }),
            Ok(_) => Ok(()),
        }
    }

    fn with_holder(clock: Arc<dyn Clock>, data: Arc<Mutex<Data>>) -> Self {
        let mut locked = lock(&data);
        locked.holders_ever += 1;
        let holder = format!("process-{}", locked.holders_ever);
        locked.holders.insert(holder.clone());
        drop(locked);
        MemoryStore {
            holder,
            clock,
            data,
            behaviour: watch::Sender::default(),
        }
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        lock(&self.data)
    }

    /// The data, in which all leases are live.
    fn with_live_leases(&self) -> MutexGuard<'_, Data> {
        let now = self.clock.now();
        let mut data = self.data();
        let Data {
            leases, holders, ..
        } = &mut *data;
        leases.retain(|_, lease| !lease.has_expired(now) && holders.contains(&lease.holder));
        data
    }
}

fn lock(data: &Mutex<Data>) -> MutexGuard<'_, Data> {
    data.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("holder", &self.holder)
            .finish_non_exhaustive()
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.data().holders.remove(&self.holder);
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn account(&self, directory: &str) -> Result<Option<SecretString>, StoreError> {
        self.answer().await?;
        Ok(self.data().accounts.get(directory).cloned())
    }

    async fn put_account(
        &self,
        directory: &str,
        credentials: &SecretString,
    ) -> Result<(), StoreError> {
        self.answer().await?;
        let mut data = self.data();
        data.accounts
            .insert(directory.to_owned(), credentials.clone());
        Ok(())
    }

    async fn pending_account(&self, directory: &str) -> Result<Option<SecretString>, StoreError> {
        self.answer().await?;
        Ok(self.data().pending_accounts.get(directory).cloned())
    }

    async fn put_pending_account(
        &self,
        directory: &str,
        credentials: Option<&SecretString>,
    ) -> Result<(), StoreError> {
        self.answer().await?;
        let pending = &mut self.data().pending_accounts;
        match credentials {
            Some(credentials) => pending.insert(directory.to_owned(), credentials.clone()),
            None => pending.remove(directory),
        };
        Ok(())
    }

    async fn keep_former_account(&self, directory: &str) -> Result<(), StoreError> {
        self.answer().await?;
        self.data().keep_former_account(directory);
        Ok(())
    }

    async fn former_accounts(&self, directory: &str) -> Result<Vec<SecretString>, StoreError> {
        self.answer().await?;
        let former = self.data().former_accounts.get(directory).cloned();
        Ok(former.unwrap_or_default())
    }

    async fn ca_status(&self, directory: &str) -> Result<CaStatus, StoreError> {
        self.answer().await?;
        let status = self.data().cas.get(directory).cloned();
        Ok(status.unwrap_or_default())
    }

    async fn replace_ca_status(
        &self,
        directory: &str,
        before: &CaStatus,
        status: &CaStatus,
    ) -> Result<bool, StoreError> {
        self.answer().await?;
        let mut data = self.data();
        let stored = data.cas.entry(directory.to_owned()).or_default();
        let is_as_before = stored == before;
        if is_as_before {
            stored.clone_from(status);
        }
        Ok(is_as_before)
    }

    async fn certificate(
        &self,
        id: &CertificateId,
    ) -> Result<Option<StoredCertificate>, StoreError> {
        self.answer().await?;
        let data = self.data();
        let entry = data.certificates.get(id);
        entry.map_or(Ok(None), |entry| entry.current(id))
    }

    async fn versions(&self, id: &CertificateId) -> Result<Vec<u32>, StoreError> {
        self.answer().await?;
        let data = self.data();
        let versions = data.certificates.get(id).map(|entry| &entry.versions);
        Ok(versions
            .into_iter()
            .flat_map(BTreeMap::keys)
            .copied()
            .collect())
    }

    async fn chain(&self, id: &CertificateId, version: u32) -> Result<Option<String>, StoreError> {
        self.answer().await?;
        let data = self.data();
        let version = data.version(id, version);
        Ok(version.map(|version| format!("{}{}", version.certificate, version.intermediates)))
    }

    async fn set_aside(
        &self,
        id: &CertificateId,
        unusable: SetAside,
    ) -> Result<String, StoreError> {
        self.answer().await?;
        let mut data = self.data();
        let entry = data.certificates.entry(id.clone()).or_default();
        entry.set_aside.push(unusable);
        let old = entry.set_aside.len().saturating_sub(KEEP_VERSIONS);
        entry.set_aside.drain(..old);
        Ok(format!("memory:{id}/set-aside"))
    }

    async fn put_certificate(
        &self,
        id: &CertificateId,
        version: NewVersion,
    ) -> Result<StoredCertificate, StoreError> {
        self.answer().await?;
        let mut data = self.data();
        let entry = data.certificates.entry(id.clone()).or_default();
        let newest = entry.versions.last_key_value();
        let number = 1 + newest.map_or(0, |(number, _)| *number);
        let stored = StoredCertificate {
            id: id.clone(),
            version: number,
            location: format!("memory:{id}"),
            info: version.chain.info.clone(),
            origin: version.origin.clone(),
            deployed: false,
        };
        let version = Version {
            key: version.key,
            certificate: version.chain.certificate,
            intermediates: version.chain.intermediates,
            info: version.chain.info,
            origin: version.origin,
        };
        entry.versions.insert(number, version);
        entry.damaged = false;
        while entry.versions.len() > KEEP_VERSIONS {
            entry.versions.pop_first();
        }
        Ok(stored)
    }

    async fn pem(
        &self,
        id: &CertificateId,
        version: u32,
    ) -> Result<Option<VersionPem>, StoreError> {
        self.answer().await?;
        let data = self.data();
        let entry = data.certificates.get(id);
        let version = entry.and_then(|entry| entry.versions.get(&version));
        Ok(version.map(|version| VersionPem {
            key: version.key.clone(),
            certificate: version.certificate.clone(),
            intermediates: version.intermediates.clone(),
        }))
    }

    async fn mark_deployed(&self, id: &CertificateId, version: u32) -> Result<(), StoreError> {
        self.answer().await?;
        let mut data = self.data();
        if let Some(entry) = data.certificates.get_mut(id)
            && entry.versions.keys().next_back() == Some(&version)
        {
            entry.deployed = Some(version);
        }
        Ok(())
    }

    async fn forget(&self, id: &CertificateId, purge: bool) -> Result<(), StoreError> {
        self.answer().await?;
        let certificates = &mut self.data().certificates;
        if purge {
            certificates.remove(id);
        } else if let Some(entry) = certificates.get_mut(id) {
            (entry.settings, entry.order) = (None, None);
            entry.status = CertificateStatus::default();
        }
        Ok(())
    }

    async fn index(&self) -> Result<Vec<IndexEntry>, StoreError> {
        self.answer().await?;
        let data = self.data();
        let entries = data.certificates.iter();
        Ok(entries.filter_map(|(id, entry)| entry.index(id)).collect())
    }

    async fn settings(&self, id: &CertificateId) -> Result<Option<String>, StoreError> {
        self.answer().await?;
        let data = self.data();
        let entry = data.certificates.get(id);
        Ok(entry.and_then(|entry| entry.settings.clone()))
    }

    async fn put_settings(&self, id: &CertificateId, settings: &str) -> Result<(), StoreError> {
        self.answer().await?;
        let mut data = self.data();
        let entry = data.certificates.entry(id.clone()).or_default();
        entry.settings = Some(settings.to_owned());
        Ok(())
    }

    async fn order(&self, id: &CertificateId) -> Result<Option<SecretString>, StoreError> {
        self.answer().await?;
        let data = self.data();
        let entry = data.certificates.get(id);
        Ok(entry.and_then(|entry| entry.order.clone()))
    }

    async fn put_order(&self, id: &CertificateId, order: &SecretString) -> Result<(), StoreError> {
        self.answer().await?;
        let mut data = self.data();
        let entry = data.certificates.entry(id.clone()).or_default();
        entry.order = Some(order.clone());
        Ok(())
    }

    async fn status(&self, id: &CertificateId) -> Result<CertificateStatus, StoreError> {
        self.answer().await?;
        let data = self.data();
        let entry = data.certificates.get(id);
        Ok(entry.map(|entry| entry.status.clone()).unwrap_or_default())
    }

    async fn put_status(
        &self,
        id: &CertificateId,
        status: &CertificateStatus,
    ) -> Result<(), StoreError> {
        self.answer().await?;
        let mut data = self.data();
        data.certificates.entry(id.clone()).or_default().status = status.clone();
        Ok(())
    }

    async fn remove_order(&self, id: &CertificateId) -> Result<(), StoreError> {
        self.answer().await?;
        if let Some(entry) = self.data().certificates.get_mut(id) {
            entry.order = None;
        }
        Ok(())
    }

    async fn alias_names(&self) -> Result<BTreeMap<DnsName, DnsName>, StoreError> {
        self.answer().await?;
        Ok(self.data().alias_names.clone())
    }

    async fn add_alias_names(
        &self,
        fresh: &BTreeMap<DnsName, DnsName>,
    ) -> Result<BTreeMap<DnsName, DnsName>, StoreError> {
        self.answer().await?;
        Ok(alias_names::add(&mut self.data().alias_names, fresh))
    }

    async fn acquire_lease(
        &self,
        job: &JobName,
        duration: SignedDuration,
    ) -> Result<Lease, StoreError> {
        self.answer().await?;
        let mut data = self.with_live_leases();
        if let Some(lease) = data.leases.get(job) {
            return Err(StoreError::Busy {
                job: job.clone(),
                holder: lease.holder.clone(),
                expires: lease.expires,
            });
        }
        let lease = Lease {
            id: LeaseId::random(),
            job: job.clone(),
            holder: self.holder.clone(),
            expires: Lease::expiry(self.clock.now(), duration),
        };
        data.leases.insert(job.clone(), lease.clone());
        Ok(lease)
    }

    async fn renew_lease(
        &self,
        lease: &Lease,
        duration: SignedDuration,
    ) -> Result<Lease, StoreError> {
        self.answer().await?;
        let expires = Lease::expiry(self.clock.now(), duration);
        match self.data().leases.get_mut(&lease.job) {
            Some(held) if held.id == lease.id => {
                held.expires = expires;
                Ok(held.clone())
            }
            _ => Err(StoreError::LeaseLost {
                job: lease.job.clone(),
            }),
        }
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        self.answer().await?;
        let mut data = self.data();
        if data.leases.get(&lease.job).map(|held| &held.id) == Some(&lease.id) {
            data.leases.remove(&lease.job);
        }
        Ok(())
    }

    async fn live_leases(&self) -> Result<Vec<Lease>, StoreError> {
        self.answer().await?;
        Ok(self.with_live_leases().leases.values().cloned().collect())
    }
}

#[cfg(test)]
mod tests;
