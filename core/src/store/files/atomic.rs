//! Files and links that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::Path;

use super::errors::unavailable;
use super::layout::NEW;
use crate::store::error::StoreError;
use crate::trusted;

/// Writes a file (0600) in one step, so that it survives a power cut.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    replace(path, dir, content, File::sync_all)
        .and_then(|()| trusted::sync_folder(dir))
        .map_err(|error| unavailable("write", path, error))
}

/// Writes a file (0600) in one step. It may be lost or damaged by a power cut.
pub(super) fn write_unsynced(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    replace(path, dir, content, |_| Ok(())).map_err(|error| unavailable("write", path, error))
}

fn replace(
    path: &Path,
    dir: &Path,
    content: &[u8],
    sync: fn(&File) -> io::Result<()>,
) -> io::Result<()> {
    match try_replace(path, dir, content, sync) {
        // Another process may have deleted the new file before it was locked.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            try_replace(path, dir, content, sync)
        }
        result => result,
    }
}

fn try_replace(
    path: &Path,
    dir: &Path,
    content: &[u8],
    sync: fn(&File) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(NEW).tempfile_in(dir)?;
    // The lock tells others that the file is in use; without it they may delete it.
    let _ = file.as_file().try_lock();
    // Whatever the umask left of it.
    trusted::make_private(file.as_file(), 0o600)?;
    file.write_all(content)?;
    sync(file.as_file())?;
    file.persist(path)?;
    Ok(())
}

/// Writes a new file (0600) in a folder that only this process uses yet, and returns it open.
pub(super) fn write_new(path: &Path, content: &[u8]) -> Result<File, StoreError> {
    let attempt = || -> io::Result<File> {
        let mut file = File::options().create_new(true).write(true).open(path)?;
        trusted::make_private(&file, 0o600)?;
        file.write_all(content)?;
        file.sync_all()?;
        Ok(file)
    };
    attempt().map_err(|error| unavailable("write", path, error))
}

/// Makes `dir/name` a link to `target`, in one step if it is another link now. The caller syncs
/// `dir`.
pub(super) fn link(dir: &Path, name: &str, target: &Path) -> Result<(), StoreError> {
    let path = dir.join(name);
    if fs::read_link(&path).is_ok_and(|current| current == target) {
        return Ok(());
    }
    let attempt = || -> io::Result<()> {
        let new = tempfile::Builder::new()
            .prefix(NEW)
            .make_in(dir, |new| symlink(target, new))?;
        new.into_temp_path().persist(&path)?;
        Ok(())
    };
    attempt().map_err(|error| unavailable("write", &path, error))
}

/// Makes the names in a folder survive a power cut.
pub(super) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    trusted::sync_folder(path).map_err(|error| unavailable("write", path, error))
}
