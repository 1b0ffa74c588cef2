//! Whether a certificate's folder changed since it was read, at the cost of three `stat` calls.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::layout::{CERTIFICATE, version_path};
use crate::trusted;

const NANOS: i128 = 1_000_000_000;
/// A change that lies further in the future was made before the clock was set back.
const FUTURE: i128 = 3600 * NANOS;

/// Sums up when, and as which inodes, the parts of a certificate changed last. The time of a
/// change (`ctime`) cannot be set by programs, so that a folder from a backup is never mistaken for
/// the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub(super) hash: u64,
    /// The last change, in nanoseconds since 1970.
    changed: i128,
}

impl Fingerprint {
    /// Of the certificate's folder, which holds its settings, its order and the link to the current
    /// version; with `current` also of that version's folder and certificate. `None` if one of them
    /// cannot be read, or if others own or can change it.
    ///
    /// The link itself is not followed, because that takes longer: if it changes, so does the folder.
    pub(super) fn of(folder: &Path, current: Option<u32>) -> Option<Self> {
        let mut hasher = DefaultHasher::new();
        let mut changed = add(&mut hasher, folder).ok()?;
        if let Some(number) = current {
            let mut path = version_path(folder, number);
            changed = changed.max(add(&mut hasher, &path).ok()?);
            path.push(CERTIFICATE);
            changed = changed.max(add(&mut hasher, &path).ok()?);
        }
        Some(Fingerprint {
            hash: hasher.finish(),
            changed,
        })
    }

    /// Whether another change could follow the last one and have the same time, because the file
    /// system's clock showed `now` or less when reading began.
    pub(super) fn may_repeat(self, now: i128) -> bool {
        (now..now + FUTURE).contains(&self.changed)
    }
}

/// Adds a file or folder to the hash, and returns when it changed last.
fn add(hasher: &mut DefaultHasher, path: &Path) -> io::Result<i128> {
    let metadata = fs::symlink_metadata(path)?;
    if !trusted::is_trusted(path, &metadata) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let changed = nanos(metadata.ctime(), metadata.ctime_nsec());
    (metadata.ino(), metadata.size(), changed).hash(hasher);
    nanos(metadata.mtime(), metadata.mtime_nsec()).hash(hasher);
    Ok(changed)
}

/// What time the file system has: the time of a change that is made now to the file at `path`.
pub(super) fn file_system_time(path: &Path) -> io::Result<i128> {
    let mut file = trusted::open_in_place(path)?;
    file.write_all(b"\n")?;
    let metadata = file.metadata()?;
    Ok(nanos(metadata.ctime(), metadata.ctime_nsec()))
}

fn nanos(seconds: i64, nanos: i64) -> i128 {
    i128::from(seconds) * NANOS + i128::from(nanos)
}
