//! The turns of programs that must not run twice at the same time: one after the other, in all processes.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::provider::Shared;
use acme_alias_core::trusted;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

/// How often a lock that another process has is tried.
const INTERVAL: Duration = Duration::from_millis(50);

/// Where the locks of root are: not in `/run/acme-alias`, which systemd gives to the user of the unit. Every user who can
/// read a program could hold a lock on the program itself for ever.
const LOCKS: &str = "/run/acme-alias-locks";

/// By the path of the program.
static PROGRAMS: Shared<PathBuf, Mutex<()>> = Shared::new();

/// A turn, which ends when it is dropped.
///
/// Other processes are kept out by a lock (flock(2)): on a file of root for this program, or else on the program's own file.
/// The program gets the open file as its standard input: if this process is killed, the lock lasts until the program has
/// ended as well.
#[derive(Debug)]
pub(crate) struct Turn {
    file: Option<Arc<File>>,
    _guard: OwnedMutexGuard<()>,
}

impl Turn {
    /// Waits for a turn; `None` if there was none within `limit`.
    pub(crate) async fn at(program: &Path, limit: Duration) -> Option<Turn> {
        let deadline = Instant::now() + limit;
        let lock = PROGRAMS.get_or_make(program.to_owned(), Mutex::default);
        let guard = timeout_at(deadline, lock.lock_owned()).await.ok()?;
        let file = match open(program) {
            Ok(file) => file,
            Err(error) => {
                debug!(program = %program.display(), %error, "no lock");
                return Some(Turn {
                    file: None,
                    _guard: guard,
                });
            }
        };
        while let Err(error) = file.try_lock() {
            if let std::fs::TryLockError::Error(error) = error {
                debug!(program = %program.display(), %error, "no lock");
                break;
            }
            if Instant::now() >= deadline {
                return None;
            }
            // Another process has the lock. Waiting for it would block a thread for ever.
            sleep(INTERVAL).await;
        }
        Some(Turn {
            file: Some(Arc::new(file)),
            _guard: guard,
        })
    }

    /// The locked file, positioned at its end: a program that reads it finds nothing.
    pub(crate) fn file(&self) -> Option<Arc<File>> {
        self.file.clone()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // What the program left running has the file as well, and must not keep the lock.
        if let Some(file) = &self.file {
            let _ = file.unlock();
        }
    }
}

/// The file that is locked for a program. One that is named without a path has none here.
fn open(program: &Path) -> io::Result<File> {
    if program.components().count() < 2 {
        return Err(ErrorKind::NotFound.into());
    }
    let mut file = File::open(program)?;
    if let Ok(private) = open_private(&file) {
        return Ok(private);
    }
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

/// A file for an open program that nobody else can open; an error unless this is root.
fn open_private(program: &File) -> io::Result<File> {
    let metadata = program.metadata()?;
    match DirBuilder::new().mode(0o700).create(LOCKS) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    trusted::open_folder(Path::new(LOCKS), None)?;
    let name = format!("{:x}-{:x}.lock", metadata.dev(), metadata.ino());
    trusted::open_in_place(&Path::new(LOCKS).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(120);
    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_lock_of_another_process_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, "text").unwrap();
        // A lock belongs to what was opened, not to the process.
        let other = open(&path).unwrap();
        other.lock().unwrap();
        assert!(Turn::at(&path, SHORT).await.is_none());
        other.unlock().unwrap();
        let turn = Turn::at(&path, LONG).await.unwrap();
        assert!(turn.file().is_some());
        assert!(other.try_lock().is_err());
        assert!(Turn::at(&path, SHORT).await.is_none());
        drop(turn);
        other.try_lock().unwrap();
    }

    #[tokio::test]
    async fn a_program_in_path_has_turns_without_a_file() {
        let turn = Turn::at(Path::new("systemctl"), LONG).await.unwrap();
        assert!(turn.file().is_none());
        assert!(Turn::at(Path::new("systemctl"), SHORT).await.is_none());
    }
}
