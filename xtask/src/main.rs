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

use std::process::{Command, ExitCode};

use clap::Parser;

use crate::docs::Mode;
use crate::setup::{LEGO, SERVERS};
use crate::step::{Failure, cargo, cargo_output};

/// The project's automation.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Install what tests and demo need: servers from Debian's packages, and a tool for cargo
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
        Task::Setup => setup::all(),
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
    setup::all()?;
    cargo("fmt --all --check")?;
    cargo("clippy --workspace --all-targets -- --deny warnings")?;
    features()?;
    docs::run(Mode::Check)?;
    cargo("test --workspace")?;
    scaffold::check()
}

/// Each provider alone, none, and all: they build, and the registry has what was asked for,
/// with and without optimisation.
fn features() -> Result<(), Failure> {
    let mut hack = Command::new(setup::cargo_hack()?);
    let arguments = "hack check --package acme-alias --each-feature";
    step::run(
        &format!("cargo {arguments}"),
        hack.args(arguments.split(' ')),
    )?;
    let providers = "-- providers --output json";
    let none = cargo_output(&format!(
        "run --package acme-alias --no-default-features {providers}"
    ))?;
    let all = cargo_output(&format!("run --package acme-alias {providers}"))?;
    let optimised = cargo_output(&format!("run --package acme-alias --release {providers}"))?;
    if none.contains("\"providers\":[]") && all == optimised {
        return Ok(());
    }
    Err(Failure::Other(format!(
        "the providers of builds differ from their features; none:\n{none}\nall:\n{all}\n\
         all, optimised:\n{optimised}"
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
    ))?;
    cargo(&format!(
        "run --package acme-alias-tests --example check_rate -- {runs}"
    ))?;
    cargo("run --package acme-alias-core --release --example ledger")
}
