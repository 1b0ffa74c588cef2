//! Appending to the ledger's files.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::line::{Entry, Event, Line};
use super::run::RunId;
use super::{LedgerError, read};

/// Appends lines, one process at a time.
#[derive(Debug)]
pub(super) struct Writer {
    folder: PathBuf,
    lock: File,
    /// As it was when we wrote last.
    tail: Option<Tail>,
}

/// The end of the newest file.
#[derive(Clone, Debug)]
struct Tail {
    path: PathBuf,
    /// Where its last whole line ends.
    length: u64,
    /// The number of the last line that can be read, and its hash.
    sequence: u64,
    hash: String,
}

impl Writer {
    pub(super) fn open(folder: &Path) -> Result<Self, LedgerError> {
        make_dir(folder)?;
        Ok(Writer {
            lock: open_private(&folder.join(".lock"))?,
            folder: folder.to_owned(),
            tail: None,
        })
    }

    /// Appends the entries; they are on the disk afterwards if one of them is an intent.
    pub(super) fn append(&mut self, run: &RunId, entries: Vec<Entry>) -> Result<(), LedgerError> {
        let path = self.folder.join(".lock");
        self.lock
            .lock()
            .map_err(|error| LedgerError::new(&path, "locked", &error))?;
        let appended = self.append_locked(run, entries);
        if appended.is_err() {
            // What is in the file is looked at anew.
            self.tail = None;
        }
        self.lock
            .unlock()
            .map_err(|error| LedgerError::new(&path, "unlocked", &error))?;
        appended
    }

    fn append_locked(&mut self, run: &RunId, entries: Vec<Entry>) -> Result<(), LedgerError> {
        let durable = entries.iter().any(|entry| entry.event == Event::Intent);
        let now = Timestamp::now();
        let tail = self.current_tail(now)?;
        let failed =
            |error: &dyn ToString| LedgerError::new(&tail.path, "written", &error.to_string());
        let (mut sequence, mut previous) = (tail.sequence, tail.hash.clone());
        let mut text = Vec::new();
        for entry in entries {
            // Beyond it there is only what somebody else has written.
            sequence = u64::saturating_add(sequence, 1);
            let line = Line {
                sequence,
                time: now,
                run: run.clone(),
                entry,
                previous,
                hash: String::new(),
            };
            let line = line.sealed().map_err(|error| failed(&error))?;
            serde_json::to_writer(&mut text, &line).map_err(|error| failed(&error))?;
            text.push(b'\n');
            previous = line.hash;
        }
        write(&tail, &text, durable).map_err(|error| failed(&error))?;
        self.tail = Some(Tail {
            length: tail.length + text.len() as u64,
            sequence,
            hash: previous,
            ..tail
        });
        Ok(())
    }

    /// Where the next line goes, and what it follows. Other processes may have written meanwhile.
    fn current_tail(&self, now: Timestamp) -> Result<Tail, LedgerError> {
        let of_month = self.folder.join(format!("{}.jsonl", now.strftime("%Y-%m")));
        // A clock that went back must not put a line before its predecessor.
        let path = match read::files(&self.folder)?.pop() {
            Some(newest) => newest.max(of_month),
            None => of_month,
        };
        let length = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if let Some(tail) = &self.tail
            && tail.path == path
            && tail.length == length
        {
            return Ok(tail.clone());
        }
        let (sequence, hash) = match read::last_line(&self.folder)? {
            Some(line) => (line.sequence, line.hash),
            None => (0, String::new()),
        };
        Ok(Tail {
            length: read::whole_length(&path)?,
            path,
            sequence,
            hash,
        })
    }
}

fn write(tail: &Tail, text: &[u8], durable: bool) -> io::Result<()> {
    let mut file = File::options()
        .mode(0o600)
        .create(true)
        .truncate(false)
        .write(true)
        .open(&tail.path)?;
    // Whatever the umask left of it.
    file.set_permissions(Permissions::from_mode(0o600))?;
    // The rest of a line that a crash, or a full disk, cut off was never believed by anybody.
    file.set_len(tail.length)?;
    file.seek(SeekFrom::Start(tail.length))?;
    file.write_all(text)?;
    if durable {
        file.sync_data()?;
    }
    if tail.length == 0
        && let Some(folder) = tail.path.parent()
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Makes a folder that only its owner can enter.
pub(super) fn make_dir(path: &Path) -> Result<(), LedgerError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(|error| LedgerError::new(path, "made", &error)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(LedgerError::new(path, "made", &error)),
    }
}

/// Opens or makes a file that only its owner can read.
pub(super) fn open_private(path: &Path) -> Result<File, LedgerError> {
    File::options()
        .mode(0o600)
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| LedgerError::new(path, "opened", &error))
}
