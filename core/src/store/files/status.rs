//! What became of the work for a certificate, in a file of its folder.

use std::path::Path;

use super::access::read;
use super::layout::STATUS;
use crate::store::error::StoreError;
use crate::store::status::CertificateStatus;

/// The status in the folder of a certificate. One that is damaged is empty, because it can be lost without harm.
pub(super) fn read_status(folder: &Path) -> Result<CertificateStatus, StoreError> {
    let path = folder.join(STATUS);
    let text = match read(&path) {
        Ok(text) => text,
        Err(StoreError::Damaged { .. }) => None,
        Err(error) => return Err(error),
    };
    let Some(text) = text else {
        return Ok(CertificateStatus::default());
    };
    Ok(serde_json::from_str(&text).unwrap_or_else(|error| {
        tracing::warn!("{} is damaged and not used: {error}", path.display());
        CertificateStatus::default()
    }))
}
