//! Errors of file operations.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::store::error::StoreError;
use crate::trusted::Untrusted;

/// The error of a file operation. A file or folder that was refused is named itself.
pub(super) fn unavailable(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    if let Some(untrusted) = Untrusted::in_error(&source) {
        return untrusted.clone().into();
    }
    StoreError::Unavailable {
        action,
        subject: path.display().to_string(),
        source: Arc::new(source),
    }
}

pub(super) fn damaged(path: &Path, cause: &dyn fmt::Display) -> StoreError {
    StoreError::Damaged {
        location: path.display().to_string(),
        cause: cause.to_string(),
    }
}

/// Whether an error means that there is nothing at this path.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
