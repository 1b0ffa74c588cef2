//! The system's `git`, for tests of what is exported to it.

use std::path::Path;
use std::process::Command;

use crate::error::{Context, Error, Result};
use crate::process;

/// Runs git in `folder`, which must succeed; returns what it printed.
pub fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(process::find("git")?)
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .context("git")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format_args!(
        "git {}: {said}",
        arguments.join(" ")
    )))
}
