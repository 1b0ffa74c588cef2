//! Ledgers in files for tests.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::TryStreamExt;
use tempfile::TempDir;

use super::folder::Folder;
use super::ledger::FileLedger;
use super::verify::Verification;
use crate::clock::{Clock, SystemClock};
use crate::ledger::{Ledger, Line, RunId};
use crate::testkit::ManualClock;

/// The folder of a ledger, in one that is removed with everything in it.
pub(super) struct Temporary {
    _outer: TempDir,
    path: PathBuf,
}

impl Temporary {
    pub(super) fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("ledger");
        fs::create_dir(&path).unwrap();
        Temporary {
            _outer: outer,
            path,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens the ledger as another process would.
pub(super) async fn open(folder: &Path) -> FileLedger {
    FileLedger::open(folder, Arc::new(SystemClock))
        .await
        .unwrap()
}

pub(super) async fn open_at(folder: &Path, clock: &Arc<ManualClock>) -> FileLedger {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    FileLedger::open(folder, clock).await.unwrap()
}

pub(super) fn clock(now: &str) -> Arc<ManualClock> {
    Arc::new(ManualClock::new(now.parse().unwrap()))
}

pub(super) fn run() -> RunId {
    "20261125t060000z-1".parse().unwrap()
}

pub(super) async fn verify(folder: &Path) -> Verification {
    FileLedger::open_read_only(folder).verify().await.unwrap()
}

pub(super) async fn lines(folder: &Path) -> Vec<Line> {
    let ledger = FileLedger::open_read_only(folder);
    ledger.lines().try_collect().await.unwrap()
}

pub(super) async fn open_texts(ledger: &dyn Ledger) -> Vec<String> {
    let open = ledger.open_values().await.unwrap().into_iter();
    open.map(|open| open.value.as_str().to_owned()).collect()
}

pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let months = Folder::new(folder).months().unwrap();
    months.iter().map(|month| folder.join(month)).collect()
}

pub(super) fn only_file(folder: &Path) -> PathBuf {
    let [file] = files(folder).try_into().unwrap();
    file
}

pub(super) fn append(path: &Path, octets: &[u8]) {
    let mut file = fs::File::options().append(true).open(path).unwrap();
    file.write_all(octets).unwrap();
}
