//! Writing in a work tree that others may write in as well.
//!
//! Nothing is opened by a path that could lead elsewhere: each folder is opened in the one before it, without
//! following a link, and a file appears by a rename, which replaces a link and not what it leads to.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::trusted;

/// Opens a folder to write in, and makes it if it does not exist. Only its owner can have led the way to it, beside the
/// effective user and root.
pub(super) fn open(folder: &Path) -> io::Result<File> {
    let folder = std::path::absolute(folder)?;
    let existing = trusted::creatable_in(&folder)?;
    // Nothing is made by a path: others may put links there meanwhile.
    let opened = trusted::open_folder_of_anyone(existing)?;
    let missing = folder.strip_prefix(existing).unwrap_or(Path::new(""));
    Ok(enter(opened.into(), missing)?.into())
}

/// Writes a file below a folder, in one step. Folders on the way to it are made.
pub(super) fn write(folder: &File, file: &Path, text: &[u8]) -> io::Result<()> {
    let folder = folder.as_fd().try_clone_to_owned()?;
    let inner = enter(folder, file.parent().unwrap_or(Path::new("")))?;
    let name = file.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    replace(&inner, Path::new(name), text)
}

/// Opens a folder below another one. Folders on the way to it, and itself, are made.
fn enter(mut folder: OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    for part in path.components() {
        let Component::Normal(name) = part else {
            return Err(io::ErrorKind::InvalidFilename.into());
        };
        match rustix::fs::mkdirat(&folder, name, Mode::from(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        folder = match open_folder(folder.as_fd(), Path::new(name)) {
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let name = name.display();
                let problem = format!("{name} is a link or a file where a folder must be");
                return Err(io::Error::other(problem));
            }
            opened => opened?,
        };
    }
    Ok(folder)
}

fn open_folder(at: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

fn replace(folder: &OwnedFd, name: &Path, text: &[u8]) -> io::Result<()> {
    let new = format!(".acme-alias-{:016x}.new", rand::random::<u64>());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, &new, flags, Mode::from(0o644))?;
    let written = File::from(file)
        .write_all(text)
        .and_then(|()| Ok(rustix::fs::renameat(folder, &new, folder, name)?));
    if written.is_err() {
        // The first error matters.
        let _ = rustix::fs::unlinkat(folder, &new, AtFlags::empty());
    }
    written
}

/// Opens a file for locking, and makes it if it does not exist. No link is followed, not even on the way to it, and
/// nothing is waited for. The path is absolute.
pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidFilename.into());
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut inner = rustix::fs::openat(CWD, "/", flags, Mode::empty())?;
    for part in folder
        .components()
        .filter(|part| *part != Component::RootDir)
    {
        inner = rustix::fs::openat(&inner, part.as_os_str(), flags, Mode::empty())?;
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW;
    let flags = flags | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&inner, name, flags, Mode::from(0o600))?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
    if kind == FileType::RegularFile {
        Ok(file.into())
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    #[test]
    fn a_file_replaces_a_link_and_not_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "of another program").unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("zone")).unwrap();
        symlink(&victim, tree.join("zone/month")).unwrap();
        for text in ["one", "two"] {
            write(
                &open(&tree).unwrap(),
                Path::new("zone/month"),
                text.as_bytes(),
            )
            .unwrap();
            let month = fs::read_to_string(tree.join("zone/month")).unwrap();
            assert_eq!(month, text);
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "of another program");
        assert_eq!(fs::read_dir(tree.join("zone")).unwrap().count(), 1);
    }

    #[test]
    fn a_link_on_the_way_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, elsewhere) = (folder.path().join("tree"), folder.path().join("elsewhere"));
        fs::create_dir(&tree).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, tree.join("zone")).unwrap();
        let opened = open(&tree).unwrap();
        let error = write(&opened, Path::new("zone/month"), b"text").unwrap_err();
        assert!(error.to_string().contains("zone is a link"), "{error}");
        assert!(write(&opened, Path::new("../elsewhere/month"), b"text").is_err());
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        symlink(elsewhere.join("lock"), tree.join("lock")).unwrap();
        assert!(open_lock(&tree.join("lock")).is_err());
        assert!(open_lock(&tree.join("zone/lock")).is_err());
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        assert!(open_lock(&tree.join("other")).is_ok());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_link_that_comes_while_a_folder_is_made_is_not_followed() {
        use rustix::fs::{RenameFlags, renameat_with};

        let folder = tempfile::tempdir().unwrap();
        let at = |name| folder.path().join(name);
        let (around, elsewhere, link) = (at("around"), at("elsewhere"), at("link"));
        fs::create_dir(&around).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, &link).unwrap();
        lchown(&link, Some(65534), Some(65534)).unwrap();
        let tree = around.join("tree");
        std::thread::scope(|scope| {
            let swaps = scope.spawn(|| {
                for _ in 0..10_000 {
                    renameat_with(CWD, &around, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                }
            });
            while !swaps.is_finished() {
                // It may be made or refused.
                open(&tree).ok();
                assert!(!elsewhere.join("tree").exists());
                fs::remove_dir(&tree).ok();
            }
        });
    }
}
