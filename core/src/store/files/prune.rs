//! Deleting old versions of a certificate, and what killed processes left in its folder.

use std::fs;
use std::path::Path;

use super::access::remove;
use super::current::{current_number, numbers};
use super::errors::unavailable;
use super::layout::{KEY, OLD_LOCK, VERSIONS};
use super::leftovers::{remove_lock, remove_unfinished};
use super::set_aside;
use crate::store::error::StoreError;

/// Keeps the newest versions and the current one. The private key of every other version is
/// deleted first, so that no key stays when the rest fails.
pub(super) fn prune(folder: &Path, keep: usize) -> Result<(), StoreError> {
    let versions = folder.join(VERSIONS);
    let current = current_number(folder)?;
    let mut numbers = numbers(&versions)?;
    numbers.sort_unstable_by(|one, other| other.cmp(one));
    let old = numbers.into_iter().skip(keep.max(1));
    let old: Vec<_> = old
        .filter(|number| Some(*number) != current)
        .map(|number| versions.join(number.to_string()))
        // A link leads to a folder that is not ours to delete.
        .filter(|version| version.symlink_metadata().is_ok_and(|is| is.is_dir()))
        .collect();
    let keys = old.iter().map(|version| remove(&version.join(KEY)));
    let folders = old.iter().map(|version| {
        fs::remove_dir_all(version).map_err(|error| unavailable("delete", version, error))
    });
    // Whatever fails, everything else is tried.
    let results: Vec<_> = keys
        .chain(folders)
        .chain([
            remove_unfinished(&versions),
            remove_unfinished(folder),
            set_aside::remove_unfinished_of(folder),
            remove_lock(&folder.join(OLD_LOCK)),
        ])
        .collect();
    results.into_iter().collect()
}
