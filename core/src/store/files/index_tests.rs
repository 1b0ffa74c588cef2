//! Tests of the index: whatever happens to the files, it equals what reading every certificate
//! gives.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::TempDir;

use super::fingerprint::file_system_time;
use super::index::{Found, index, is_anything, read};
use super::index_log::{IndexLog, State};
use super::layout::{Layout, VERSIONS};
use super::{FileStore, FileStoreOptions};
use crate::certificate::Chain;
use crate::store::{
    CertificateId, IndexEntry, IndexedStatus, IndexedVersion, KeyAccess, NewVersion, Store,
    VersionOrigin,
};
use crate::testkit::store::version;

const IDS: [&str; 3] = ["a", "b", "c"];

/// Something that happens to a store.
#[derive(Clone, Debug)]
enum Event {
    Put(usize),
    PutSettings(usize),
    PutOrder(usize),
    RemoveOrder(usize),
    MarkDeployed(usize),
    DeleteFolder(usize),
    DeleteFile(usize, &'static str),
    OverwriteCertificate(usize),
    MoveAside(usize),
    MoveBack(usize),
    Swap(usize, usize),
    TruncateLog(Index),
    FlipInLog(Index),
    AppendToLog(Vec<u8>),
    DeleteLog,
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let id = || 0..IDS.len();
    let file = prop_oneof![
        Just("settings.toml"),
        Just("deployed"),
        Just("current"),
        Just("current/cert.pem"),
        Just("current/privkey.pem"),
        Just("current/version.json"),
    ];
    prop_oneof![
        4 => id().prop_map(Event::Put),
        1 => id().prop_map(Event::PutSettings),
        1 => id().prop_map(Event::PutOrder),
        1 => id().prop_map(Event::RemoveOrder),
        2 => id().prop_map(Event::MarkDeployed),
        1 => id().prop_map(Event::DeleteFolder),
        2 => (id(), file).prop_map(|(id, file)| Event::DeleteFile(id, file)),
        1 => id().prop_map(Event::OverwriteCertificate),
        1 => id().prop_map(Event::MoveAside),
        1 => id().prop_map(Event::MoveBack),
        1 => (id(), id()).prop_map(|(one, other)| Event::Swap(one, other)),
        1 => any::<Index>().prop_map(Event::TruncateLog),
        1 => any::<Index>().prop_map(Event::FlipInLog),
        1 => any::<Vec<u8>>().prop_map(Event::AppendToLog),
        1 => Just(Event::DeleteLog),
        1 => Just(Event::Restart),
    ]
}

/// A chain, made once because that takes a while.
static CHAIN: LazyLock<Chain> = LazyLock::new(|| {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    version("example.com", now, "").unwrap().chain
});

fn id(number: usize) -> CertificateId {
    IDS[number].parse().unwrap()
}

struct Subject {
    temporary: TempDir,
    store: FileStore,
    layout: Layout,
}

impl Subject {
    async fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        Subject {
            store: open(temporary.path()).await,
            layout: Layout::new(temporary.path()),
            temporary,
        }
    }

    fn folder(&self, number: usize) -> PathBuf {
        self.layout.certificate(&id(number))
    }

    fn aside(&self, number: usize) -> PathBuf {
        self.temporary.path().join(format!("aside-{number}"))
    }

    /// Events that meet no file to happen to do nothing.
    async fn happens(&mut self, event: &Event) {
        let log = self.layout.index_log();
        match event {
            Event::Put(number) => {
                let version = NewVersion {
                    key: Some("key".into()),
                    chain: CHAIN.clone(),
                    origin: VersionOrigin::default(),
                    access: KeyAccess::default(),
                };
                // A folder in the place of `current` is one of the damages that stay.
                let _ = self.store.put_certificate(&id(*number), version).await;
            }
            Event::PutSettings(number) => {
                self.store.put_settings(&id(*number), "").await.unwrap();
            }
            Event::PutOrder(number) => {
                let order = "{}".into();
                self.store.put_order(&id(*number), &order).await.unwrap();
            }
            Event::RemoveOrder(number) => self.store.remove_order(&id(*number)).await.unwrap(),
            Event::MarkDeployed(number) => {
                if let Ok(Some(stored)) = self.store.certificate(&id(*number)).await {
                    let marked = self.store.mark_deployed(&stored.id, stored.version).await;
                    marked.unwrap();
                }
            }
            Event::DeleteFolder(number) => drop(fs::remove_dir_all(self.folder(*number))),
            Event::DeleteFile(number, file) => {
                drop(fs::remove_file(self.folder(*number).join(file)));
            }
            Event::OverwriteCertificate(number) => {
                let path = self.folder(*number).join("current/cert.pem");
                if path.exists() {
                    fs::write(path, "x").unwrap();
                }
            }
            Event::MoveAside(number) => {
                drop(fs::rename(self.folder(*number), self.aside(*number)));
            }
            Event::MoveBack(number) => {
                drop(fs::rename(self.aside(*number), self.folder(*number)));
            }
            Event::Swap(one, other) => self.swap(*one, *other),
            Event::TruncateLog(at) => self.change_log(|log| log.truncate(at.index(log.len()))),
            Event::FlipInLog(at) => self.change_log(|log| {
                let at = at.index(log.len());
                log[at] ^= 1;
            }),
            Event::AppendToLog(bytes) => self.change_log(|log| log.extend(bytes)),
            Event::DeleteLog => drop(fs::remove_file(log)),
            Event::Restart => self.store = open(self.temporary.path()).await,
        }
    }

    fn change_log(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.layout.index_log();
        let mut log = fs::read(&path).unwrap_or_default();
        if !log.is_empty() {
            change(&mut log);
            fs::write(path, log).unwrap();
        }
    }

    fn swap(&self, one: usize, other: usize) {
        let between = self.temporary.path().join("between");
        let folders = [self.folder(one), self.folder(other)].map(|folder| folder.join(VERSIONS));
        if one != other && folders.iter().all(|folder| folder.exists()) {
            fs::rename(&folders[0], &between).unwrap();
            fs::rename(&folders[1], &folders[0]).unwrap();
            fs::rename(&between, &folders[1]).unwrap();
        }
    }

    fn read_everything(&self) -> Vec<Comparable> {
        let ids = (0..IDS.len()).map(id);
        ids.filter_map(|id| {
            let folder = self.layout.certificate(&id);
            is_anything(read(id, &folder)).map(comparable)
        })
        .collect()
    }
}

async fn open(root: &Path) -> FileStore {
    let options = FileStoreOptions::default();
    FileStore::open(root, options).await.unwrap()
}

type Comparable = (
    String,
    bool,
    bool,
    Option<Result<IndexedVersion, &'static str>>,
);

fn comparable(entry: IndexEntry) -> Comparable {
    (
        entry.id.to_string(),
        entry.has_settings,
        entry.has_order,
        entry.current.map(|current| current.map_err(|_| "damaged")),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_index_equals_what_reading_every_certificate_gives(
        events in proptest::collection::vec(event(), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut subject = Subject::new().await;
            for event in events {
                subject.happens(&event).await;
                let index = subject.store.index().await.unwrap();
                let index: Vec<_> = index.into_iter().map(comparable).collect();
                prop_assert_eq!(index, subject.read_everything(), "after {:?}", event);
            }
            Ok(())
        })?;
    }
}

/// A time after every change that a test makes.
const LATER: Option<i128> = Some(i128::MAX / 2);

fn look_up(layout: &Layout, log: &IndexLog, now: Option<i128>) -> Found {
    let mut found = Found::default();
    found.look_up(layout, log, &id(0), now);
    assert_eq!(found.index.len(), 1);
    found
}

#[tokio::test]
async fn a_certificate_that_did_not_change_is_not_read_again() {
    let mut subject = Subject::new().await;
    subject.happens(&Event::Put(0)).await;
    let layout = &subject.layout;
    let mut found = look_up(layout, &IndexLog::default(), LATER);
    // The log says something else than the folder, and is believed.
    let (_, state) = &mut found.lines[0];
    state.current.as_mut().unwrap().not_after = 7;
    let Found { index, lines } = found;
    IndexLog::default().write(layout, &index, lines).unwrap();
    let mut found = look_up(layout, &IndexLog::read(&layout.index_log()), LATER);
    assert!(found.lines.is_empty());
    let version = found.index.remove(0).current.unwrap().unwrap();
    assert_eq!(version.not_after.as_second(), 7);
}

#[tokio::test]
async fn a_certificate_that_just_changed_is_not_logged() {
    let mut subject = Subject::new().await;
    let just_now = file_system_time(&subject.layout.index_lock()).ok();
    subject.happens(&Event::Put(0)).await;
    let found = look_up(&subject.layout, &IndexLog::default(), just_now);
    assert!(found.lines.is_empty());
}

#[tokio::test]
async fn many_certificates_are_looked_up_by_several_threads() {
    let subject = Subject::new().await;
    let ids: Vec<CertificateId> = (0..2001)
        .map(|number| format!("host-{number:04}").parse().unwrap())
        .collect();
    for id in &ids {
        let folder = subject.layout.certificate(id);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("settings.toml"), "").unwrap();
    }
    for _ in 0..2 {
        let index = subject.store.index().await.unwrap();
        let found: Vec<_> = index.into_iter().map(|entry| entry.id).collect();
        assert_eq!(found, ids);
    }
}

#[tokio::test]
async fn the_log_does_not_grow_without_end() {
    let subject = Subject::new().await;
    let path = subject.layout.index_log();
    let index: Vec<_> = [0, 1]
        .map(|number| read(id(number), Path::new("/nowhere")))
        .into();
    let state = |fingerprint| State {
        fingerprint,
        has_settings: false,
        has_order: true,
        status: IndexedStatus::default(),
        current: None,
    };
    let write = |new: &[(usize, u64)]| {
        let new = new
            .iter()
            .map(|(number, round)| (id(*number), state(*round)));
        let written = IndexLog::read(&path).write(&subject.layout, &index, new.collect());
        written.unwrap();
    };
    // The last one is of a certificate that is not in the index.
    write(&[(0, 0), (2, 0)]);
    let mut longest = 0;
    for round in 0..1500 {
        write(&[(1, round)]);
        longest = longest.max(fs::read_to_string(&path).unwrap().lines().count());
    }
    assert!((1000..1010).contains(&longest), "{longest}");
    let log = IndexLog::read(&path);
    let states = [0, 1, 2].map(|number| log.state(&id(number)).copied());
    assert_eq!(states, [Some(state(0)), Some(state(1499)), None]);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_no_error() {
    let mut subject = Subject::new().await;
    subject.happens(&Event::Put(0)).await;
    for file in [subject.layout.index_log(), subject.layout.index_lock()] {
        fs::create_dir(file).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(index(&subject.layout).unwrap().len(), 1);
    }
}
