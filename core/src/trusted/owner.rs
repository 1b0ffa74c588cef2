//! Who owns a file or folder, and what its mode lets others do.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::untrusted::{Distrust, Untrusted};

/// The permission bits of anyone but the owner, and those of them that let others change a file.
const OTHERS: u32 = 0o077;
pub(super) const OTHERS_CHANGE: u32 = 0o022;

/// What others may do with a file or folder. In each case its owner must be the effective user or root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// They may neither read nor change it.
    Private,
    /// They may not change it.
    Unchangeable,
    /// Its mode is not looked at.
    Any,
}

/// The permission bits.
pub(super) fn mode(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o777
}

/// Fails if another user owns the file, or if its mode lets others do too much.
pub(super) fn check(path: &Path, metadata: &Metadata, access: Access) -> Result<(), Untrusted> {
    check_owner(path, metadata.uid())?;
    let mode = mode(metadata);
    let refused = |reason| Err(Untrusted::new(path, reason));
    match access {
        Access::Any => Ok(()),
        _ if mode & OTHERS_CHANGE != 0 => refused(Distrust::Changeable { mode }),
        Access::Private if mode & OTHERS != 0 => refused(Distrust::Readable { mode }),
        _ => Ok(()),
    }
}

pub(super) fn check_owner(path: &Path, owner: u32) -> Result<(), Untrusted> {
    if owner == 0 || owner == rustix::process::geteuid().as_raw() {
        Ok(())
    } else {
        Err(Untrusted::new(path, Distrust::Owner { owner }))
    }
}

/// Whether what is there is no link, and others can neither own nor change it. `metadata` is that of the
/// path itself (`lstat`).
pub(crate) fn is_trusted(metadata: &Metadata) -> bool {
    !metadata.is_symlink() && check(Path::new(""), metadata, Access::Unchangeable).is_ok()
}

/// Fails unless this is the metadata (`lstat`) of a regular file that others can neither own nor change.
pub(crate) fn check_file_at(path: &Path, metadata: &Metadata) -> Result<(), Untrusted> {
    if metadata.is_symlink() {
        return Err(Untrusted::new(path, Distrust::Link));
    }
    if !metadata.is_file() {
        return Err(Untrusted::new(path, Distrust::NotAFile));
    }
    check(path, metadata, Access::Unchangeable)
}
