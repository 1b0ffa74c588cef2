//! Which version of a certificate is the current one, and switching to another.
//!
//! `current` is a symbolic link. On a file system without links it is a file with the same text, and the files in the
//! folder of the certificate are copies. A copy of the state folder in which links were followed (`cp -rL`) has a
//! folder in the place of `current`; the next version replaces it.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::access::{check_dir, read, read_octets, remove};
use super::atomic::{link, write};
use super::errors::{damaged, is_missing, unavailable};
use super::layout::{CERTIFICATE, CURRENT, KEY, NEW, VERSIONS, version_path};
use crate::store::error::StoreError;
use crate::trusted::{Access, Links, Permissions};

/// The number of the current version, whether it can be read or not.
pub(super) fn current_number(folder: &Path) -> Result<Option<u32>, StoreError> {
    let path = folder.join(CURRENT);
    let failed = |error| unavailable("read", &path, error);
    let target = match path.symlink_metadata() {
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if metadata.is_symlink() => match fs::read_link(&path) {
            Err(error) if is_missing(&error) => return Ok(None),
            link => link.map_err(failed)?.as_os_str().as_bytes().to_vec(),
        },
        Ok(metadata) if metadata.is_dir() => return copied(folder, &path).map(Some),
        Ok(_) => match read(&path)? {
            Some(text) => text.trim_end().as_bytes().to_vec(),
            None => return Ok(None),
        },
    };
    let target = Path::new(std::ffi::OsStr::from_bytes(&target));
    match number(target) {
        Some(number) if target == version_path(Path::new(""), number) => Ok(Some(number)),
        _ => {
            let cause = format!("it leads to {}, which is not a version", target.display());
            Err(damaged(&path, &cause))
        }
    }
}

/// The version of which `current` is a copy: the newest one with the same certificate.
fn copied(folder: &Path, current: &Path) -> Result<u32, StoreError> {
    let versions = folder.join(VERSIONS);
    let certificate = |folder: &Path| {
        if !check_dir(folder, Links::Refused)? {
            return Ok(None);
        }
        read_octets(&folder.join(CERTIFICATE), Access::Unchangeable)
    };
    let wanted = certificate(current)?;
    let mut known = if check_dir(&versions, Links::Refused)? {
        numbers(&versions)?
    } else {
        Vec::new()
    };
    known.sort_unstable_by(|one, other| other.cmp(one));
    for number in known {
        if wanted.is_some() && certificate(&version_path(folder, number))? == wanted {
            return Ok(number);
        }
    }
    Err(damaged(
        current,
        &"it is a folder, and a copy of no version",
    ))
}

/// Makes a version the current one.
pub(super) fn switch(folder: &Path, number: u32) -> Result<(), StoreError> {
    let target = version_path(Path::new(""), number);
    let path = folder.join(CURRENT);
    let old = if path
        .symlink_metadata()
        .is_ok_and(|metadata| metadata.is_dir())
    {
        Some(set_aside(folder, &target).map_err(|error| unavailable("write", &path, error))?)
    } else {
        None
    };
    match link(folder, CURRENT, &target) {
        Err(error) if has_no_links(&error) => {
            write(&path, format!("{}\n", target.display()).as_bytes())?;
        }
        linked => linked?,
    }
    if let Some(old) = old {
        // What stays is removed with other leftovers, its key first.
        let removed = remove(&old.join(KEY));
        let removed = removed.map(|()| fs::remove_dir_all(&old));
        if !matches!(removed, Ok(Ok(()))) {
            tracing::debug!("the folder {} stays", old.display());
        }
    }
    Ok(())
}

/// Puts a link in the place of the folder `current`, in one step if the file system can do that. Returns where the
/// folder is now.
fn set_aside(folder: &Path, target: &Path) -> io::Result<std::path::PathBuf> {
    let path = folder.join(CURRENT);
    let new = tempfile::Builder::new()
        .prefix(NEW)
        .make_in(folder, |new| {
            match std::os::unix::fs::symlink(target, new) {
                Err(_) => File::create_new(new).map(|_| ()),
                linked => linked,
            }
        })?;
    let aside = new.into_temp_path();
    match renameat_with(CWD, &path, CWD, &*aside, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            fs::remove_file(&aside)?;
            fs::rename(&path, &aside)?;
        }
        exchanged => exchanged?,
    }
    aside.keep().map_err(|error| error.error)
}

/// Lets a file in the folder of the certificate be that of the current version, which has this number.
pub(super) fn expose(folder: &Path, file: &str, number: u32) -> Result<(), StoreError> {
    match link(folder, file, &Path::new(CURRENT).join(file)) {
        Err(error) if has_no_links(&error) => {
            let (from, to) = (version_path(folder, number).join(file), folder.join(file));
            let content = read_octets(&from, Access::Unchangeable)?;
            let content = content.ok_or_else(|| damaged(&from, &"it does not exist"))?;
            write(&to, &content)?;
            let readers = || match Permissions::of(File::open(&from)?)? {
                Some(readers) => readers.apply(File::open(&to)?),
                None => Ok(()),
            };
            readers().unwrap_or_else(|error| {
                tracing::debug!("{} has not the mode of the version: {error}", to.display());
            });
            Ok(())
        }
        linked => linked,
    }
}

/// Whether the file system has no symbolic links.
fn has_no_links(error: &StoreError) -> bool {
    let StoreError::Unavailable { source, .. } = error else {
        return false;
    };
    let source = source.downcast_ref::<io::Error>().map(io::Error::kind);
    // Linux answers EPERM for FAT, and FUSE ENOSYS.
    matches!(
        source,
        Some(ErrorKind::Unsupported | ErrorKind::PermissionDenied)
    )
}

/// The numbers of all versions.
pub(super) fn numbers(versions: &Path) -> Result<Vec<u32>, StoreError> {
    let failed = |error| unavailable("read", versions, error);
    let mut numbers = Vec::new();
    for entry in fs::read_dir(versions).map_err(failed)? {
        numbers.extend(number(&entry.map_err(failed)?.path()));
    }
    Ok(numbers)
}

fn number(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}
