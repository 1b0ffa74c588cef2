//! The files of the repository.

use std::path::PathBuf;
use std::process::Command;

use crate::step::{self, Failure};

/// All files that git does not ignore and that exist.
pub(crate) fn tracked() -> Result<Vec<PathBuf>, Failure> {
    let list = "ls-files -z --cached --others --exclude-standard";
    let output = step::output(
        &format!("git {list}"),
        Command::new("git").args(list.split(' ')),
    )?;
    let list = String::from_utf8_lossy(&output.stdout);
    let files = list.split_terminator('\0').map(PathBuf::from);
    // The index may still have files that were deleted.
    Ok(files.filter(|file| file.exists()).collect())
}
