//! The folder of the ledger and the files in it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::ledger::error::{LedgerAction, LedgerError};
use crate::trusted::{self, Access, Links, Untrusted};

/// The longest line, in octets, with its end.
pub(super) const LINE_MAX: usize = 1 << 20;

/// The folder of a ledger.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Folder(path.to_owned())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes the folder, for its owner only, if it does not exist.
    pub(super) fn create(&self) -> Result<(), LedgerError> {
        let path = &self.0;
        let created = match DirBuilder::new().mode(0o700).create(path) {
            // Regardless of the umask.
            Ok(()) => File::open(path).and_then(|folder| trusted::make_private(folder, 0o700)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.check(),
            Err(error) => Err(error),
        };
        created.map_err(|error| unavailable(LedgerAction::Open, path, error))
    }

    /// Fails if others own the folder or can write in it.
    fn check(&self) -> io::Result<()> {
        trusted::check_folder(&self.0, Links::Refused)
    }

    /// Opens the file on which processes lock each other out.
    pub(super) fn open_lock(&self) -> Result<File, LedgerError> {
        let path = self.file(".lock");
        trusted::open_in_place(&path).map_err(|error| unavailable(LedgerAction::Open, &path, error))
    }

    /// Opens a file for reading.
    pub(super) fn open(&self, name: &str) -> io::Result<File> {
        trusted::open(&self.file(name), Access::Unchangeable, Links::Refused)
    }

    /// Opens a file for writing, and makes it if it does not exist.
    pub(super) fn open_in_place(&self, name: &str) -> io::Result<File> {
        trusted::open_in_place(&self.file(name))
    }

    /// Removes what older versions left: a lock for each run, and the lock of the export. A lock that a
    /// process of such a version holds stays, and so does anything that cannot be removed.
    pub(super) fn remove_old_locks(&self) {
        let runs = self.file("runs");
        let entries = fs::read_dir(&runs).into_iter().flatten().flatten();
        let locks = entries.map(|entry| entry.path());
        for path in locks.chain([self.file(".export.lock")]) {
            let opened = trusted::open(&path, Access::Any, Links::Refused);
            let is_stale = opened.is_ok_and(|file| file.try_lock().is_ok());
            if is_stale {
                let _ = fs::remove_file(path);
            }
        }
        let _ = fs::remove_dir(runs);
    }

    /// The names of the files with lines, oldest first. There are none if the folder does not exist.
    pub(super) fn months(&self) -> Result<Vec<String>, LedgerError> {
        let failed = |error: io::Error| unavailable(LedgerAction::Read, &self.0, error);
        let entries = match self.check().and_then(|()| fs::read_dir(&self.0)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut months = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            months.extend(
                name.to_str()
                    .filter(|name| is_month(name))
                    .map(str::to_owned),
            );
        }
        months.sort();
        Ok(months)
    }

    /// The length of a file in octets; zero if it does not exist.
    pub(super) fn length(&self, name: &str) -> Result<u64, LedgerError> {
        let path = self.file(name);
        match fs::symlink_metadata(&path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(unavailable(LedgerAction::Read, &path, error)),
        }
    }
}

/// The file with the lines of the month of this time (UTC).
pub(super) fn month(time: Timestamp) -> String {
    format!("{}.jsonl", time.strftime("%Y-%m"))
}

fn is_month(name: &str) -> bool {
    let is_number = |text: &str, digits| {
        text.len() == digits && text.bytes().all(|octet| octet.is_ascii_digit())
    };
    name.strip_suffix(".jsonl")
        .and_then(|month| month.split_once('-'))
        .is_some_and(|(year, month)| is_number(year, 4) && is_number(month, 2))
}

/// The file system's error at this path. A file or folder that was refused is named itself.
pub(super) fn unavailable(action: LedgerAction, path: &Path, error: io::Error) -> LedgerError {
    if let Some(untrusted) = Untrusted::in_error(&error) {
        return LedgerError::Untrusted(untrusted.clone());
    }
    LedgerError::Unavailable {
        action,
        location: path.display().to_string(),
        source: Arc::new(error),
    }
}
