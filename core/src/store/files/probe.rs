//! Whether the file system can do what storing a certificate takes.

use std::fs;
use std::io;
use std::path::Path;

use super::access::check_file;
use super::atomic::{write, write_new};
use super::errors::{is_missing, unavailable};
use crate::store::error::StoreError;

/// More octets than an account, an order, a version and the lines of the ledger take, each in blocks of its own.
const ROOM: usize = 64 << 10;

/// Does in a folder what is done later: makes files, locks one, replaces one, renames a folder, and waits until all of
/// it is on the disk. Fails if others could change what is made. Only one process does this at a time.
pub(super) fn probe(folder: &Path) -> Result<(), StoreError> {
    let failed = |error| unavailable("write in", folder, error);
    // A process may have been killed here.
    remove_folder(folder)?;
    fs::create_dir(folder).map_err(failed)?;
    let inner = folder.join("folder");
    fs::create_dir(&inner).map_err(failed)?;
    let path = inner.join("file");
    let file = write_new(&path, &vec![0; ROOM])?;
    file.try_lock().map_err(|error| {
        let error = io::Error::from(error);
        unavailable("lock files in", folder, error)
    })?;
    write(&path, b"new")?;
    check_file(&path)?;
    fs::rename(&inner, folder.join("renamed")).map_err(failed)?;
    // Some file systems keep the name of a file that is open.
    drop(file);
    remove_folder(folder)
}

fn remove_folder(folder: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(folder) {
        Err(error) if !is_missing(&error) => Err(unavailable("delete", folder, error)),
        _ => Ok(()),
    }
}
