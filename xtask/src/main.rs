//! The project's automation: `cargo xtask setup`, `test`, `demo`, `docs` and `bench`.

#![expect(
    clippy::print_stderr,
    reason = "it talks to the person at the terminal, and has no other output"
)]

mod docs;
mod new_provider;
mod scaffold;
mod setup;
mod step;

use std::process::ExitCode;

use clap::Parser;

use crate::docs::Mode;
use crate::setup::{LEGO, SERVERS};
use crate::step::{Failure, cargo, cargo_output};

/// The project's automation.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Install the servers that tests and demo need, from Debian's packages
    Setup,
    /// Check format and lints, build without providers, and run all tests
    Test,
    /// Obtain a certificate from a real CA on this machine, and show the way it took
    Demo,
    /// Write the generated parts of the documentation
    Docs,
    /// Begin a crate for a new provider
    NewProvider {
        /// Its kind: lower-case letters and digits
        name: String,
    },
    /// Measure this program beside `lego`
    Bench {
        /// Runs of each case, of which the medians are shown
        #[arg(default_value_t = 5)]
        runs: u32,
    },
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Setup => setup::run(SERVERS),
        Task::Test => test(),
        Task::Demo => demo(),
        Task::NewProvider { name } => new_provider::run(&name),
        Task::Docs => docs::run(Mode::Write),
        Task::Bench { runs } => bench(runs),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

fn test() -> Result<(), Failure> {
    setup::run(SERVERS)?;
    cargo("fmt --all --check")?;
    cargo("clippy --workspace --all-targets -- --deny warnings")?;
    without_providers()?;
    docs::run(Mode::Check)?;
    cargo("test --workspace")?;
    scaffold::check()
}

/// A build without any provider still runs, and says so.
fn without_providers() -> Result<(), Failure> {
    let said = cargo_output("run --package acme-alias --no-default-features -- providers")?;
    if said.contains("built without any provider") {
        return Ok(());
    }
    Err(Failure::Other(format!(
        "a build without providers says:\n{said}"
    )))
}

fn demo() -> Result<(), Failure> {
    setup::run(SERVERS)?;
    cargo("build --package acme-alias")?;
    cargo("run --package acme-alias-tests --example demo")
}

fn bench(runs: u32) -> Result<(), Failure> {
    setup::run(&[SERVERS, &[LEGO]].concat())?;
    cargo("build --package acme-alias --release")?;
    cargo(&format!(
        "run --package acme-alias-tests --example bench -- {runs}"
    ))
}
