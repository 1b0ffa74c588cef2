//! What killed processes and earlier versions of the program left behind.

use std::fs;
use std::path::Path;

use super::access::remove;
use super::errors::{is_missing, unavailable};
use super::layout::{CERTIFICATE, KEY, Layout, NEW, OLD_LOCK};
use super::lock::is_locked;
use crate::store::error::StoreError;

/// Deletes what is left in the folders of a store. Certificates clean up their own folders.
pub(super) fn sweep(layout: &Layout) -> Result<(), StoreError> {
    remove_unfinished(&layout.root())?;
    remove_unfinished(&layout.accounts())?;
    remove_lock(&layout.accounts().join(OLD_LOCK))?;
    remove(&layout.old_notes())?;
    remove_lock(&layout.old_notes_lock())?;
    remove_run_locks(&layout.old_run_locks())
}

/// Deletes files, folders and links that were being written when their process ended.
pub(super) fn remove_unfinished(folder: &Path) -> Result<(), StoreError> {
    let entries = fs::read_dir(folder).map_err(|error| unavailable("read", folder, error))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(NEW.as_bytes()) {
            continue;
        }
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            remove_unfinished_version(&path)?;
        } else if !kind.is_file() || !is_locked(&path) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// A process that writes a version holds the lock of its key, or of its certificate if only others have the key.
fn remove_unfinished_version(path: &Path) -> Result<(), StoreError> {
    let key = path.join(KEY);
    if is_locked(&key) || is_locked(&path.join(CERTIFICATE)) {
        return Ok(());
    }
    remove(&key)?;
    match fs::remove_dir_all(path) {
        Err(error) if !is_missing(&error) => Err(unavailable("delete", path, error)),
        _ => Ok(()),
    }
}

/// Deletes a lock file that no process has locked.
pub(super) fn remove_lock(path: &Path) -> Result<(), StoreError> {
    // Most often there is none, and nothing to open.
    if path.symlink_metadata().is_err() || is_locked(path) {
        return Ok(());
    }
    remove(path)
}

/// The folder stays: a process of an earlier version may be about to make its file in it.
fn remove_run_locks(folder: &Path) -> Result<(), StoreError> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        remove_lock(&entry.path())?;
    }
    Ok(())
}
