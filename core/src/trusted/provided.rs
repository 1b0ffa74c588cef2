//! Secrets that somebody else provides: a container runtime, or systemd. Their owner and mode are not ours to choose.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, fstatfs, fstatvfs};

use super::folder::open_folder;

/// Where container runtimes put secrets.
const SECRETS: &str = "/run/secrets";
/// The variable with the folder in which systemd puts credentials (systemd.exec(5)).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// The type of file systems that any user may be behind (statfs(2)).
const FUSE: u64 = 0x6573_5546;

/// Where a file is that somebody else provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provided {
    /// On a file system that cannot be written here. No user can change the file through it.
    ReadOnly,
    /// In a folder for secrets, in which only root can make files.
    InFolder,
}

/// Whether an open file is provided, and where.
pub(super) fn provided(path: &Path, file: &File) -> Option<Provided> {
    let is_read_only = fstatvfs(file).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY));
    // The type is a signed number on some platforms, and is compared as it is in memory.
    let is_fuse = fstatfs(file).is_ok_and(|fs| u64::try_from(fs.f_type) == Ok(FUSE));
    if is_read_only && !is_fuse {
        return Some(Provided::ReadOnly);
    }
    let folder = path.parent()?.canonicalize().ok()?;
    let credentials = env::var_os(CREDENTIALS).map(PathBuf::from);
    let credentials = credentials.and_then(|folder| folder.canonicalize().ok());
    let folders = [Some(PathBuf::from(SECRETS)), credentials];
    let is_inside = folders
        .iter()
        .flatten()
        .any(|above| folder.starts_with(above));
    // Nobody else can make a file there, or lead there.
    (is_inside && open_folder(&folder, None).is_ok()).then_some(Provided::InFolder)
}
