//! Writing settings and secrets.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use acme_alias_core::trusted;
use tempfile::NamedTempFile;

/// Who can read a new file: its owner.
const MODE: u32 = 0o600;
/// Who can look into a new folder of settings: everybody.
const FOLDER_MODE: u32 = 0o755;

/// Fails if a file could not be written.
pub(super) fn check(path: &Path) -> io::Result<()> {
    written(&place(&real(path)?)?, "").map(drop)
}

/// Writes a file in one step in place of an earlier one, whose mode and group stay.
pub(super) fn replace(path: &Path, content: &str) -> io::Result<()> {
    let path = place(&real(path)?)?;
    let file = written(&path, content)?;
    if let Ok(metadata) = fs::metadata(&path) {
        let (user, group) = (metadata.uid(), metadata.gid());
        // Only root can give a file away; the group may be one that this user is not in.
        let _ = std::os::unix::fs::fchown(file.as_file(), Some(user), Some(group));
        let mode = metadata.mode() & 0o777;
        file.as_file()
            .set_permissions(Permissions::from_mode(mode))?;
    }
    file.persist(&path)?;
    sync(&path)
}

/// Writes a secret to a new file, and fails if there is one.
pub(super) fn create(path: &Path, secret: &str) -> io::Result<()> {
    let path = place(path)?;
    written(&path, secret)?.persist_noclobber(&path)?;
    sync(&path)
}

/// The path without links: a link leads to the file that is meant.
fn real(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(path.to_owned()),
        real => real,
    }
}

/// The path of a file, in a folder without links on its way. Nobody else can change this way. The folder is made if it
/// does not exist.
fn place(path: &Path) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(ErrorKind::InvalidInput.into());
    };
    let folder = std::path::absolute(folder_of(path))?;
    let above = trusted::creatable_in(&folder)?;
    let missing = folder.strip_prefix(above).map_err(io::Error::other)?;
    let above = fs::canonicalize(above)?;
    trusted::open_folder(&above, None)?;
    let folder = above.join(missing);
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(FOLDER_MODE).create(&folder)?;
    Ok(folder.join(name))
}

/// A new file beside its place.
fn written(path: &Path, content: &str) -> io::Result<NamedTempFile> {
    let folder = folder_of(path);
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(MODE))
        .tempfile_in(&folder)?;
    file.write_all(content.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn sync(path: &Path) -> io::Result<()> {
    trusted::sync_folder(&folder_of(path))
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_file_that_is_replaced_keeps_its_mode_and_a_new_one_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/config.toml");
        replace(&path, "one").unwrap();
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        replace(&path, "two").unwrap();
        assert_eq!(
            (fs::read_to_string(&path).unwrap(), mode(&path)),
            ("two".into(), 0o644)
        );
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, "three").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_secret_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        create(&path, "one").unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(create(&path, "two").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 1);
    }

    #[test]
    fn a_folder_is_made_below_the_place_that_was_checked() {
        let folder = tempfile::tempdir().unwrap();
        let (open, target) = (folder.path().join("open"), folder.path().join("target"));
        fs::create_dir(&open).unwrap();
        fs::create_dir(&target).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        for path in [open.join("new/secret"), open.join("new/newer/secret")] {
            assert!(create(&path, "one").is_err());
            assert_eq!(fs::read_dir(&open).unwrap().count(), 0);
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let path = place(&link.join("new/secret")).unwrap();
        assert_eq!(path, fs::canonicalize(target).unwrap().join("new/secret"));
    }

    #[test]
    fn nothing_is_written_in_a_folder_that_others_can_change() {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        assert!(create(&open.join("secret"), "one").is_err());
        assert!(check(&open.join("config.toml")).is_err());
        assert!(replace(&open.join("config.toml"), "one").is_err());
        assert_eq!(fs::read_dir(&open).unwrap().count(), 0);
    }
}
