//! Tries `new-provider` on a copy of the workspace: what it makes must be clean, and must fail
//! its conformance test until somebody writes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{self, Failure};

const COPY: &str = "target/scaffold";
const NAME: &str = "carrier";

pub(crate) fn check() -> Result<(), Failure> {
    let copy = copy()?;
    let in_copy = |arguments: &str| {
        let mut command = step::cargo_command(arguments);
        // The dependencies are built already, in the target folder of this workspace.
        command
            .current_dir(&copy)
            .env("CARGO_TARGET_DIR", copy.with_file_name(""));
        command
    };
    let run = |arguments: &str| {
        let shown = format!("cargo {arguments} (in {COPY})");
        step::run(&shown, &mut in_copy(arguments))
    };
    run(&format!("xtask new-provider {NAME}"))?;
    run("fmt --all --check")?;
    run("clippy --workspace --all-targets -- --deny warnings")?;
    // With the whole workspace the dependencies have the features with which they are built already.
    let test = format!("test --workspace --test scenarios {NAME}_conforms");
    let output = step::output(&format!("cargo {test} (in {COPY})"), &mut in_copy(&test))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() && said.contains("rules do not hold") {
        return Ok(());
    }
    Err(Failure::Other(format!(
        "the conformance test of a provider that nobody has written should fail:\n{said}"
    )))
}

/// Copies all files that git tracks, or would.
fn copy() -> Result<PathBuf, Failure> {
    let failed =
        |path: &Path, error: std::io::Error| Failure::Other(format!("{}: {error}", path.display()));
    let copy = std::path::absolute(COPY).map_err(|error| failed(Path::new(COPY), error))?;
    if copy.exists() {
        fs::remove_dir_all(&copy).map_err(|error| failed(&copy, error))?;
    }
    let list = "ls-files -z --cached --others --exclude-standard";
    let output = step::output(
        &format!("git {list}"),
        Command::new("git").args(list.split(' ')),
    )?;
    let list = String::from_utf8_lossy(&output.stdout);
    for file in list.split_terminator('\0').map(Path::new) {
        // What was deleted and is still in the index is not there to be copied.
        if file.exists() {
            let to = copy.join(file);
            let folder = to.parent().unwrap_or(&copy);
            fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
            fs::copy(file, &to).map_err(|error| failed(&to, error))?;
        }
    }
    // Another version, so that what is built of the copy is not taken for what is built here.
    let manifest = copy.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(|error| failed(&manifest, error))?;
    let version = |version: &str| format!("version = \"{version}\"");
    let text = text.replace(&version(env!("CARGO_PKG_VERSION")), &version("0.0.0"));
    fs::write(&manifest, text).map_err(|error| failed(&manifest, error))?;
    Ok(copy)
}
