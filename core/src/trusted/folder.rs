//! Following a path from the root down: to a folder to write in, or to a file to run.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::owner::{OTHERS_CHANGE, check_file_at, check_owner};
use super::untrusted::{Distrust, Untrusted};

/// The most links that are followed on the way.
const LINKS_MAX: usize = 16;

/// The bit that lets only the owner of a file replace it.
const STICKY: u32 = 0o1000;

/// Opens the folder of an absolute path, to write in it through the descriptor.
///
/// Each folder on the way must belong to the effective user, root or `owner`, and others must not be able to write
/// in it, unless its sticky bit is set. A symbolic link on the way is followed if the effective user or root made it, and
/// others cannot write in its folder, nor `owner` in one above: they could have moved it there.
/// Nobody else can therefore lead a file that is written through the descriptor to another place.
pub fn open_folder(path: &Path, owner: Option<u32>) -> io::Result<File> {
    let (_, folder) = walk(path, owner, Goal::Folder)?;
    reopened(&folder)
}

/// Opens a folder, so that files can be written in it through the descriptor. Anyone may own it and write in it.
///
/// Only its owner can have led the way to it, beside the effective user and root: the folders and links above are checked
/// as by [`open_folder`] for this owner.
pub fn open_folder_of_anyone(path: &Path) -> io::Result<File> {
    let path = std::path::absolute(path)?;
    let owner = path.metadata()?.uid();
    let (path, folder) = walk(&path, Some(owner), Goal::Found)?;
    let stat = rustix::fs::fstat(&folder)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Untrusted::new(&path, Distrust::NotAFolder).into());
    }
    // It may have been exchanged meanwhile.
    if stat.st_uid != owner {
        check_owner(&path, stat.st_uid)?;
    }
    reopened(&folder)
}

fn reopened(folder: &OwnedFd) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, ".", flags, Mode::empty())?.into())
}

/// Fails if others can change a file, or put another one in its place: by any folder or link on the way to it. Nobody
/// else can therefore change what is run by this path after the check. The file need not be readable.
pub fn check_way(path: &Path) -> io::Result<()> {
    let (path, file) = walk(&std::path::absolute(path)?, None, Goal::Found)?;
    Ok(check_file_at(&path, &File::from(file).metadata()?)?)
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Folder,
    /// Anything, which the caller checks.
    Found,
}

/// Opens what an absolute path leads to, without reading it, and returns its path without links. All folders and
/// links on the way are checked; what the path leads to is checked if a folder is wanted.
fn walk(path: &Path, owner: Option<u32>, goal: Goal) -> io::Result<(PathBuf, OwnedFd)> {
    let mut at = PathBuf::from("/");
    let mut folder = open(CWD, OsStr::new("/"))?;
    let mut ahead = components(path)?;
    let (mut links, mut is_of_owner) = (0, false);
    check_folder(&at, &rustix::fs::fstat(&folder)?, owner)?;
    while let Some(name) = ahead.pop() {
        let next = open(&folder, &name)?;
        let stat = rustix::fs::fstat(&next)?;
        let here = at.join(&name);
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            check_owner(&here, stat.st_uid)?;
            if is_of_owner || rustix::fs::fstat(&folder)?.st_mode & OTHERS_CHANGE != 0 {
                return Err(Untrusted::new(&here, Distrust::Link).into());
            }
            links += 1;
            if links > LINKS_MAX {
                return Err(Errno::LOOP.into());
            }
            let target = rustix::fs::readlinkat(&next, "", Vec::new())?;
            let target = Path::new(OsStr::from_bytes(target.as_bytes()));
            if target.is_absolute() {
                at = PathBuf::from("/");
                folder = open(CWD, OsStr::new("/"))?;
            }
            ahead.extend(components(target)?);
            continue;
        }
        if goal == Goal::Found && ahead.is_empty() {
            return Ok((here, next));
        }
        check_folder(&here, &stat, owner)?;
        is_of_owner |= check_owner(&here, stat.st_uid).is_err();
        folder = next;
        at = match name.as_bytes() {
            b".." => at.parent().unwrap_or(Path::new("/")).to_owned(),
            _ => here,
        };
    }
    Ok((at, folder))
}

/// The names on the way, the first one last.
fn components(path: &Path) -> io::Result<Vec<OsString>> {
    let names = path.components().filter_map(|component| match component {
        Component::RootDir | Component::CurDir => None,
        Component::Prefix(_) => Some(Err(Errno::INVAL.into())),
        Component::ParentDir => Some(Ok(OsString::from(".."))),
        Component::Normal(name) => Some(Ok(name.to_owned())),
    });
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.reverse();
    Ok(names)
}

fn open(folder: impl rustix::fd::AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, name, flags, Mode::empty())?)
}

fn check_folder(path: &Path, stat: &Stat, owner: Option<u32>) -> Result<(), Untrusted> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Untrusted::new(path, Distrust::NotAFolder));
    }
    if owner != Some(stat.st_uid) {
        check_owner(path, stat.st_uid)?;
    }
    let mode = stat.st_mode & 0o777;
    if mode & OTHERS_CHANGE != 0 && stat.st_mode & STICKY == 0 {
        return Err(Untrusted::new(path, Distrust::Changeable { mode }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

    use super::*;

    const STRANGER: u32 = 65534;

    fn reason(path: &Path, owner: Option<u32>) -> Option<Distrust> {
        let error = open_folder(path, owner).err()?;
        Some(Untrusted::in_error(&error).unwrap().reason)
    }

    #[test]
    fn a_folder_that_others_can_write_in_is_refused_unless_it_is_sticky() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        for (mode, is_refused) in [
            (0o755, false),
            (0o700, false),
            (0o775, true),
            (0o757, true),
            (0o1777, false),
        ] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            for path in [folder.path(), &inner] {
                assert_eq!(reason(path, None).is_some(), is_refused, "{mode:o}");
            }
        }
    }

    #[test]
    fn the_folder_of_another_user_is_accepted_only_for_that_user() {
        let folder = tempfile::tempdir().unwrap();
        chown(folder.path(), Some(STRANGER), None).unwrap();
        let refused = Distrust::Owner { owner: STRANGER };
        assert_eq!(reason(folder.path(), None), Some(refused));
        assert_eq!(reason(folder.path(), Some(1)), Some(refused));
        assert_eq!(reason(folder.path(), Some(STRANGER)), None);
    }

    #[test]
    fn a_link_is_followed_only_if_its_owner_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        let link = folder.path().join("link");
        symlink("a/../a", &link).unwrap();
        assert_eq!(reason(&link.join("b"), None), None);
        // Not even for the user that made it.
        lchown(&link, Some(STRANGER), None).unwrap();
        let refused = Some(Distrust::Owner { owner: STRANGER });
        assert_eq!(reason(&link.join("b"), None), refused);
        assert_eq!(reason(&link.join("b"), Some(STRANGER)), refused);
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        symlink(&one, &other).unwrap();
        symlink(&other, &one).unwrap();
        assert!(open_folder(&one, None).is_err());
    }

    #[test]
    fn a_link_in_a_folder_for_all_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("victim")).unwrap();
        let shared = folder.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
        // Somebody can have moved it here.
        let link = shared.join("link");
        symlink("../victim", &link).unwrap();
        assert_eq!(reason(&link, None), Some(Distrust::Link));
    }

    #[test]
    fn a_link_that_root_made_in_the_folder_of_the_owner_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (home, victim) = (folder.path().join("home"), folder.path().join("victim"));
        fs::create_dir(&victim).unwrap();
        fs::create_dir(&home).unwrap();
        symlink(&victim, home.join("logs")).unwrap();
        chown(&home, Some(STRANGER), None).unwrap();
        // The owner may move it, although root made it.
        fs::rename(home.join("logs"), home.join("tls")).unwrap();
        let refused = Some(Distrust::Link);
        assert_eq!(reason(&home.join("tls"), Some(STRANGER)), refused);
        // So is one in a folder of root, which the owner may move as well.
        fs::create_dir(home.join("inner")).unwrap();
        symlink(&victim, home.join("inner/link")).unwrap();
        assert_eq!(reason(&home.join("inner/link"), Some(STRANGER)), refused);
    }

    #[test]
    fn a_file_on_the_way_and_a_missing_folder_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(reason(&file, None), Some(Distrust::NotAFolder));
        let missing = open_folder(&folder.path().join("missing"), None).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
