//! Building executables of the workspace.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::error::{Context, Error, Result};

/// Runs `cargo build` with these arguments; returns the path of the executable of `target`.
pub(crate) fn build(target: &str, arguments: &[&str]) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--message-format", "json"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .context("cargo build")?;
    if !output.status.success() {
        return Err(Error::new(format_args!(
            "{target} does not build:\n{}",
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == target)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| Error::new(format_args!("cargo names no executable of {target}")))
}
