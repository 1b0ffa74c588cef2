//! Deleting what is kept of a certificate.

use std::fs;
use std::path::Path;

use super::access::{check_dir, remove};
use super::atomic::sync_dir;
use super::current::numbers;
use super::errors::{is_missing, unavailable};
use super::layout::{KEY, ORDER, SETTINGS, STATUS, VERSIONS, version_path};
use super::set_aside;
use crate::store::error::StoreError;
use crate::trusted::Links;

/// Deletes settings, order and status, and with `purge` the whole folder, private keys first.
pub(super) fn forget(folder: &Path, purge: bool) -> Result<(), StoreError> {
    if !check_dir(folder, Links::Refused)? {
        return Ok(());
    }
    // The order contains a private key, and without settings nothing is renewed any more.
    for file in [ORDER, SETTINGS, STATUS] {
        remove(&folder.join(file))?;
    }
    if purge {
        set_aside::remove_all(folder)?;
        let versions = folder.join(VERSIONS);
        if check_dir(&versions, Links::Refused)? {
            for number in numbers(&versions)? {
                let version = version_path(folder, number);
                // A link leads to a folder that is not ours to delete.
                if check_dir(&version, Links::Refused)? {
                    remove(&version.join(KEY))?;
                }
            }
        }
        fs::remove_dir_all(folder).map_err(|error| unavailable("delete", folder, error))?;
    } else {
        remove_if_empty(folder)?;
    }
    folder.parent().map_or(Ok(()), sync_dir)
}

fn remove_if_empty(folder: &Path) -> Result<(), StoreError> {
    let failed = |error| unavailable("delete", folder, error);
    if fs::read_dir(folder).map_err(failed)?.next().is_some() {
        return sync_dir(folder);
    }
    match fs::remove_dir(folder) {
        Err(error) if !is_missing(&error) => Err(failed(error)),
        _ => Ok(()),
    }
}
