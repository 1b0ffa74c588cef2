//! The credentials of earlier accounts, which stay.

use secrecy::{ExposeSecret, SecretString};

use super::access::read_private;
use super::atomic::write;
use super::layout::Layout;
use crate::store::error::StoreError;

/// Copies the credentials of the account, and those that a change of its key was begun with, to the next free names,
/// unless they are there already.
pub(super) fn keep_former(layout: &Layout, directory: &str) -> Result<(), StoreError> {
    let mut former = former(layout, directory)?;
    for path in [layout.account(directory), layout.pending_account(directory)] {
        let Some(current) = read_private(&path)? else {
            continue;
        };
        if former.iter().any(|known| known.expose_secret() == current) {
            continue;
        }
        let number = u32::try_from(former.len()).unwrap_or(u32::MAX - 1) + 1;
        write(
            &layout.former_account(directory, number),
            current.as_bytes(),
        )?;
        former.push(current.into());
    }
    Ok(())
}

/// The credentials of earlier accounts, oldest first.
pub(super) fn former(layout: &Layout, directory: &str) -> Result<Vec<SecretString>, StoreError> {
    let mut former = Vec::new();
    for number in 1.. {
        match read_private(&layout.former_account(directory, number))? {
            Some(credentials) => former.push(credentials.into()),
            None => break,
        }
    }
    Ok(former)
}
