//! Tries `new-provider` on a copy of the workspace. The new crate must have no warnings, its doc tests
//! must pass, and its conformance test must fail, because nobody has written the provider.

use std::fs;
use std::path::{Path, PathBuf};

use crate::source::tracked;
use crate::step::{self, Failure};

const COPY: &str = "target/scaffold";
const NAME: &str = "carrier";

pub(crate) fn check() -> Result<(), Failure> {
    let copy = copy()?;
    let in_copy = |arguments: &str| {
        let mut command = step::cargo_command(arguments);
        // In the target folder of this workspace, where the dependencies are built already.
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
    // With the whole workspace, so that the dependencies have the features that they are built with.
    let test = format!("test --workspace --test scenarios {NAME}_conforms");
    let shown = format!("cargo {test} (in {COPY}; it must fail)");
    let output = step::captured(&shown, &mut in_copy(&test))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    if output.status.success() || !stdout.contains("rules do not hold") {
        return Err(Failure::Other(format!(
            "the conformance test of an unwritten provider should fail on its rules:\n{stdout}\n{}",
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    run(&format!("test --workspace --doc providers/{NAME}"))
}

/// Copies all files that git does not ignore.
fn copy() -> Result<PathBuf, Failure> {
    let failed =
        |path: &Path, error: std::io::Error| Failure::Other(format!("{}: {error}", path.display()));
    let copy = std::path::absolute(COPY).map_err(|error| failed(Path::new(COPY), error))?;
    if copy.exists() {
        fs::remove_dir_all(&copy).map_err(|error| failed(&copy, error))?;
    }
    for file in tracked()? {
        let to = copy.join(&file);
        let folder = to.parent().unwrap_or(&copy);
        fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        fs::copy(&file, &to).map_err(|error| failed(&to, error))?;
    }
    // Another version, so that cargo does not mix up the builds of the copy and of this workspace.
    let manifest = copy.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(|error| failed(&manifest, error))?;
    let version = |version: &str| format!("version = \"{version}\"");
    let text = text.replace(&version(env!("CARGO_PKG_VERSION")), &version("0.0.0"));
    fs::write(&manifest, text).map_err(|error| failed(&manifest, error))?;
    Ok(copy)
}
