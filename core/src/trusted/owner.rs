//! Who owns a file or folder, and what its mode lets others do.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;

use super::shared::is_shared;
use super::untrusted::{Distrust, Untrusted};

/// The permission bits of anyone but the owner, and those of them that let others change a file.
pub(super) const OTHERS: u32 = 0o077;
/// The permission bits of the group.
const GROUP: u32 = 0o070;
pub(super) const OTHERS_CHANGE: u32 = 0o022;

/// What others may do with a file or folder. In each case its owner must be the effective user or root, but in a
/// folder that is shared with its group (`share_folder`), which may also change and read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// They may neither read nor change it.
    Private,
    /// The same, unless somebody else provides it: it is on a file system that cannot be written here, or in a folder
    /// for secrets (`/run/secrets`, `CREDENTIALS_DIRECTORY`) and not the effective user's. Its owner may then be
    /// anyone, and everybody may read it.
    Secret,
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
    let group = if is_shared(path, metadata.gid()) {
        GROUP
    } else {
        check_owner(path, metadata.uid())?;
        0
    };
    let mode = mode(metadata);
    let refused = |reason| Err(Untrusted::new(path, reason));
    match access {
        Access::Any => Ok(()),
        _ if mode & OTHERS_CHANGE & !group != 0 => refused(Distrust::Changeable { mode }),
        Access::Private | Access::Secret if mode & OTHERS & !group != 0 => {
            refused(Distrust::Readable { mode })
        }
        _ => Ok(()),
    }
}

pub(super) fn check_owner(path: &Path, owner: u32) -> Result<(), Untrusted> {
    if owner == 0 || owner == geteuid().as_raw() {
        Ok(())
    } else {
        Err(Untrusted::new(path, Distrust::Owner { owner }))
    }
}

/// Whether what is at a path is no link, and others can neither own nor change it. `metadata` is that of the
/// path itself (`lstat`).
pub(crate) fn is_trusted(path: &Path, metadata: &Metadata) -> bool {
    !metadata.is_symlink() && check(path, metadata, Access::Unchangeable).is_ok()
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
