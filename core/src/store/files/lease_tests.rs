//! Tests of leases in files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tempfile::TempDir;

use super::access::make_dir;
use super::holder;
use super::layout::Layout;
use super::{FileStore, FileStoreOptions};
use crate::clock::Clock;
use crate::lease::{JobName, Lease, LeaseId};
use crate::store::{Store, StoreError};
use crate::testkit::ManualClock;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

struct Folder {
    temporary: TempDir,
    layout: Layout,
    clock: Arc<ManualClock>,
}

impl Folder {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let layout = Layout::new(temporary.path());
        for folder in [layout.leases(), layout.holders()] {
            make_dir(&folder).unwrap();
        }
        Folder {
            layout,
            temporary,
            clock: Arc::new(ManualClock::new(now)),
        }
    }

    async fn store(&self) -> FileStore {
        let options = FileStoreOptions {
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            ..FileStoreOptions::default()
        };
        FileStore::open(self.temporary.path(), options)
            .await
            .unwrap()
    }

    /// Writes the file of a lease that lasts a minute, as a process on `machine` would have left it.
    fn leave_lease(&self, machine: &str, holder: &str) {
        let lease = json!({
            "id": LeaseId::random(),
            "job": job(),
            "holder": holder,
            "machine": machine,
            "expires": self.clock.now() + MINUTE,
        });
        fs::write(self.layout.lease(&job()), lease.to_string()).unwrap();
    }

    /// The files below `leases`, but for that which is locked for moments.
    fn files(&self) -> Vec<PathBuf> {
        let files = |folder: &Path| {
            fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect::<Vec<_>>()
        };
        let mut files = [files(&self.layout.leases()), files(&self.layout.holders())].concat();
        files.retain(|file| file.is_file() && *file != self.layout.leases_lock());
        files
    }
}

fn job() -> JobName {
    JobName::new("certificate", "web").unwrap()
}

async fn acquire(store: &FileStore) -> Result<Lease, StoreError> {
    store.acquire_lease(&job(), MINUTE).await
}

#[tokio::test]
async fn a_lease_of_a_killed_process_is_free_and_its_files_are_deleted() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.leave_lease(&holder::machine(), "host-1-dead");
    let file = File::create(folder.layout.holder("host-1-dead")).unwrap();
    file.try_lock().unwrap();
    let busy = acquire(&store).await.unwrap_err();
    assert!(
        matches!(&busy, StoreError::Busy { holder, .. } if holder == "host-1-dead"),
        "{busy}"
    );
    assert_eq!(store.live_leases().await.unwrap().len(), 1);
    // The end of a process, however it ends, unlocks its file.
    drop(file);
    assert_eq!(store.live_leases().await.unwrap(), []);
    assert_eq!(folder.files(), [] as [PathBuf; 0]);
    assert!(acquire(&store).await.is_ok());
}

#[tokio::test]
async fn a_lease_of_another_machine_lasts_until_it_expires() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.leave_lease("another machine", "host-1-remote");
    assert_eq!(store.live_leases().await.unwrap().len(), 1);
    assert!(acquire(&store).await.is_err());
    folder.clock.advance(MINUTE);
    assert!(acquire(&store).await.is_ok());
}

#[tokio::test]
async fn clones_of_a_store_share_a_holder_and_another_store_does_not() {
    let folder = Folder::new();
    let store = folder.store().await;
    let first = acquire(&store).await.unwrap();
    let other_job = JobName::new("run", "1").unwrap();
    let clone = store.clone();
    let second = clone.acquire_lease(&other_job, MINUTE).await.unwrap();
    assert_eq!(first.holder, second.holder);
    drop(store);
    assert_eq!(clone.live_leases().await.unwrap().len(), 2);
    let other = folder.store().await;
    clone.release_lease(&second).await.unwrap();
    let third = other.acquire_lease(&other_job, MINUTE).await.unwrap();
    assert_ne!(first.holder, third.holder);
    drop(clone);
    assert_eq!(other.live_leases().await.unwrap(), [third]);
}

#[tokio::test]
async fn a_damaged_or_misnamed_lease_file_blocks_nothing() {
    let folder = Folder::new();
    let store = folder.store().await;
    let path = folder.layout.lease(&job());
    for content in ["", "{", "{\"job\": \"certificate/web\"}", "\0\0\0"] {
        fs::write(&path, content).unwrap();
        assert_eq!(store.live_leases().await.unwrap(), []);
        fs::write(&path, content).unwrap();
        let lease = acquire(&store).await.unwrap();
        store.release_lease(&lease).await.unwrap();
    }
    let lease = acquire(&store).await.unwrap();
    fs::copy(&path, folder.layout.leases().join("run@copy.json")).unwrap();
    fs::create_dir(folder.layout.leases().join("run@folder.json")).unwrap();
    assert_eq!(store.live_leases().await.unwrap(), [lease]);
}

#[tokio::test]
async fn a_lost_lease_file_is_a_lost_lease() {
    let folder = Folder::new();
    let store = folder.store().await;
    let lease = acquire(&store).await.unwrap();
    fs::remove_file(folder.layout.lease(&job())).unwrap();
    let error = store.renew_lease(&lease, MINUTE).await.unwrap_err();
    assert!(matches!(error, StoreError::LeaseLost { .. }), "{error}");
    store.release_lease(&lease).await.unwrap();
}

#[tokio::test]
async fn waiting_for_a_locked_file_can_be_cancelled() {
    let folder = Folder::new();
    let store = folder.store().await;
    let locked = File::create(folder.layout.leases_lock()).unwrap();
    locked.try_lock().unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(20), acquire(&store));
    assert!(waiting.await.is_err());
    drop(locked);
    assert!(acquire(&store).await.is_ok());
}

#[tokio::test]
async fn a_store_that_ends_leaves_no_file_of_its_holder() {
    let folder = Folder::new();
    let store = folder.store().await;
    let lease = acquire(&store).await.unwrap();
    assert_eq!(folder.files().len(), 2);
    store.release_lease(&lease).await.unwrap();
    drop(store);
    assert_eq!(folder.files(), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn reading_leases_makes_no_folder() {
    let folder = Folder::new();
    fs::remove_dir_all(folder.layout.leases()).unwrap();
    let store = folder.store().await;
    assert_eq!(store.live_leases().await.unwrap(), []);
    assert!(!folder.layout.leases().exists());
}
