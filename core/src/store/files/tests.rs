//! Tests of the store in files as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tempfile::TempDir;

use super::access::mode;
use super::layout::{CERTIFICATE, FULLCHAIN, KEY, SET_ASIDE, VERSIONS};
use super::{FileStore, FileStoreOptions};
use crate::clock::Clock;
use crate::lease::JobName;
use crate::store::{CertificateId, IndexEntry, NewVersion, Store, StoreError};
use crate::testkit::ManualClock;
use crate::testkit::store::{self as conformance, Fixture};

/// A store's folder, and a clock.
pub(super) struct Folder {
    _temporary: TempDir,
    pub(super) root: PathBuf,
    clock: Arc<ManualClock>,
}

impl Folder {
    pub(super) fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        Folder {
            root: temporary.path().join("a/state"),
            _temporary: temporary,
            clock: Arc::new(ManualClock::new(start())),
        }
    }

    pub(super) async fn store(&self) -> FileStore {
        FileStore::open(&self.root, self.options()).await.unwrap()
    }

    pub(super) fn options(&self) -> FileStoreOptions {
        FileStoreOptions {
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            ..FileStoreOptions::default()
        }
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.root.join("certificates/web")
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.certificate().join(file)).unwrap()
    }

    fn versions(&self) -> Vec<String> {
        names(&self.certificate().join(VERSIONS))
    }
}

#[async_trait]
impl Fixture for Folder {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store().await)
    }

    async fn kill(&self, store: Arc<dyn Store>) {
        drop(store);
    }

    fn notices_dead_holders(&self) -> bool {
        true
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn keep_versions(&self) -> usize {
        3
    }

    async fn keys(&self, id: &CertificateId) -> BTreeMap<u32, SecretString> {
        let versions = self
            .root
            .join("certificates")
            .join(id.as_str())
            .join(VERSIONS);
        if !versions.exists() {
            return BTreeMap::new();
        }
        let key = |version: String| {
            let key = fs::read_to_string(versions.join(&version).join(KEY)).ok()?;
            Some((version.parse().unwrap(), key.into()))
        };
        names(&versions).into_iter().filter_map(key).collect()
    }

    async fn damage(&self, id: &CertificateId) {
        let folder = self.root.join("certificates").join(id.as_str());
        fs::write(folder.join("current").join(CERTIFICATE), "-----BEGIN").unwrap();
    }
}

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

pub(super) fn id() -> CertificateId {
    "web".parse().unwrap()
}

fn job() -> JobName {
    JobName::certificate(&id())
}

pub(super) fn version(mark: &str) -> NewVersion {
    conformance::version("example.com", start(), &format!("key {mark}")).unwrap()
}

/// The names in a folder, sorted.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[tokio::test]
async fn the_store_in_files_keeps_the_contract() {
    conformance::run(&Folder::new()).await.unwrap();
}

#[tokio::test]
async fn links_lead_to_the_newest_version_and_older_ones_stay() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.put_certificate(&id(), version("1")).await.unwrap();
    let second = version("2");
    let certificate = second.chain.certificate.clone();
    let stored = store.put_certificate(&id(), second).await.unwrap();
    assert_eq!(stored.location, folder.certificate().display().to_string());
    assert_eq!(folder.read(KEY), "key 2");
    assert_eq!(folder.read(FULLCHAIN), certificate);
    assert_eq!(folder.read("versions/1/privkey.pem"), "key 1");
    let left = [folder.certificate(), folder.certificate().join(VERSIONS)]
        .iter()
        .flat_map(|folder| names(folder))
        .filter(|name| name.starts_with('.'))
        .collect::<Vec<_>>();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn only_the_owner_can_read_keys_accounts_and_leases() {
    let folder = Folder::new();
    let store = folder.store().await;
    let directory = "https://ca.example/dir";
    store.put_account(directory, &"{}".into()).await.unwrap();
    store.put_certificate(&id(), version("1")).await.unwrap();
    store.mark_deployed(&id(), 1).await.unwrap();
    store.put_order(&id(), &"{}".into()).await.unwrap();
    store.acquire_lease(&job(), HOUR).await.unwrap();
    store.index().await.unwrap();
    let mut unseen = vec![folder.root.clone()];
    let mut files = 0;
    while let Some(path) = unseen.pop() {
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            assert_eq!(mode(&path).unwrap(), 0o700, "{}", path.display());
            unseen.extend(names(&path).into_iter().map(|name| path.join(name)));
        } else if metadata.is_file() {
            assert_eq!(mode(&path).unwrap(), 0o600, "{}", path.display());
            files += 1;
        }
    }
    assert!(files >= 10, "{files}");
}

#[tokio::test]
async fn a_version_without_a_record_counts_as_deployed() {
    let folder = Folder::new();
    let store = folder.store().await;
    let stored = store.put_certificate(&id(), version("1")).await.unwrap();
    assert!(!stored.deployed);
    fs::remove_file(folder.certificate().join("current/version.json")).unwrap();
    let stored = store.certificate(&id()).await.unwrap().unwrap();
    assert!(stored.deployed);
    assert_eq!(stored.origin.directory, "");
    let renewed = store.put_certificate(&id(), version("2")).await.unwrap();
    assert!(!renewed.deployed);
}

#[tokio::test]
async fn an_unreadable_note_of_deployment_means_not_deployed() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.put_certificate(&id(), version("1")).await.unwrap();
    for garbage in ["", "x", "-1", "2"] {
        fs::write(folder.certificate().join("deployed"), garbage).unwrap();
        let stored = store.certificate(&id()).await.unwrap().unwrap();
        assert!(!stored.deployed, "{garbage:?}");
    }
    store.mark_deployed(&id(), 1).await.unwrap();
    assert!(store.certificate(&id()).await.unwrap().unwrap().deployed);
}

#[tokio::test]
async fn the_number_of_a_deleted_version_is_not_used_again() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.put_certificate(&id(), version("1")).await.unwrap();
    store.mark_deployed(&id(), 1).await.unwrap();
    fs::remove_dir_all(folder.certificate().join(VERSIONS)).unwrap();
    let stored = store.put_certificate(&id(), version("2")).await.unwrap();
    assert_eq!((stored.version, stored.deployed), (2, false));
    let read = store.certificate(&id()).await.unwrap().unwrap();
    assert!(!read.deployed);
}

#[tokio::test]
async fn a_killed_put_leaves_the_old_version_current() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.put_certificate(&id(), version("1")).await.unwrap();
    let versions = folder.certificate().join(VERSIONS);
    // Killed while writing a version, and after that, before it became the current one.
    fs::create_dir(versions.join(".new-killed")).unwrap();
    fs::write(versions.join(".new-killed").join(KEY), "key").unwrap();
    fs::create_dir(versions.join("2")).unwrap();
    symlink("versions/2", folder.certificate().join(".new-current")).unwrap();
    let set_aside = folder.certificate().join(SET_ASIDE);
    fs::create_dir(&set_aside).unwrap();
    fs::write(set_aside.join(".new-killed"), "key").unwrap();
    let stored = store.certificate(&id()).await.unwrap().unwrap();
    assert_eq!(stored.version, 1);
    let stored = store.put_certificate(&id(), version("3")).await.unwrap();
    assert_eq!(stored.version, 3);
    assert_eq!(folder.versions(), ["1", "2", "3"]);
    let names = names(&folder.certificate());
    assert!(!names.iter().any(|name| name.starts_with('.')), "{names:?}");
    assert!(!set_aside.join(".new-killed").exists());
}

#[tokio::test]
async fn what_another_process_is_writing_is_not_deleted() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.put_certificate(&id(), version("1")).await.unwrap();
    let writing = folder.certificate().join(".new-order");
    let unfinished = folder.certificate().join("versions/.new-version");
    fs::create_dir(&unfinished).unwrap();
    let files = [&writing, &unfinished.join(KEY)].map(|path| File::create(path).unwrap());
    for file in &files {
        file.try_lock().unwrap();
    }
    store.put_certificate(&id(), version("2")).await.unwrap();
    assert!(writing.exists() && unfinished.exists());
    drop(files);
    store.put_certificate(&id(), version("3")).await.unwrap();
    assert!(!writing.exists() && !unfinished.exists());
}

#[tokio::test]
async fn a_version_that_cannot_be_pruned_does_not_fail_the_next_one() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.put_certificate(&id(), version("1")).await.unwrap();
    let versions = folder.certificate().join(VERSIONS);
    fs::remove_file(versions.join("1").join(KEY)).unwrap();
    fs::create_dir(versions.join("1").join(KEY)).unwrap();
    symlink("1", versions.join("0")).unwrap();
    for mark in ["2", "3", "4", "5"] {
        store.put_certificate(&id(), version(mark)).await.unwrap();
    }
    assert_eq!(folder.versions(), ["0", "3", "4", "5"]);
}

#[tokio::test]
async fn the_current_version_is_never_pruned() {
    let folder = Folder::new();
    let options = FileStoreOptions {
        keep_versions: 0,
        ..folder.options()
    };
    let store = FileStore::open(&folder.root, options).await.unwrap();
    for mark in ["1", "2"] {
        store.put_certificate(&id(), version(mark)).await.unwrap();
    }
    assert_eq!(folder.versions(), ["2"]);
    assert_eq!(folder.read(KEY), "key 2");
}

#[tokio::test]
async fn locks_of_earlier_versions_of_the_program_are_deleted_unless_held() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.put_certificate(&id(), version("1")).await.unwrap();
    let runs = folder.root.join("ledger/runs");
    fs::create_dir_all(&runs).unwrap();
    let locks = [
        folder.certificate().join(".lock"),
        runs.join("20261125t000000z-00000000"),
        runs.join("20261125t000000z-00000001"),
    ];
    let files = locks.each_ref().map(|path| File::create(path).unwrap());
    for held in &files[..2] {
        held.try_lock().unwrap();
    }
    let clean_up = async || {
        let store = folder.store().await;
        store.put_certificate(&id(), version("2")).await.unwrap();
        locks.each_ref().map(|lock| lock.exists())
    };
    assert_eq!(clean_up().await, [true, true, false]);
    drop(files);
    assert_eq!(clean_up().await, [false, false, false]);
    assert!(names(&runs).is_empty());
}

#[tokio::test]
async fn a_version_whose_key_others_have_has_no_file_and_no_link_for_it() {
    let folder = Folder::new();
    let store = folder.store().await;
    for (mark, is_external) in [("1", false), ("2", true), ("3", false)] {
        let mut version = version(mark);
        if is_external {
            version.key = None;
            version.origin.external_key = Some("5e".repeat(32));
        }
        store.put_certificate(&id(), version).await.unwrap();
        let link = folder.certificate().join(KEY);
        assert_eq!(link.symlink_metadata().is_ok(), !is_external, "{mark}");
        let file = format!("{VERSIONS}/{mark}/{KEY}");
        assert_eq!(folder.certificate().join(file).exists(), !is_external);
        assert!(store.certificate(&id()).await.unwrap().is_some());
    }
    // The record is what tells it from a version that has lost its key.
    fs::remove_file(folder.certificate().join("current").join(KEY)).unwrap();
    assert!(store.certificate(&id()).await.is_err());
    assert!(store.pem(&id(), 3).await.unwrap().is_none());
    assert!(store.pem(&id(), 2).await.unwrap().is_some());
}

async fn entry(store: &FileStore) -> IndexEntry {
    let index = store.index().await.unwrap();
    index.into_iter().find(|entry| entry.id == id()).unwrap()
}

#[tokio::test]
async fn every_kind_of_damage_is_an_error_of_one_certificate() {
    type Damage = fn(&Path);
    let damages: [Damage; 9] = [
        |folder| fs::write(folder.join("current/cert.pem"), "x").unwrap(),
        |folder| fs::remove_file(folder.join("current/cert.pem")).unwrap(),
        |folder| fs::remove_file(folder.join("current/privkey.pem")).unwrap(),
        |folder| fs::remove_dir_all(folder.join(VERSIONS)).unwrap(),
        |folder| fs::write(folder.join("current/version.json"), "x").unwrap(),
        |folder| {
            fs::remove_file(folder.join("current/cert.pem")).unwrap();
            fs::create_dir(folder.join("current/cert.pem")).unwrap();
        },
        |folder| {
            let path = folder.join("current/cert.pem");
            fs::remove_file(&path).unwrap();
            let made = std::process::Command::new("mkfifo").arg(path).status();
            assert!(made.unwrap().success());
        },
        |folder| {
            fs::remove_file(folder.join("current")).unwrap();
            fs::create_dir(folder.join("current")).unwrap();
        },
        |folder| {
            fs::remove_file(folder.join("current")).unwrap();
            symlink("elsewhere", folder.join("current")).unwrap();
        },
    ];
    for (number, damage) in damages.iter().enumerate() {
        let folder = Folder::new();
        let store = folder.store().await;
        let good = "good".parse().unwrap();
        for id in [&id(), &good] {
            store.put_certificate(id, version("1")).await.unwrap();
        }
        store.index().await.unwrap();
        damage(&folder.certificate());
        let error = store.certificate(&id()).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Damaged { .. }),
            "{number}: {error}"
        );
        // The file of the record is not looked at once the index has it.
        if number != 4 {
            assert!(entry(&store).await.current.unwrap().is_err(), "{number}");
        }
        let index = store.index().await.unwrap();
        assert_eq!(index[0].id, good);
        assert!(index[0].current.as_ref().unwrap().is_ok());
        assert!(store.certificate(&good).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_restored_backup_is_noticed() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.put_certificate(&id(), version("1")).await.unwrap();
    let backup = folder.root.join("backup");
    let copy = |from: &Path, to: &Path| {
        let mut copy = std::process::Command::new("cp");
        assert!(copy.arg("-a").args([from, to]).status().unwrap().success());
    };
    copy(&folder.certificate(), &backup);
    store.put_certificate(&id(), version("2")).await.unwrap();
    let current = entry(&store).await.current.unwrap().unwrap();
    assert_eq!(current.version, 2);
    fs::remove_dir_all(folder.certificate()).unwrap();
    assert!(store.index().await.unwrap().is_empty());
    copy(&backup, &folder.certificate());
    let current = entry(&store).await.current.unwrap().unwrap();
    assert_eq!(current.version, 1);
}

#[tokio::test]
async fn files_and_odd_names_beside_the_certificates_are_ignored() {
    let folder = Folder::new();
    let store = folder.store().await;
    let certificates = folder.root.join("certificates");
    fs::write(certificates.join("notes"), "").unwrap();
    for odd in ["lost+found", "Upper", "empty", ".hidden"] {
        fs::create_dir(certificates.join(odd)).unwrap();
    }
    symlink("nowhere", certificates.join("dangling")).unwrap();
    for _ in 0..2 {
        assert!(store.index().await.unwrap().is_empty());
    }
    for id in ["notes", "empty", "dangling"] {
        let id = id.parse().unwrap();
        assert_eq!(store.certificate(&id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn damaged_alias_names_are_an_error_and_not_overwritten() {
    let folder = Folder::new();
    let store = folder.store().await;
    let aliases = folder.root.join("aliases.json");
    fs::write(&aliases, "{").unwrap();
    let name = "x.example.com".parse().unwrap();
    let fresh = BTreeMap::from([(name, "y.auth.net".parse().unwrap())]);
    let error = store.add_alias_names(&fresh).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(fs::read_to_string(&aliases).unwrap(), "{");
}

#[tokio::test]
async fn the_content_of_a_version_survives_in_its_record() {
    let folder = Folder::new();
    let store = folder.store().await;
    let stored = store.put_certificate(&id(), version("1")).await.unwrap();
    let record: serde_json::Value =
        serde_json::from_str(&folder.read("current/version.json")).unwrap();
    assert_eq!(record["directory"], stored.origin.directory);
    assert_eq!(record["account"], stored.origin.account);
    assert_eq!(
        record["renewal_id"].as_str(),
        stored.origin.renewal_id.as_deref()
    );
    assert_eq!(record["created"], start().to_string());
}
