//! The store in files.
//!
//! ```text
//! accounts/<host>-<hash>.json                   credentials of an account
//! aliases.json                                  alias names made up for challenge names
//! noted.json                                    when something was said last
//! ledger/<year>-<month>.jsonl                   every DNS change, see `crate::ledger`
//! certificates/<id>/settings.toml               what it was ordered with, where flags said it
//! certificates/<id>/order.json                  an order under way, with its key
//! certificates/<id>/privkey.pem …               links into `current`
//! certificates/<id>/current                     a link to the newest version
//! certificates/<id>/versions/<number>/privkey.pem, cert.pem, chain.pem, fullchain.pem
//! ```
//!
//! A version is a folder that appears whole, by a rename, and is never changed; `current` is
//! switched by a rename as well. So a server that reloads at any moment reads a key and a
//! certificate that belong together.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

use super::{CertificateId, Lock, Store, StoreError, Stored};
use crate::certificate::{self, Chain};
use crate::crash::{self, Point};
use crate::name::DnsName;

const KEY: &str = "privkey.pem";
const CERTIFICATE: &str = "cert.pem";
const CHAIN: &str = "chain.pem";
const FULLCHAIN: &str = "fullchain.pem";
const CURRENT: &str = "current";
const VERSIONS: &str = "versions";
const SETTINGS: &str = "settings.toml";
const ORDER: &str = "order.json";
const ALIASES: &str = "aliases.json";
const NOTED: &str = "noted.json";
/// How often to look whether a lock is free.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The store in a folder of the local file system.
#[derive(Clone, Debug)]
pub struct FileStore {
    root: PathBuf,
}

impl FileStore {
    /// The store below `root`, which is made (0700) where it is not there yet.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let store = FileStore {
            root: root.to_owned(),
        };
        make_dir(root)?;
        make_dir(&store.root.join("accounts"))?;
        make_dir(&store.root.join("certificates"))?;
        Ok(store)
    }

    /// The folder of the ledger.
    pub fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }

    fn account_path(&self, directory: &str) -> PathBuf {
        let host: String = directory
            .trim_start_matches("https://")
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
            .take(100)
            .collect();
        let hash = digest(&SHA256, directory.as_bytes());
        let mut number = [0; 4];
        number.copy_from_slice(&hash.as_ref()[..4]);
        let hash = format!("{:08x}", u32::from_be_bytes(number));
        self.root
            .join("accounts")
            .join(format!("{host}-{hash}.json"))
    }

    fn certificate_dir(&self, id: &CertificateId) -> PathBuf {
        self.root.join("certificates").join(id.as_str())
    }
}

#[async_trait]
impl Store for FileStore {
    async fn account(&self, directory: &str) -> Result<Option<SecretString>, StoreError> {
        let path = self.account_path(directory);
        let text = read(&path)?;
        if text.is_some() {
            let mode = mode(&path)?;
            if mode & 0o077 != 0 {
                return Err(StoreError::LooseMode { path, mode });
            }
        }
        Ok(text.map(SecretString::from))
    }

    async fn put_account(
        &self,
        directory: &str,
        credentials: &SecretString,
    ) -> Result<(), StoreError> {
        write(
            &self.account_path(directory),
            credentials.expose_secret().as_bytes(),
        )
    }

    async fn certificate(&self, id: &CertificateId) -> Result<Option<Stored>, StoreError> {
        let path = self.certificate_dir(id);
        let link = match fs::read_link(path.join(CURRENT)) {
            Ok(link) => link,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path.join(CURRENT), error)),
        };
        let file = path.join(&link).join(CERTIFICATE);
        let damaged = |cause: String| StoreError::Damaged {
            path: file.clone(),
            cause,
        };
        let pem = fs::read(&file).map_err(|error| failed("read", &file, error))?;
        let info = certificate::inspect(&pem).map_err(|error| damaged(error.to_string()))?;
        let version = version_number(&link).ok_or_else(|| damaged("no version".to_owned()))?;
        Ok(Some(Stored {
            id: id.clone(),
            path,
            version,
            info,
        }))
    }

    async fn certificates(&self) -> Result<Vec<CertificateId>, StoreError> {
        let path = self.root.join("certificates");
        let entries = fs::read_dir(&path).map_err(|error| failed("read", &path, error))?;
        let mut ids = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed("read", &path, error))?;
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.parse().ok());
            // A first attempt that failed leaves no more than the file of its lock.
            let begun = |file| entry.path().join(file).symlink_metadata().is_ok();
            ids.extend(id.filter(|_| begun(CURRENT) || begun(SETTINGS)));
        }
        ids.sort();
        Ok(ids)
    }

    async fn put_certificate(
        &self,
        id: &CertificateId,
        key: &SecretString,
        chain: &Chain,
    ) -> Result<Stored, StoreError> {
        let path = self.certificate_dir(id);
        let versions = path.join(VERSIONS);
        make_dir(&path)?;
        make_dir(&versions)?;
        let version = 1 + newest_version(&versions)?;

        let whole = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(&versions)
            .map_err(|error| failed("write in", &versions, error))?;
        let fullchain = format!("{}{}", chain.certificate, chain.intermediates);
        write(&whole.path().join(KEY), key.expose_secret().as_bytes())?;
        write(
            &whole.path().join(CERTIFICATE),
            chain.certificate.as_bytes(),
        )?;
        write(&whole.path().join(CHAIN), chain.intermediates.as_bytes())?;
        write(&whole.path().join(FULLCHAIN), fullchain.as_bytes())?;
        set_mode(whole.path(), 0o700)?;
        let target = versions.join(version.to_string());
        fs::rename(whole.path(), &target).map_err(|error| failed("write", &target, error))?;
        // The folder has its final name; there is nothing left to remove.
        let _ = whole.keep();
        sync_dir(&versions)?;
        crash::point(Point::VersionMade);

        let number = version.to_string();
        link(&path, CURRENT, &Path::new(VERSIONS).join(number))?;
        crash::point(Point::VersionSwitched);
        for file in [KEY, CERTIFICATE, CHAIN, FULLCHAIN] {
            link(&path, file, &Path::new(CURRENT).join(file))?;
        }
        Ok(Stored {
            id: id.clone(),
            path,
            version,
            info: chain.info.clone(),
        })
    }

    async fn settings(&self, id: &CertificateId) -> Result<Option<String>, StoreError> {
        read(&self.certificate_dir(id).join(SETTINGS))
    }

    async fn put_settings(&self, id: &CertificateId, settings: &str) -> Result<(), StoreError> {
        let path = self.certificate_dir(id);
        make_dir(&path)?;
        write(&path.join(SETTINGS), settings.as_bytes())
    }

    async fn order(&self, id: &CertificateId) -> Result<Option<SecretString>, StoreError> {
        let text = read(&self.certificate_dir(id).join(ORDER))?;
        Ok(text.map(SecretString::from))
    }

    async fn put_order(&self, id: &CertificateId, order: &SecretString) -> Result<(), StoreError> {
        let path = self.certificate_dir(id);
        make_dir(&path)?;
        write(&path.join(ORDER), order.expose_secret().as_bytes())
    }

    async fn remove_order(&self, id: &CertificateId) -> Result<(), StoreError> {
        let path = self.certificate_dir(id).join(ORDER);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    async fn alias_names(&self) -> Result<BTreeMap<DnsName, DnsName>, StoreError> {
        let path = self.root.join(ALIASES);
        let Some(text) = read(&path)? else {
            return Ok(BTreeMap::new());
        };
        serde_json::from_str(&text).map_err(|error| StoreError::Damaged {
            path,
            cause: error.to_string(),
        })
    }

    async fn alias_name(
        &self,
        challenge_name: &DnsName,
        fresh: &DnsName,
    ) -> Result<DnsName, StoreError> {
        let _lock = lock(self.root.join(".aliases.lock")).await?;
        let mut names = self.alias_names().await?;
        if let Some(name) = names.get(challenge_name)
            && name.parent() == fresh.parent()
        {
            return Ok(name.clone());
        }
        names.insert(challenge_name.clone(), fresh.clone());
        let path = self.root.join(ALIASES);
        let text = serde_json::to_vec_pretty(&names)
            .map_err(|error| failed("write", &path, io::Error::other(error)))?;
        write(&path, &text)?;
        Ok(fresh.clone())
    }

    async fn is_due(&self, what: &str, every: SignedDuration) -> Result<bool, StoreError> {
        let _lock = lock(self.root.join(".noted.lock")).await?;
        let path = self.root.join(NOTED);
        // What cannot be read is noted anew: nothing depends on it but how often something is said.
        let noted = read(&path)?.and_then(|text| serde_json::from_str(&text).ok());
        let mut noted: BTreeMap<String, Timestamp> = noted.unwrap_or_default();
        let now = Timestamp::now();
        if noted
            .get(what)
            .is_some_and(|last| now.duration_since(*last).abs() < every)
        {
            return Ok(false);
        }
        noted.insert(what.to_owned(), now);
        let text = serde_json::to_vec_pretty(&noted)
            .map_err(|error| failed("write", &path, io::Error::other(error)))?;
        write(&path, &text)?;
        Ok(true)
    }

    async fn lock_accounts(&self) -> Result<Lock, StoreError> {
        lock(self.root.join("accounts").join(".lock")).await
    }

    async fn lock_certificate(&self, id: &CertificateId, wait: bool) -> Result<Lock, StoreError> {
        let dir = self.certificate_dir(id);
        make_dir(&dir)?;
        let path = dir.join(".lock");
        let file = lock_file(&path)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock::new(file)),
                // Asked again and again: a thread that waits in the kernel could not be called off.
                Err(TryLockError::WouldBlock) if wait => tokio::time::sleep(LOOK_EVERY).await,
                Err(TryLockError::WouldBlock) => return Err(StoreError::Busy { id: id.clone() }),
                Err(TryLockError::Error(error)) => return Err(failed("lock", &path, error)),
            }
        }
    }
}

/// Waits for a lock without holding up anything else.
async fn lock(path: PathBuf) -> Result<Lock, StoreError> {
    let file = lock_file(&path)?;
    match tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await {
        Ok(Ok(file)) => Ok(Lock::new(file)),
        Ok(Err(error)) => Err(failed("lock", &path, error)),
        Err(error) => Err(failed("lock", &path, io::Error::other(error))),
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Makes a folder that only its owner can enter; one that is there must not let others write.
fn make_dir(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        let mode = mode(path)?;
        return if mode & 0o022 == 0 {
            Ok(())
        } else {
            Err(StoreError::LooseMode {
                path: path.to_owned(),
                mode,
            })
        };
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        // Folders above the state folder are the system's: they get the usual mode.
        fs::create_dir_all(parent).map_err(|error| failed("make", parent, error))?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => set_mode(path, 0o700),
        // Another process was faster, with the same intent.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(failed("make", path, error)),
    }
}

fn mode(path: &Path) -> Result<u32, StoreError> {
    let metadata = fs::metadata(path).map_err(|error| failed("look at", path, error))?;
    Ok(metadata.permissions().mode() & 0o777)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), StoreError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|error| failed("set the mode of", path, error))
}

fn read(path: &Path) -> Result<Option<String>, StoreError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, error)),
    }
}

/// Writes a file (0600) so that it is there wholly or not at all, and stays after a power cut.
fn write(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let attempt = || -> io::Result<()> {
        let dir = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
        // Whatever the umask left of it.
        file.as_file()
            .set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(dir)?.sync_all()
    };
    attempt().map_err(|error| failed("write", path, error))
}

/// Makes `dir/name` a link to `target`, in one step where it was another link before.
fn link(dir: &Path, name: &str, target: &Path) -> Result<(), StoreError> {
    let path = dir.join(name);
    if fs::read_link(&path).is_ok_and(|there| there == target) {
        return Ok(());
    }
    let attempt = || -> io::Result<()> {
        let new = tempfile::Builder::new()
            .prefix(".new-")
            .make_in(dir, |new| symlink(target, new))?;
        new.into_temp_path().persist(&path)?;
        File::open(dir)?.sync_all()
    };
    attempt().map_err(|error| failed("write", &path, error))
}

fn sync_dir(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| failed("write", path, error))
}

fn lock_file(path: &Path) -> Result<File, StoreError> {
    let file = File::options()
        .mode(0o600)
        .create(true)
        .truncate(false)
        .write(true)
        .open(path);
    file.map_err(|error| failed("lock", path, error))
}

fn version_number(link: &Path) -> Option<u32> {
    link.file_name()?.to_str()?.parse().ok()
}

fn newest_version(versions: &Path) -> Result<u32, StoreError> {
    let entries = fs::read_dir(versions).map_err(|error| failed("read", versions, error))?;
    let numbers = entries
        .flatten()
        .filter_map(|entry| version_number(&entry.path()));
    Ok(numbers.max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::certificate::CertificateInfo;

    fn id() -> CertificateId {
        "web".parse().unwrap()
    }

    fn chain(mark: &str) -> Chain {
        Chain {
            certificate: format!("certificate {mark}\n"),
            intermediates: format!("intermediate {mark}\n"),
            info: CertificateInfo {
                names: vec!["example.com".into()],
                not_before: Timestamp::UNIX_EPOCH,
                not_after: Timestamp::UNIX_EPOCH,
                serial: "01".into(),
                issuer: "CN=x".into(),
            },
        }
    }

    fn mode_of(path: &Path) -> u32 {
        mode(path).unwrap()
    }

    #[tokio::test]
    async fn versions_are_kept_and_the_links_lead_to_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(&dir.path().join("state")).unwrap();
        store
            .put_certificate(&id(), &"key 1".into(), &chain("1"))
            .await
            .unwrap();
        let stored = store
            .put_certificate(&id(), &"key 2".into(), &chain("2"))
            .await
            .unwrap();
        assert_eq!(stored.version, 2);
        let read = |file: &str| fs::read_to_string(stored.path.join(file)).unwrap();
        assert_eq!(read(KEY), "key 2");
        assert_eq!(read(FULLCHAIN), "certificate 2\nintermediate 2\n");
        assert_eq!(read("versions/1/privkey.pem"), "key 1");
        let left: Vec<_> = fs::read_dir(&stored.path)
            .unwrap()
            .chain(fs::read_dir(stored.path.join(VERSIONS)).unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(".new-"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }

    #[tokio::test]
    async fn only_the_owner_can_read_keys_and_accounts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/state");
        let store = FileStore::open(&root).unwrap();
        store
            .put_account("https://ca.example/dir", &"{}".into())
            .await
            .unwrap();
        let stored = store
            .put_certificate(&id(), &"key".into(), &chain("1"))
            .await
            .unwrap();
        assert_eq!(mode_of(&root), 0o700);
        assert_eq!(mode_of(&root.join("accounts")), 0o700);
        assert_eq!(
            mode_of(&store.account_path("https://ca.example/dir")),
            0o600
        );
        assert_eq!(mode_of(&stored.path.join(KEY)), 0o600);
        assert_eq!(mode_of(&stored.path.join(VERSIONS).join("1")), 0o700);
    }

    #[tokio::test]
    async fn an_account_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(&dir.path().join("state")).unwrap();
        let url = "https://ca.example/dir";
        store.put_account(url, &"{}".into()).await.unwrap();
        set_mode(&store.account_path(url), 0o644).unwrap();
        let error = store.account(url).await.unwrap_err();
        assert!(
            matches!(error, StoreError::LooseMode { mode: 0o644, .. }),
            "{error}"
        );
    }

    #[tokio::test]
    async fn accounts_of_two_directories_do_not_meet() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(&dir.path().join("state")).unwrap();
        store
            .put_account("https://ca.example/a", &"1".into())
            .await
            .unwrap();
        store
            .put_account("https://ca.example/b", &"2".into())
            .await
            .unwrap();
        let one = store
            .account("https://ca.example/a")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(one.expose_secret(), "1");
        assert!(
            store
                .account("https://ca.example/c")
                .await
                .unwrap()
                .is_none()
        );
        let odd = store.account_path("https://../../etc/passwd");
        assert_eq!(odd.parent().unwrap(), store.root.join("accounts"));
    }

    #[tokio::test]
    async fn what_was_only_locked_is_no_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(&dir.path().join("state")).unwrap();
        drop(store.lock_certificate(&id(), false).await.unwrap());
        assert_eq!(store.certificates().await.unwrap(), []);
        store.put_settings(&id(), "").await.unwrap();
        assert_eq!(store.certificates().await.unwrap(), [id()]);
    }

    #[tokio::test]
    async fn a_certificate_has_one_worker_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(&dir.path().join("state")).unwrap();
        let held = store.lock_certificate(&id(), false).await.unwrap();
        let error = store.lock_certificate(&id(), false).await.unwrap_err();
        assert!(matches!(error, StoreError::Busy { .. }), "{error}");
        drop(held);
        assert!(store.lock_certificate(&id(), false).await.is_ok());
    }

    #[test]
    fn a_folder_that_others_can_change_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        set_mode(dir.path(), 0o777).unwrap();
        let error = FileStore::open(dir.path()).unwrap_err();
        assert!(
            matches!(error, StoreError::LooseMode { mode: 0o777, .. }),
            "{error}"
        );
        assert!(error.remedy().starts_with("chmod go-rwx"));
    }

    #[test]
    fn an_id_never_leads_out_of_its_folder() {
        for text in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            "a.b",
            "A",
            "-a",
            "a b",
            "a\0",
            &"a".repeat(101),
        ] {
            assert!(text.parse::<CertificateId>().is_err(), "{text:?}");
        }
        assert!("example-com_2".parse::<CertificateId>().is_ok());
    }
}
