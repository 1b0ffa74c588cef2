//! Files with secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};

/// Where the bed keeps the secret of a key.
pub(crate) fn secret_file(root: &Path, key: &str) -> PathBuf {
    root.join(format!("{key}.secret"))
}

/// Writes a file that only its owner can read.
pub(crate) fn write_secret(path: &Path, secret: &str) -> Result {
    fs::write(path, secret).context(path.display())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(())
}
