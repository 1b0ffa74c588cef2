//! The store in files, as one object.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;

use super::access::{check_dir, make_dir, make_root, read, read_private, remove};
use super::accounts;
use super::atomic::write;
use super::errors::{damaged, unavailable};
use super::forget::forget;
use super::holder::machine;
use super::index::index;
use super::layout::{Layout, ORDER, SETTINGS, STATUS};
use super::leases::Leases;
use super::leftovers::sweep;
use super::lock::{blocking, locked};
use super::probe::probe;
use super::prune::prune;
use super::set_aside;
use super::status::{read_status, to_json};
use super::versions::{self, Version};
use crate::clock::{Clock, SystemClock};
use crate::lease::{JobName, Lease};
use crate::name::DnsName;
use crate::store::alias_names;
use crate::store::certificate::{IndexEntry, NewVersion, SetAside, StoredCertificate, VersionPem};
use crate::store::contract::Store;
use crate::store::error::StoreError;
use crate::store::id::CertificateId;
use crate::store::status::{CaStatus, CertificateStatus};
use crate::trusted::Links;

/// The store in a folder of the local file system.
///
/// Each store that is opened is a holder of leases of its own; clones share one. Dropping the last
/// clone ends its leases.
#[derive(Clone, Debug)]
pub struct FileStore {
    layout: Layout,
    options: FileStoreOptions,
    leases: Leases,
    /// Whether the file system was found fit.
    probed: Arc<OnceCell<()>>,
}

/// How a store in files behaves.
#[derive(Clone, Debug)]
pub struct FileStoreOptions {
    /// Tells when leases expire and versions were stored.
    pub clock: Arc<dyn Clock>,
    /// How many versions of each certificate are kept, at least 1.
    pub keep_versions: usize,
}

impl Default for FileStoreOptions {
    fn default() -> Self {
        FileStoreOptions {
            clock: Arc::new(SystemClock),
            keep_versions: 3,
        }
    }
}

impl FileStore {
    /// Opens the store below `root`, which is made (0700) if it does not exist.
    pub async fn open(root: &Path, options: FileStoreOptions) -> Result<Self, StoreError> {
        let layout = Layout::new(root);
        let opened = layout.clone();
        let prepared = blocking(move || {
            make_root(&opened.root())?;
            for folder in opened.folders() {
                make_dir(&folder)?;
            }
            Ok((machine(), sweep(&opened)))
        });
        let (machine, swept) = prepared.await?;
        if let Err(error) = swept {
            tracing::warn!("left-over files stay: {error}");
        }
        Ok(FileStore {
            leases: Leases::new(layout.clone(), Arc::clone(&options.clock), &machine),
            layout,
            options,
            probed: Arc::default(),
        })
    }

    /// The folder of the ledger.
    pub fn ledger(&self) -> PathBuf {
        self.layout.ledger()
    }

    async fn put(&self, id: &CertificateId, file: &str, content: &[u8]) -> Result<(), StoreError> {
        let folder = self.layout.certificate(id);
        let (path, content) = (folder.join(file), content.to_vec());
        blocking(move || {
            make_dir(&folder)?;
            write(&path, &content)
        })
        .await
    }

    async fn get(&self, id: &CertificateId, file: &str) -> Result<Option<String>, StoreError> {
        let folder = self.layout.certificate(id);
        let path = folder.join(file);
        blocking(move || {
            check_dir(&folder, Links::Refused)?;
            read(&path)
        })
        .await
    }
}

#[async_trait]
impl Store for FileStore {
    async fn check(&self) -> Result<(), StoreError> {
        let (folder, lock) = (self.layout.probe(), self.layout.probe_lock());
        let probed = self
            .probed
            .get_or_try_init(|| locked(lock, move || probe(&folder)));
        probed.await.copied()
    }

    async fn account(&self, directory: &str) -> Result<Option<SecretString>, StoreError> {
        let path = self.layout.account(directory);
        blocking(move || {
            let text = read_private(&path)?;
            Ok(text.map(SecretString::from))
        })
        .await
    }

    async fn put_account(
        &self,
        directory: &str,
        credentials: &SecretString,
    ) -> Result<(), StoreError> {
        let (path, credentials) = (self.layout.account(directory), credentials.clone());
        blocking(move || write(&path, credentials.expose_secret().as_bytes())).await
    }

    async fn pending_account(&self, directory: &str) -> Result<Option<SecretString>, StoreError> {
        let path = self.layout.pending_account(directory);
        blocking(move || Ok(read_private(&path)?.map(SecretString::from))).await
    }

    async fn put_pending_account(
        &self,
        directory: &str,
        credentials: Option<&SecretString>,
    ) -> Result<(), StoreError> {
        let (path, credentials) = (self.layout.pending_account(directory), credentials.cloned());
        blocking(move || match credentials {
            Some(credentials) => write(&path, credentials.expose_secret().as_bytes()),
            None => remove(&path),
        })
        .await
    }

    async fn keep_former_account(&self, directory: &str) -> Result<(), StoreError> {
        let (layout, directory) = (self.layout.clone(), directory.to_owned());
        blocking(move || accounts::keep_former(&layout, &directory)).await
    }

    async fn former_accounts(&self, directory: &str) -> Result<Vec<SecretString>, StoreError> {
        let (layout, directory) = (self.layout.clone(), directory.to_owned());
        blocking(move || accounts::former(&layout, &directory)).await
    }

    async fn ca_status(&self, directory: &str) -> Result<CaStatus, StoreError> {
        let path = self.layout.ca_status(directory);
        blocking(move || read_status(&path)).await
    }

    async fn replace_ca_status(
        &self,
        directory: &str,
        before: &CaStatus,
        status: &CaStatus,
    ) -> Result<bool, StoreError> {
        let path = self.layout.ca_status(directory);
        let (before, json) = (before.clone(), to_json(status)?);
        locked(self.layout.ca_statuses_lock(), move || {
            let is_as_before = read_status::<CaStatus>(&path)? == before;
            if is_as_before {
                write(&path, &json)?;
            }
            Ok(is_as_before)
        })
        .await
    }

    async fn certificate(
        &self,
        id: &CertificateId,
    ) -> Result<Option<StoredCertificate>, StoreError> {
        let folder = self.layout.certificate(id);
        let location = folder.display().to_string();
        let current = blocking(move || versions::current(&folder)).await?;
        Ok(current.map(|version| stored(id, location, version)))
    }

    async fn versions(&self, id: &CertificateId) -> Result<Vec<u32>, StoreError> {
        let folder = self.layout.certificate(id);
        blocking(move || versions::all(&folder)).await
    }

    async fn chain(&self, id: &CertificateId, version: u32) -> Result<Option<String>, StoreError> {
        let folder = self.layout.certificate(id);
        blocking(move || versions::chain(&folder, version)).await
    }

    async fn put_certificate(
        &self,
        id: &CertificateId,
        version: NewVersion,
    ) -> Result<StoredCertificate, StoreError> {
        let folder = self.layout.certificate(id);
        let location = folder.display().to_string();
        let (created, keep) = (self.options.clock.now(), self.options.keep_versions);
        let (version, pruned) = blocking(move || {
            let number = versions::add(&folder, &version, created)?;
            let version = Version {
                number,
                info: version.chain.info,
                origin: version.origin,
                deployed: false,
            };
            Ok((version, prune(&folder, keep)))
        })
        .await?;
        if let Err(error) = pruned {
            tracing::warn!("old versions of the certificate {id} stay: {error}");
        }
        Ok(stored(id, location, version))
    }

    async fn set_aside(
        &self,
        id: &CertificateId,
        unusable: SetAside,
    ) -> Result<String, StoreError> {
        let folder = self.layout.certificate(id);
        let path = blocking(move || set_aside::keep(&folder, &unusable)).await?;
        Ok(path.display().to_string())
    }

    async fn pem(
        &self,
        id: &CertificateId,
        version: u32,
    ) -> Result<Option<VersionPem>, StoreError> {
        let folder = self.layout.certificate(id);
        blocking(move || versions::pem(&folder, version)).await
    }

    async fn mark_deployed(&self, id: &CertificateId, version: u32) -> Result<(), StoreError> {
        let folder = self.layout.certificate(id);
        blocking(move || versions::mark_deployed(&folder, version)).await
    }

    async fn status(&self, id: &CertificateId) -> Result<CertificateStatus, StoreError> {
        let folder = self.layout.certificate(id);
        blocking(move || {
            check_dir(&folder, Links::Refused)?;
            read_status(&folder.join(STATUS))
        })
        .await
    }

    async fn put_status(
        &self,
        id: &CertificateId,
        status: &CertificateStatus,
    ) -> Result<(), StoreError> {
        self.put(id, STATUS, &to_json(status)?).await
    }

    async fn forget(&self, id: &CertificateId, purge: bool) -> Result<(), StoreError> {
        let folder = self.layout.certificate(id);
        blocking(move || forget(&folder, purge)).await
    }

    async fn index(&self) -> Result<Vec<IndexEntry>, StoreError> {
        let layout = self.layout.clone();
        blocking(move || index(&layout)).await
    }

    async fn settings(&self, id: &CertificateId) -> Result<Option<String>, StoreError> {
        self.get(id, SETTINGS).await
    }

    async fn put_settings(&self, id: &CertificateId, settings: &str) -> Result<(), StoreError> {
        self.put(id, SETTINGS, settings.as_bytes()).await
    }

    async fn order(&self, id: &CertificateId) -> Result<Option<SecretString>, StoreError> {
        Ok(self.get(id, ORDER).await?.map(SecretString::from))
    }

    async fn put_order(&self, id: &CertificateId, order: &SecretString) -> Result<(), StoreError> {
        self.put(id, ORDER, order.expose_secret().as_bytes()).await
    }

    async fn remove_order(&self, id: &CertificateId) -> Result<(), StoreError> {
        let path = self.layout.certificate(id).join(ORDER);
        blocking(move || remove(&path)).await
    }

    async fn alias_names(&self) -> Result<BTreeMap<DnsName, DnsName>, StoreError> {
        let path = self.layout.aliases();
        blocking(move || read_alias_names(&path)).await
    }

    async fn add_alias_names(
        &self,
        fresh: &BTreeMap<DnsName, DnsName>,
    ) -> Result<BTreeMap<DnsName, DnsName>, StoreError> {
        let (path, fresh) = (self.layout.aliases(), fresh.clone());
        locked(self.layout.aliases_lock(), move || {
            let before = read_alias_names(&path)?;
            let mut names = before.clone();
            let held = alias_names::add(&mut names, &fresh);
            if names != before {
                let text = serde_json::to_vec_pretty(&names)
                    .map_err(|error| unavailable("write", &path, error.into()))?;
                write(&path, &text)?;
            }
            Ok(held)
        })
        .await
    }

    async fn acquire_lease(
        &self,
        job: &JobName,
        duration: SignedDuration,
    ) -> Result<Lease, StoreError> {
        self.leases.acquire(job, duration).await
    }

    async fn renew_lease(
        &self,
        lease: &Lease,
        duration: SignedDuration,
    ) -> Result<Lease, StoreError> {
        self.leases.renew(lease, duration).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        self.leases.release(lease).await
    }

    async fn live_leases(&self) -> Result<Vec<Lease>, StoreError> {
        self.leases.live().await
    }
}

fn stored(id: &CertificateId, location: String, version: Version) -> StoredCertificate {
    StoredCertificate {
        id: id.clone(),
        version: version.number,
        location,
        info: version.info,
        origin: version.origin,
        deployed: version.deployed,
    }
}

fn read_alias_names(path: &Path) -> Result<BTreeMap<DnsName, DnsName>, StoreError> {
    match read(path)? {
        Some(text) => serde_json::from_str(&text).map_err(|error| damaged(path, &error)),
        None => Ok(BTreeMap::new()),
    }
}
