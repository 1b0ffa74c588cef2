//! Writing a file in a folder outside the store: safely, with its owner and mode, in one step.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::trusted::{self, Permissions};

/// Others can read a file without a key, and nobody else one with a key, unless somebody asked for more.
const KEY_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;
/// The bits that let others put files into a folder.
const OTHERS_WRITE: u32 = 0o022;
/// A folder that is made.
const FOLDER_MODE: u32 = 0o755;
/// The bit by which a folder is recognised that was just made: no umask takes it away.
const JUST_MADE: u32 = 0o1000;

/// Who may read a file. What is `None` stays as the file in its place has it, if there is one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Access {
    pub(super) owner: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) mode: Option<u32>,
}

/// A file that is written under another name beside its place. Dropping it deletes it.
#[derive(Debug)]
pub(super) struct Staged {
    folder: File,
    temporary: OsString,
    name: OsString,
    is_published: bool,
}

impl Staged {
    /// Writes a new file beside `path`, which is absolute. `has_key` chooses the usual mode.
    pub(super) fn write(
        path: &Path,
        content: &[u8],
        access: Access,
        has_key: bool,
    ) -> io::Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::INVAL.into());
        };
        let folder = trusted::open_folder(parent, access.owner)?;
        let kept = existing(&folder, name, access.owner)?;
        let temporary = temporary_name(&folder, name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, &temporary, flags, Mode::RUSR | Mode::WUSR)?;
        let staged = Staged {
            folder,
            temporary,
            name: name.to_owned(),
            is_published: false,
        };
        let mut file = File::from(file);
        set_access(&file, access, kept.as_ref(), has_key)?;
        file.write_all(content)?;
        file.sync_all()?;
        Ok(staged)
    }

    /// Puts the file in its place.
    pub(super) fn publish(mut self) -> io::Result<()> {
        rustix::fs::renameat(&self.folder, &self.temporary, &self.folder, &self.name)?;
        self.is_published = true;
        trusted::sync_open_folder(&self.folder)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_published {
            let _ = remove(&self.folder, &self.temporary);
        }
    }
}

/// A name for the new file that nothing has. It is always the same, so that what a killed process left is replaced. In a
/// folder with a sticky bit others may have put something there that cannot be removed.
fn temporary_name(folder: &File, name: &OsStr) -> OsString {
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(".acme-alias-new");
    if remove(folder, &temporary).is_err() {
        temporary.push(format!("-{:016x}", rand::random::<u64>()));
    }
    temporary
}

fn set_access(
    file: &File,
    access: Access,
    kept: Option<&Permissions>,
    has_key: bool,
) -> io::Result<()> {
    if let Some(kept) = kept {
        kept.apply(file)?;
    }
    let (owner, group) = (
        access.owner.map(Uid::from_raw),
        access.group.map(Gid::from_raw),
    );
    if owner.is_some() || group.is_some() {
        rustix::fs::fchown(file, owner, group)?;
    }
    let usual = if has_key { KEY_MODE } else { PUBLIC_MODE };
    // The mode of a key says nothing of the other files.
    let wanted = access.mode.filter(|_| has_key);
    match (wanted, kept) {
        (None, Some(_)) => Ok(()),
        (wanted, _) => {
            let mode = Mode::from_raw_mode(wanted.unwrap_or(usual));
            Ok(rustix::fs::fchmod(file, mode)?)
        }
    }
}

/// The permissions of the file that is replaced, if it is a regular one that we, root or its owner made. Into a folder with
/// a sticky bit others may have moved one that root made elsewhere: they would choose who can read the key.
fn existing(folder: &File, name: &OsStr, owner: Option<u32>) -> io::Result<Option<Permissions>> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(file) => file,
        // Nothing, a link, or a socket: it is replaced.
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::ACCESS) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if rustix::fs::fstat(folder)?.st_mode & OTHERS_WRITE != 0 {
        return Ok(None);
    }
    let stat = rustix::fs::fstat(&file)?;
    let ours = [0, rustix::process::geteuid().as_raw()];
    let is_trusted = ours.contains(&stat.st_uid) || owner == Some(stat.st_uid);
    if !is_trusted || FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    Permissions::of(&file)
}

fn remove(folder: &File, name: &OsStr) -> io::Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        removed => Ok(removed?),
    }
}

/// Makes a folder, unless it exists. The one around it must exist.
pub(super) fn make_folder(path: &Path, owner: Option<u32>) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    let folder = trusted::open_folder(parent, owner)?;
    let mode = Mode::from_raw_mode(FOLDER_MODE | JUST_MADE);
    match rustix::fs::mkdirat(&folder, name, mode) {
        // It is checked when a file is written in it.
        Err(Errno::EXIST) => return Ok(()),
        made => made?,
    }
    open_to_all(&folder, name)?;
    trusted::sync_open_folder(&folder)
}

/// Gives a folder that was just made its mode, whatever the umask left of it. The owner of the folder around it may have
/// moved another folder to its place. That one keeps its mode.
fn open_to_all(folder: &File, name: &OsStr) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    if rustix::fs::fstat(&made)?.st_mode & JUST_MADE != 0 {
        rustix::fs::fchmod(&made, Mode::from_raw_mode(FOLDER_MODE))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    const STRANGER: u32 = 65534;

    fn put(path: &Path, access: Access, has_key: bool) -> io::Result<()> {
        Staged::write(path, b"new", access, has_key)?.publish()
    }

    fn facts(path: &Path) -> (u32, u32, u32) {
        let metadata = path.symlink_metadata().unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    }

    #[test]
    fn a_new_file_has_the_wanted_or_the_usual_access() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let wanted = Access {
            owner: Some(STRANGER),
            group: Some(1),
            mode: Some(0o640),
        };
        for (access, has_key, expected) in [
            (Access::default(), true, (0, 0, 0o600)),
            (Access::default(), false, (0, 0, 0o644)),
            (wanted, true, (STRANGER, 1, 0o640)),
            (wanted, false, (STRANGER, 1, 0o644)),
        ] {
            put(&path, access, has_key).unwrap();
            assert_eq!(facts(&path), expected, "{access:?}");
            assert_eq!(fs::read(&path).unwrap(), b"new");
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_not_configured_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        put(&path, Access::default(), true).unwrap();
        std::os::unix::fs::chown(&path, None, Some(7)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        put(&path, Access::default(), true).unwrap();
        assert_eq!(facts(&path), (0, 7, 0o640));
        let narrower = Access {
            mode: Some(0o600),
            ..Access::default()
        };
        put(&path, narrower, true).unwrap();
        assert_eq!(facts(&path), (0, 7, 0o600));
        // A mode that lets others change it is no example.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        put(&path, Access::default(), true).unwrap();
        assert_eq!(facts(&path), (0, 0, 0o600));
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, path) = (folder.path().join("victim"), folder.path().join("file"));
        fs::write(&victim, "of others").unwrap();
        symlink(&victim, &path).unwrap();
        symlink(&victim, folder.path().join(".file.acme-alias-new")).unwrap();
        put(&path, Access::default(), true).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"of others");
        assert!(path.symlink_metadata().unwrap().is_file());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_others_plant_beside_a_file_does_not_keep_it_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let path = folder.path().join("file");
        put(&path, Access::default(), true).unwrap();
        let planted = folder.path().join(".file.acme-alias-new/more");
        fs::create_dir_all(&planted).unwrap();
        fs::write(&path, b"old").unwrap();
        put(&path, Access::default(), true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn nobody_can_choose_the_access_to_a_key_in_a_folder_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        // Root made it elsewhere, in a folder of the one who moved it here.
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        put(&path, Access::default(), true).unwrap();
        assert_eq!(facts(&path), (0, 0, 0o600));
    }

    #[test]
    fn a_file_that_is_not_put_in_its_place_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        drop(Staged::write(&path, b"new", Access::default(), true).unwrap());
        fs::create_dir(&path).unwrap();
        assert!(put(&path, Access::default(), true).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_others_move_to_where_one_was_made_stays_private() {
        let folder = tempfile::tempdir().unwrap();
        let (made, private) = (folder.path().join("made"), folder.path().join("private"));
        make_folder(&made, None).unwrap();
        assert_eq!(facts(&made).2, 0o755);
        fs::create_dir(&private).unwrap();
        fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
        let around = File::open(folder.path()).unwrap();
        open_to_all(&around, OsStr::new("private")).unwrap();
        assert_eq!(facts(&private).2, 0o700);
    }
}
