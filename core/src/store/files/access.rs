//! Reading files and making folders, with the store's errors.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use super::atomic::sync_dir;
use super::errors::{damaged, is_missing, unavailable};
use crate::store::error::StoreError;

/// The permission bits of anyone but the owner, and those of them that let others change a file.
const OTHERS: u32 = 0o077;
const OTHERS_CHANGE: u32 = 0o022;

/// Makes a folder that only its owner can enter. One that exists must not let others write.
pub(super) fn make_dir(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        let mode = mode(path)?;
        return if mode & OTHERS_CHANGE == 0 {
            Ok(())
        } else {
            Err(insecure(path, mode))
        };
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        // Folders above the store's root are the system's: they get the usual mode.
        fs::create_dir_all(parent).map_err(|error| unavailable("make", parent, error))?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        // Another process was faster, with the same intent.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            return Ok(());
        }
        Err(error) => return Err(unavailable("make", path, error)),
    }
    set_mode(path, 0o700)?;
    match path.parent() {
        Some(parent) => sync_dir(parent),
        None => Ok(()),
    }
}

/// Fails if others can read or change a file.
pub(super) fn check_private(path: &Path) -> Result<(), StoreError> {
    let mode = mode(path)?;
    if mode & OTHERS == 0 {
        Ok(())
    } else {
        Err(insecure(path, mode))
    }
}

fn insecure(path: &Path, mode: u32) -> StoreError {
    StoreError::Insecure {
        location: path.display().to_string(),
        mode,
    }
}

pub(super) fn mode(path: &Path) -> Result<u32, StoreError> {
    let metadata = fs::metadata(path).map_err(|error| unavailable("read", path, error))?;
    Ok(metadata.permissions().mode() & 0o777)
}

pub(super) fn set_mode(path: &Path, mode: u32) -> Result<(), StoreError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|error| unavailable("set the mode of", path, error))
}

/// Reads a text file, if it exists.
pub(super) fn read(path: &Path) -> Result<Option<String>, StoreError> {
    if !check_file(path)? {
        return Ok(None);
    }
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Ok(None),
            io::ErrorKind::InvalidData => Err(damaged(path, &error)),
            _ => Err(unavailable("read", path, error)),
        },
    }
}

/// Whether a file exists. Fails if there is something else in its place: reading a FIFO would never
/// end.
pub(super) fn check_file(path: &Path) -> Result<bool, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(true),
        Ok(_) => Err(damaged(path, &"it is not a regular file")),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(unavailable("read", path, error)),
    }
}

/// Deletes a file, if it exists.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if !is_missing(&error) => Err(unavailable("delete", path, error)),
        _ => Ok(()),
    }
}
