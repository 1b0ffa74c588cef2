//! What became of the work for a certificate, and what is known of a CA: files that can be lost without harm.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::access::read;
use super::errors::unavailable;
use crate::store::error::StoreError;

/// The content of such a file. One that is damaged is empty.
pub(super) fn read_status<T: DeserializeOwned + Default>(path: &Path) -> Result<T, StoreError> {
    let text = match read(path) {
        Ok(text) => text,
        Err(StoreError::Damaged { .. }) => None,
        Err(error) => return Err(error),
    };
    let Some(text) = text else {
        return Ok(T::default());
    };
    Ok(serde_json::from_str(&text).unwrap_or_else(|error| {
        tracing::warn!("{} is damaged and not used: {error}", path.display());
        T::default()
    }))
}

/// What is to be written.
pub(super) fn to_json(status: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec_pretty(status)
        .map_err(|error| unavailable("write", Path::new("a status"), error.into()))
}
