//! The project's automation: `cargo xtask setup`, `test`, `deny`, `demo`, `docs`, `package`,
//! `new-provider` and `bench`.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "it is a program for people at a terminal"
)]

mod bench;
mod docs;
mod links;
mod new_provider;
mod package;
mod program;
mod sbom;
mod scaffold;
mod setup;
mod source;
mod step;
mod test;
mod test_count;

use std::process::ExitCode;

use clap::Parser;

use crate::docs::Mode;
use crate::setup::SERVERS;
use crate::step::Failure;

/// The project's automation.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Install what tests and demo need: servers from Debian's packages, and tools for cargo
    Setup,
    /// Run all checks and all tests
    Test {
        /// Run these steps only
        #[arg(long, value_delimiter = ',')]
        only: Vec<test::Step>,
    },
    /// Check bans, licences and sources of all dependencies (cargo-deny)
    Deny,
    /// Obtain a certificate from a real CA on this machine, and explain each step
    Demo,
    /// Write the generated parts of the documentation
    Docs,
    /// Make the Debian package, an archive, a bill of materials, and their checksums
    Package(package::PackageArgs),
    /// Generate a crate for a new provider
    NewProvider {
        /// Its kind: lower-case letters and digits
        name: String,
    },
    /// Measure this program, and compare it with `lego`
    Bench {
        /// Runs of each case, of which the medians are shown
        #[arg(default_value_t = 5)]
        runs: u32,
    },
}

fn main() -> ExitCode {
    let mut count = None;
    let done = match Task::parse() {
        Task::Setup => setup::all(),
        Task::Test { only } => test::run(&only, &mut count),
        Task::Deny => test::deny(),
        Task::Demo => demo(),
        Task::NewProvider { name } => new_provider::run(&name),
        Task::Package(args) => package::run(&args),
        Task::Docs => docs::run(Mode::Write),
        Task::Bench { runs } => bench::run(runs),
    };
    if let Err(failure) = &done {
        eprintln!("error: {failure}");
    }
    // The last line, whatever happened.
    if let Some(count) = count {
        println!("{count}");
    }
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.exit_code(),
    }
}

fn demo() -> Result<(), Failure> {
    setup::run(SERVERS)?;
    program::demo()
}
