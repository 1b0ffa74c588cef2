//! Writing a file that others read while it is replaced.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use acme_alias_core::trusted::{self, Untrusted};
use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};

use crate::failure::{Failure, Part};
use crate::trust;

/// Everybody may read it: monitoring is another user.
const MODE: u32 = 0o644;
/// How the names of new files begin. Those who look for files by their ends must not take them for whole ones.
const NEW: &str = ".acme-alias-new-";

/// Writes a file (644) in one step: those who read it see the old text or the new one.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    replace(path, text).map_err(|error| {
        if let Some(untrusted) = Untrusted::in_error(&error) {
            let message = format!("could not write {}: {untrusted}", path.display());
            return Failure::new(Part::Unexpected, &message, trust::remedy(untrusted, "go-w"));
        }
        // In words, without its number.
        let cause = io::Error::from(error.kind());
        let message = format!("could not write {}: {cause}", path.display());
        let folder = folder_of(path).display();
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => {
                format!("make the folder {folder}, or name a file in another one")
            }
            _ => {
                format!("let this user write in the folder {folder}, or name a file in another one")
            }
        };
        Failure::new(Part::Unexpected, &message, remedy)
    })
}

/// The folder may belong to the monitoring, but nobody else can lead the file to another one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = trusted::open_folder_of_anyone(folder_of(path))?;
    let new = format!("{NEW}{:016x}.tmp", rand::random::<u64>());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut file = File::from(openat(&folder, &new, flags, Mode::RUSR | Mode::WUSR)?);
    let mut write = || {
        file.write_all(text.as_bytes())?;
        // Whatever the umask is.
        file.set_permissions(Permissions::from_mode(MODE))?;
        Ok(renameat(&folder, &new, &folder, name)?)
    };
    let written = write();
    if written.is_err() {
        // The first error matters.
        let _ = unlinkat(&folder, &new, AtFlags::empty());
    }
    written
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().unwrap_or(Path::new("/"));
    if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_and_everybody_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme-alias.prom");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let before = File::open(&path).unwrap();
        write(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(io::read_to_string(before).unwrap(), "old");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, MODE);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_with_a_remedy() {
        let failure = write(Path::new("/nowhere/x.html"), "").unwrap_err();
        assert!(failure.message.contains("/nowhere/x.html"));
        assert!(failure.remedy.unwrap().contains("the folder /nowhere,"));
    }
}
