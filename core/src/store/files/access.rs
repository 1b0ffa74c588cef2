//! Reading files and making folders, with the store's errors.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
#[cfg(test)]
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::atomic::sync_dir;
use super::errors::{damaged, is_missing, unavailable};
use crate::store::error::StoreError;
use crate::trusted::{self, Access, Distrust, Links, Untrusted};

/// No file of the store is larger: that of the alias names grows with their number.
const SIZE_MAX: u64 = 256 << 20;

/// Makes a folder that only its owner can enter. One that exists must be ours, and must not let others write.
pub(super) fn make_dir(path: &Path) -> Result<(), StoreError> {
    if check_dir(path, Links::Refused)? {
        return Ok(());
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        // Another process was faster, with the same intent.
        Err(error)
            if error.kind() == io::ErrorKind::AlreadyExists && check_dir(path, Links::Refused)? =>
        {
            return Ok(());
        }
        Err(error) => return Err(unavailable("make", path, error)),
    }
    close(path)?;
    match path.parent() {
        Some(parent) => sync_dir(parent),
        None => Ok(()),
    }
}

/// The same for the root of a store, which may be a link.
pub(super) fn make_root(path: &Path) -> Result<(), StoreError> {
    if check_dir(path, Links::Followed)? {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        // Folders above the store's root are the system's: they get the usual mode.
        fs::create_dir_all(parent).map_err(|error| unavailable("make", parent, error))?;
    }
    make_dir(path)
}

/// Whether a folder exists. Fails if others own it or can write in it.
pub(super) fn check_dir(path: &Path, links: Links) -> Result<bool, StoreError> {
    match trusted::check_folder(path, links) {
        Ok(()) => Ok(true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => match Untrusted::in_error(&error) {
            // A file is not a certificate.
            Some(untrusted) if untrusted.reason == Distrust::NotAFolder => Ok(false),
            _ => Err(unavailable("read", path, error)),
        },
    }
}

#[cfg(test)]
pub(super) fn mode(path: &Path) -> Result<u32, StoreError> {
    let metadata = fs::metadata(path).map_err(|error| unavailable("read", path, error))?;
    Ok(metadata.permissions().mode() & 0o777)
}

#[cfg(test)]
pub(super) fn set_mode(path: &Path, mode: u32) -> Result<(), StoreError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|error| unavailable("set the mode of", path, error))
}

/// Lets nobody but the owner enter a folder.
pub(super) fn close(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|folder| trusted::make_private(folder, 0o700))
        .map_err(|error| unavailable("set the mode of", path, error))
}

/// Reads a text file, if it exists.
pub(super) fn read(path: &Path) -> Result<Option<String>, StoreError> {
    read_text(path, Access::Unchangeable)
}

/// Reads a text file that nobody else may read, if it exists.
pub(super) fn read_private(path: &Path) -> Result<Option<String>, StoreError> {
    read_text(path, Access::Private)
}

fn read_text(path: &Path, access: Access) -> Result<Option<String>, StoreError> {
    match read_octets(path, access)? {
        Some(content) => match String::from_utf8(content) {
            Ok(text) => Ok(Some(text)),
            Err(error) => Err(damaged(path, &error)),
        },
        None => Ok(None),
    }
}

/// Reads a file, if it exists. Fails at once if there is something else in its place.
pub(super) fn read_octets(path: &Path, access: Access) -> Result<Option<Vec<u8>>, StoreError> {
    match trusted::read(path, access, Links::Refused, SIZE_MAX) {
        Ok(read) => Ok(Some(read.content)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(refused("read", path, error)),
    }
}

/// Whether a file exists. Fails if there is something else in its place, or if others own or can change it.
pub(super) fn check_file(path: &Path) -> Result<bool, StoreError> {
    let checked = path
        .symlink_metadata()
        .and_then(|metadata| Ok(trusted::check_file_at(path, &metadata)?));
    match checked {
        Ok(()) => Ok(true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(refused("read", path, error)),
    }
}

/// What is not a file was not written by us: it is damage.
fn refused(action: &'static str, path: &Path, error: io::Error) -> StoreError {
    match Untrusted::in_error(&error) {
        Some(Untrusted {
            reason: Distrust::NotAFile,
            ..
        }) => damaged(path, &"it is not a regular file"),
        _ => unavailable(action, path, error),
    }
}

/// Deletes a file, if it exists.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if !is_missing(&error) => Err(unavailable("delete", path, error)),
        _ => Ok(()),
    }
}
