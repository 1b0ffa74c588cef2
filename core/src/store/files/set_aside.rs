//! Certificates that cannot be used. Somebody paid for them, so they are kept where the user can find them.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::access::{check_dir, make_dir, remove};
use super::atomic::{sync_dir, write};
use super::current::numbers;
use super::layout::{SET_ASIDE, set_aside_path};
use super::leftovers::remove_unfinished;
use crate::store::certificate::SetAside;
use crate::store::error::StoreError;
use crate::trusted::Links;

/// So many are kept of a certificate, the newest.
const KEPT: usize = 3;

/// Keeps one more in one file: the reason, what the CA sent, and the key. Returns the path.
pub(super) fn keep(folder: &Path, unusable: &SetAside) -> Result<PathBuf, StoreError> {
    let all = folder.join(SET_ASIDE);
    make_dir(folder)?;
    make_dir(&all)?;
    let mut kept = numbers(&all)?;
    kept.sort_unstable();
    let next = kept.last().map_or(1, |newest| newest.saturating_add(1));
    let path = set_aside_path(folder, next);
    write(&path, content(unusable).expose_secret().as_bytes())?;
    let old = kept.len().saturating_sub(KEPT - 1);
    for number in kept.into_iter().take(old) {
        remove(&set_aside_path(folder, number))?;
    }
    sync_dir(folder)?;
    Ok(path)
}

/// Text before and between PEM blocks is no part of them (RFC 7468 §2).
fn content(unusable: &SetAside) -> SecretString {
    let SetAside {
        order,
        reason,
        chain,
        key,
    } = unusable;
    let key = key.as_ref().map_or("", SecretString::expose_secret);
    let reason = reason.escape_debug();
    let order = order.escape_debug();
    format!("Not used: {reason}\nOrder: {order}\n\n{chain}\n{key}").into()
}

/// Deletes what a killed process left: it contains a private key.
pub(super) fn remove_unfinished_of(folder: &Path) -> Result<(), StoreError> {
    let all = folder.join(SET_ASIDE);
    if !check_dir(&all, Links::Refused)? {
        return Ok(());
    }
    remove_unfinished(&all)
}

/// Deletes them all: they contain private keys.
pub(super) fn remove_all(folder: &Path) -> Result<(), StoreError> {
    let all = folder.join(SET_ASIDE);
    if !check_dir(&all, Links::Refused)? {
        return Ok(());
    }
    remove_unfinished(&all)?;
    for number in numbers(&all)? {
        remove(&set_aside_path(folder, number))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::store::files::forget::forget;

    #[test]
    fn the_newest_are_kept_and_nobody_else_may_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut newest = PathBuf::new();
        for number in 1..=5 {
            let unusable = SetAside {
                order: "https://ca.example/order/1".to_owned(),
                reason: format!("reason {number}\n"),
                chain: "CHAIN".to_owned(),
                key: Some("KEY".to_owned().into()),
            };
            newest = keep(folder.path(), &unusable).unwrap();
        }
        let all = folder.path().join(SET_ASIDE);
        let mut kept = numbers(&all).unwrap();
        kept.sort_unstable();
        assert_eq!(kept, [3, 4, 5]);
        let content = fs::read_to_string(&newest).unwrap();
        let expected = "Not used: reason 5\\n\nOrder: https://ca.example/order/1\n\nCHAIN\nKEY";
        assert_eq!(content, expected);
        let mode = fs::metadata(&newest).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        forget(folder.path(), true).unwrap();
        assert!(!folder.path().exists());
    }
}
