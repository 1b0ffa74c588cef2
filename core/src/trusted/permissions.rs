//! Who may read a file: its group, its mode and its POSIX ACL, to carry them over to the file that replaces it.

use std::io;

use rustix::fd::AsFd;
use rustix::fs::{Gid, Mode, XattrFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::owner::{OTHERS, OTHERS_CHANGE};

/// The permission bit by which everybody changes a file.
const ALL_CHANGE: u32 = 0o002;
/// Where Linux keeps the ACL of a file.
const ACL: &str = "system.posix_acl_access";
/// No ACL is larger: an attribute has at most 64 KiB.
const ACL_MAX: usize = 64 << 10;

/// Gives an open file or folder of the effective user this mode, which lets nobody else in, regardless of the umask.
///
/// A file system without modes has the same one for all its files; it may stay if it lets nobody else in. That of
/// another user, in a folder that is shared with a group, stays as well.
pub fn make_private(file: impl AsFd, mode: u32) -> io::Result<()> {
    let stat = rustix::fs::fstat(&file)?;
    let is_private = stat.st_mode & OTHERS == 0 && stat.st_mode & mode == mode;
    if is_private || ![stat.st_uid, 0].contains(&geteuid().as_raw()) {
        return Ok(());
    }
    Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?)
}

/// Who may read a file or enter a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// The group.
    pub group: u32,
    /// The permission bits.
    pub mode: u32,
    acl: Option<Vec<u8>>,
}

impl Permissions {
    /// Those of an open file or folder, without the group's right to change it; `None` if everybody can change it,
    /// or if an ACL lets others.
    pub fn of(file: impl AsFd) -> io::Result<Option<Self>> {
        let stat = rustix::fs::fstat(&file)?;
        let mode = stat.st_mode & 0o777;
        if mode & ALL_CHANGE != 0 {
            return Ok(None);
        }
        let mut acl = Vec::with_capacity(ACL_MAX);
        let acl = match rustix::fs::fgetxattr(&file, ACL, rustix::buffer::spare_capacity(&mut acl))
        {
            Ok(_) => Some(acl),
            // The file has none, or the file system knows none.
            Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS) => None,
            Err(error) => return Err(error.into()),
        };
        if acl.is_some() && mode & OTHERS_CHANGE != 0 {
            return Ok(None);
        }
        Ok(Some(Permissions {
            group: stat.st_gid,
            mode: mode & !OTHERS_CHANGE,
            acl,
        }))
    }

    /// Gives them to another open file or folder.
    pub fn apply(&self, file: impl AsFd) -> io::Result<()> {
        if rustix::fs::fstat(&file)?.st_gid != self.group {
            rustix::fs::fchown(&file, None, Some(Gid::from_raw(self.group)))?;
        }
        rustix::fs::fchmod(&file, Mode::from_raw_mode(self.mode))?;
        // With an ACL, the bits of the group are its mask, and come with it.
        match &self.acl {
            Some(acl) => Ok(rustix::fs::fsetxattr(&file, ACL, acl, XattrFlags::empty())?),
            None => Ok(()),
        }
    }
}
