//! The program as the tests build it.

use std::path::PathBuf;
use std::process::Command;

use crate::step::{self, Failure};

/// With the whole workspace and an example, so that dependencies have the features that tests need, and are not built
/// twice.
const BUILD: &str = "build --workspace --bin acme-alias --example issue";
const PROGRAM: &str = "debug/acme-alias";
const DEMO: &str = "debug/examples/demo";

/// Builds the program, runs it with these arguments, and returns its standard output.
pub(crate) fn output(arguments: &str) -> Result<String, Failure> {
    step::cargo(BUILD)?;
    let program = built(PROGRAM)?;
    step::checked_output(
        &format!("{} {arguments}", program.display()),
        Command::new(&program).args(arguments.split(' ')),
    )
}

/// Builds the program and the demonstration of it, and runs that.
pub(crate) fn demo() -> Result<(), Failure> {
    step::cargo(&format!("{BUILD} --example demo"))?;
    let demo = built(DEMO)?;
    step::run(&demo.display().to_string(), &mut Command::new(&demo))
}

/// Where cargo puts this file. The folder is not always `target`: `CARGO_TARGET_DIR` and the settings of cargo change
/// it.
fn built(file: &str) -> Result<PathBuf, Failure> {
    let metadata = step::cargo_output("metadata --format-version 1 --no-deps")?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)
        .map_err(|error| Failure::Other(format!("`cargo metadata` printed no JSON: {error}")))?;
    let folder = metadata["target_directory"].as_str().ok_or_else(|| {
        Failure::Other("`cargo metadata` did not tell the target directory".to_owned())
    })?;
    Ok(PathBuf::from(folder).join(file))
}
