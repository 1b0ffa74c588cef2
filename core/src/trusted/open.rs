//! Opening files without following or waiting, and checking what was opened.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::owner::{Access, OTHERS_CHANGE, check, check_owner, mode};
use super::provided::{Provided, provided};
use super::untrusted::{Distrust, Untrusted};

/// The most links that are followed one after the other.
const LINKS_MAX: usize = 16;

/// What happens if a path is a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// It is refused.
    Refused,
    /// It is followed if the effective user or root made it. What it leads to is checked as well.
    Followed,
}

/// What was read from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Its content.
    pub content: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
}

/// Opens a regular file for reading.
pub fn open(path: &Path, access: Access, links: Links) -> io::Result<File> {
    match links {
        Links::Refused => checked(path, open_itself(path, OFlags::RDONLY)?, access),
        Links::Followed => {
            let (path, file) = open_following(path)?;
            checked(&path, file, access)
        }
    }
}

/// Opens a regular file for reading and writing, and creates it (0600) if it does not exist. Its content
/// stays. A link is refused.
pub fn open_in_place(path: &Path) -> io::Result<File> {
    let file = open_itself(path, OFlags::RDWR | OFlags::CREATE)?;
    checked(path, file, Access::Unchangeable)
}

/// Reads a regular file of at most `limit` octets.
pub fn read(path: &Path, access: Access, links: Links, limit: u64) -> io::Result<Read> {
    let file = open(path, access, links)?;
    let metadata = file.metadata()?;
    let too_large = || Untrusted::new(path, Distrust::TooLarge { limit });
    if metadata.len() > limit {
        return Err(too_large().into());
    }
    let mut content = Vec::new();
    // It may grow while it is read.
    file.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(too_large().into());
    }
    let mode = mode(&metadata);
    Ok(Read { content, mode })
}

/// Fails unless `path` is a folder that others can neither own nor change.
pub fn check_folder(path: &Path, links: Links) -> io::Result<()> {
    let mut metadata = path.symlink_metadata()?;
    if metadata.is_symlink() {
        let link = metadata;
        // If it leads nowhere, there is no folder.
        metadata = fs::metadata(path)?;
        if links == Links::Refused {
            return Err(Untrusted::new(path, Distrust::Link).into());
        }
        check(path, &link, Access::Any)?;
    }
    if !metadata.is_dir() {
        return Err(Untrusted::new(path, Distrust::NotAFolder).into());
    }
    Ok(check(path, &metadata, Access::Unchangeable)?)
}

/// Makes the names in a folder survive a power cut, if its file system can do that for folders.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    sync_open_folder(&File::open(path)?)
}

/// The same for an open folder.
pub(crate) fn sync_open_folder(folder: &File) -> io::Result<()> {
    match rustix::fs::fsync(folder) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP | Errno::BADF) => Ok(()),
        synced => Ok(synced?),
    }
}

fn checked(path: &Path, file: File, access: Access) -> io::Result<File> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Untrusted::new(path, Distrust::NotAFile).into());
    }
    check_open(path, &file, &metadata, access)?;
    Ok(file)
}

/// Fails if another user owns an open file, or if its mode lets others do too much, unless it is a secret that
/// somebody else provides.
fn check_open(
    path: &Path,
    file: &File,
    metadata: &Metadata,
    access: Access,
) -> Result<(), Untrusted> {
    let refused = match check(path, metadata, access) {
        Err(refused) if access == Access::Secret => refused,
        checked => return checked,
    };
    let is_ours = metadata.uid() == geteuid().as_raw();
    let is_changeable = mode(metadata) & OTHERS_CHANGE != 0;
    match provided(path, file) {
        Some(Provided::ReadOnly) => Ok(()),
        Some(Provided::InFolder) if !is_ours && !is_changeable => Ok(()),
        _ => Err(refused),
    }
}

fn open_itself(path: &Path, flags: OFlags) -> io::Result<File> {
    match open_raw(path, flags) {
        Err(Errno::LOOP) => Err(Untrusted::new(path, Distrust::Link).into()),
        opened => converted(path, opened),
    }
}

/// Opens what a path leads to; returns its own path as well.
fn open_following(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut at = path.to_owned();
    for _ in 0..LINKS_MAX {
        match open_raw(&at, OFlags::RDONLY) {
            Err(Errno::LOOP) => at = target(&at)?,
            opened => {
                let file = converted(&at, opened)?;
                return Ok((at, file));
            }
        }
    }
    Err(Errno::LOOP.into())
}

/// Where a link leads, if the effective user or root made it.
fn target(path: &Path) -> io::Result<PathBuf> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let link = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    check_owner(path, rustix::fs::fstat(&link)?.st_uid)?;
    let target = rustix::fs::readlinkat(&link, "", Vec::new())?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(folder.join(OsStr::from_bytes(target.as_bytes())))
}

/// A FIFO must not be waited for, and a terminal must not become ours.
fn open_raw(path: &Path, flags: OFlags) -> Result<File, Errno> {
    let safe = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::open(path, flags | safe, mode).map(File::from)
}

fn converted(path: &Path, opened: Result<File, Errno>) -> io::Result<File> {
    match opened {
        // A folder that is opened for writing, and a socket.
        Err(Errno::ISDIR | Errno::NXIO) => Err(Untrusted::new(path, Distrust::NotAFile).into()),
        opened => Ok(opened?),
    }
}
