//! Who holds leases: a process, for as long as it has locked its file.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use super::access::{make_dir, remove};
use super::errors::unavailable;
use super::layout::{Layout, NEW};
use super::lock::is_locked;
use crate::platform;
use crate::store::error::StoreError;

/// This process as a holder of leases. Its file stays locked until it is dropped, or until the
/// process ends, however that ends.
#[derive(Debug)]
pub(super) struct Holder {
    /// Unique for each store that was opened: host, process id and a random number.
    pub(super) name: String,
    path: PathBuf,
    _locked: File,
}

impl Holder {
    /// Makes the file of a holder. It is locked before it has its name, so that nobody finds it
    /// unlocked.
    pub(super) fn register(layout: &Layout) -> Result<Self, StoreError> {
        let process = std::process::id();
        let name = format!("{}-{process}-{:08x}", host_name(), rand::random::<u32>());
        make_dir(&layout.holders())?;
        let path = layout.holder(&name);
        let attempt = || -> io::Result<File> {
            let folder = layout.holders();
            let file = tempfile::Builder::new().prefix(NEW).tempfile_in(folder)?;
            file.as_file().try_lock()?;
            Ok(file.persist(&path)?)
        };
        let locked = attempt().map_err(|error| unavailable("write", &path, error))?;
        Ok(Holder {
            name,
            path,
            _locked: locked,
        })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // A file that stays is deleted by the next process that lists the leases.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether the process of a holder on this machine is alive.
pub(super) fn is_alive(layout: &Layout, holder: &str) -> bool {
    // A name from a file must not lead out of the folder.
    !holder.contains('/') && is_locked(&layout.holder(holder))
}

/// Deletes the files of holders that are dead.
pub(super) fn remove_dead(layout: &Layout) -> Result<(), StoreError> {
    let Ok(entries) = fs::read_dir(layout.holders()) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        if !is_locked(&entry.path()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Tells apart machines that share a folder: file locks of one kernel are not always seen by
/// another. It changes when a machine starts anew; then its old leases end when they expire.
pub(super) fn machine() -> String {
    platform::boot_id().unwrap_or_else(host_name)
}

fn host_name() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let name: String = name.chars().filter(allowed).take(64).collect();
    name.trim_start_matches('.').to_owned()
}
