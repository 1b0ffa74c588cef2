//! Whether the file system can do what storing a certificate takes.

use std::fs;
use std::io;
use std::path::Path;

use super::access::check_file;
use super::atomic::{write, write_new};
use super::errors::unavailable;
use super::layout::NEW;
use crate::store::error::StoreError;

/// More octets than an account, an order, a version and the lines of the ledger take, each in blocks of its own.
const ROOM: usize = 64 << 10;

/// Does in a folder of its own what is done later: makes files, locks one, replaces one, renames a folder, and waits
/// until all of it is on the disk. Fails if others could change what is made.
pub(super) fn probe(root: &Path) -> Result<(), StoreError> {
    let failed = |error| unavailable("write in", root, error);
    let folder = tempfile::Builder::new().prefix(NEW).tempdir_in(root);
    let folder = folder.map_err(failed)?;
    let inner = folder.path().join("folder");
    fs::create_dir(&inner).map_err(failed)?;
    let path = inner.join("file");
    let file = write_new(&path, &vec![0; ROOM])?;
    file.try_lock().map_err(|error| {
        let error = io::Error::from(error);
        unavailable("lock files in", root, error)
    })?;
    write(&path, b"new")?;
    check_file(&path)?;
    fs::rename(&inner, folder.path().join("renamed")).map_err(failed)
}
