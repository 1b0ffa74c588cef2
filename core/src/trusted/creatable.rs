//! Whether a folder could be made, without making it.

use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::Access;

/// Returns the folder, or the closest one above it that exists. Fails unless that is one in which this user can make
/// files.
pub fn creatable_in(folder: &Path) -> io::Result<&Path> {
    let mut ancestors = folder.ancestors();
    let exists = |path: &&Path| match path.symlink_metadata() {
        Ok(_) => true,
        // Below a regular file there is nothing.
        Err(error) => error.kind() == ErrorKind::PermissionDenied,
    };
    let existing = ancestors.find(exists).unwrap_or(folder);
    if !existing.metadata()?.is_dir() {
        return Err(ErrorKind::NotADirectory.into());
    }
    rustix::fs::access(existing, Access::WRITE_OK | Access::EXEC_OK)?;
    Ok(existing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_folder_counts_and_a_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b/c");
        assert_eq!(creatable_in(&below).unwrap(), folder.path());
        assert_eq!(creatable_in(folder.path()).unwrap(), folder.path());
        std::fs::write(folder.path().join("a"), "").unwrap();
        for path in [below, folder.path().join("a")] {
            let error = creatable_in(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotADirectory, "{path:?}");
        }
    }
}
