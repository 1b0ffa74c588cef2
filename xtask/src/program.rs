//! The program as the tests build it.

use std::process::Command;

use crate::step::{self, Failure};

/// With the whole workspace and an example, so that dependencies have the features that tests need, and are not built
/// twice.
const BUILD: &str = "build --workspace --bin acme-alias --example issue";
const PROGRAM: &str = "target/debug/acme-alias";
const DEMO: &str = "target/debug/examples/demo";

/// Builds the program, runs it with these arguments, and returns its standard output.
pub(crate) fn output(arguments: &str) -> Result<String, Failure> {
    step::cargo(BUILD)?;
    let mut program = Command::new(PROGRAM);
    step::checked_output(
        &format!("{PROGRAM} {arguments}"),
        program.args(arguments.split(' ')),
    )
}

/// Builds the program and the demonstration of it, and runs that.
pub(crate) fn demo() -> Result<(), Failure> {
    step::cargo(&format!("{BUILD} --example demo"))?;
    step::run(DEMO, &mut Command::new(DEMO))
}
