//! Short work that only one process does at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::access::make_dir;
use super::errors::unavailable;
use crate::store::error::StoreError;
use crate::trusted::{self, Access, Links};

/// How long to wait before the lock is tried again, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// How long to try. The work under a lock takes milliseconds, unless its process is suspended.
const GIVE_UP_AFTER: Duration = Duration::from_mins(1);

/// Runs work on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            let error = io::Error::other(error);
            Err(unavailable("finish", Path::new("a file operation"), error))
        })
}

/// Runs work while the file `lock` is locked. The lock is tried again and again: a thread that
/// waited in the kernel could not be cancelled, and would delay the end of the process.
pub(super) async fn locked<T: Send + 'static>(
    lock: PathBuf,
    mut work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let began = Instant::now();
    let mut wait = FIRST_WAIT;
    // Dropped with this future. An attempt that is under way then must not do the work for nobody.
    let caller = Arc::new(());
    loop {
        let (path, caller) = (lock.clone(), Arc::downgrade(&caller));
        let attempt = blocking(move || match try_lock(&path)? {
            Some(_locked) if caller.strong_count() > 0 => work().map(Ok),
            _ => Ok(Err(work)),
        });
        work = match attempt.await? {
            Ok(result) => return Ok(result),
            Err(work) => work,
        };
        if began.elapsed() > GIVE_UP_AFTER {
            let error = io::Error::new(io::ErrorKind::TimedOut, "another process holds the lock");
            return Err(unavailable("lock", &lock, error));
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Locks a file until it is closed, and makes it and its folder if they do not exist; `None` if another process has locked it.
pub(super) fn try_lock(path: &Path) -> Result<Option<File>, StoreError> {
    let failed = |error| unavailable("lock", path, error);
    if let Some(folder) = path.parent() {
        make_dir(folder)?;
    }
    let file = trusted::open_in_place(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Whether some process has locked an existing file. Unknown counts as locked.
pub(super) fn is_locked(path: &Path) -> bool {
    match trusted::open(path, Access::Any, Links::Refused) {
        // Shared, so that two processes that test at once do not see each other.
        Ok(file) => file.try_lock_shared().is_err(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}
