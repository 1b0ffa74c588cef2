//! Runs, and whether they are alive: a lock that ends with the process, however that ends.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::LedgerError;
use super::file::{make_dir, open_private};

/// One run of the program: when it began, and a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// An id that no other run has.
    #[expect(clippy::new_without_default, reason = "no two are alike")]
    pub fn new() -> Self {
        let began = Timestamp::now().strftime("%Y%m%dt%H%M%Sz");
        RunId(format!("{began}-{:08x}", rand::random::<u32>()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is read from a ledger becomes part of a path, so that it is checked.
impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=40).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(RunId(text.to_owned()));
        }
        Err(format!("`{}` is no id of a run", text.escape_debug()))
    }
}

impl TryFrom<String> for RunId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.0
    }
}

fn lock_path(folder: &Path, run: &RunId) -> PathBuf {
    folder.join("runs").join(run.as_str())
}

/// Lets the run count as alive for as long as the file is open.
pub(super) fn declare(folder: &Path, run: &RunId) -> Result<File, LedgerError> {
    make_dir(&folder.join("runs"))?;
    let path = lock_path(folder, run);
    let file = open_private(&path)?;
    file.lock()
        .map_err(|error| LedgerError::new(&path, "locked", &error))?;
    Ok(file)
}

/// Waits until nobody holds the lock of the run, in the ledger in `folder`. It blocks its thread.
pub fn wait_for_end(folder: &Path, run: &RunId) -> Result<(), LedgerError> {
    let path = lock_path(folder, run);
    if !path.exists() {
        return Ok(());
    }
    open_private(&path)?
        .lock()
        .map_err(|error| LedgerError::new(&path, "locked", &error))
}

/// Whether somebody holds the lock of the run, in the ledger in `folder`. That of a dead one is removed.
pub fn is_alive(folder: &Path, run: &RunId) -> Result<bool, LedgerError> {
    let path = lock_path(folder, run);
    if !path.exists() {
        return Ok(false);
    }
    match open_private(&path)?.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(LedgerError::new(&path, "locked", &error)),
        Ok(()) => {
            // Nobody will ever take it again; where removing fails, it is looked at once more.
            let _ = std::fs::remove_file(&path);
            Ok(false)
        }
    }
}
