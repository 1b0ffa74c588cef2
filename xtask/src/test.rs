//! `cargo xtask test`: all checks and all tests, as continuous integration runs them.

use std::fs;
use std::num::NonZero;
use std::process::Command;
use std::thread;

use clap::ValueEnum;

use crate::docs::{self, Mode};
use crate::program;
use crate::scaffold;
use crate::setup;
use crate::source;
use crate::step::{self, Failure, cargo};
use crate::test_count::TestCount;

/// The folder of the provider crates.
const PROVIDERS: &str = "providers";

/// The steps, in their order: those that fail fast come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// The format of the source
    Format,
    /// The length of files, and imports that form a circle
    Source,
    /// Clippy, with warnings denied
    Lints,
    /// Bans, licences and sources of all dependencies
    Deny,
    /// The API documentation, with warnings denied
    Rustdoc,
    /// Builds with each provider alone, with none and with all
    Features,
    /// The generated parts of the documentation, and the links of its pages
    Docs,
    /// All tests
    Tests,
    /// The crate that `new-provider` generates
    Scaffold,
}

/// Runs all steps, or those in `only`. `count` gets the tests that ran.
pub(crate) fn run(only: &[Step], count: &mut Option<TestCount>) -> Result<(), Failure> {
    if !only.is_empty() {
        let steps = Step::value_variants().iter();
        let mut steps = steps.filter(|step| only.contains(step));
        return steps.try_for_each(|step| run_step(*step, count));
    }
    thread::scope(|scope| {
        // It waits for the network most of the time, and the steps before the tests need nothing of it.
        let mut installed = Some(scope.spawn(setup::programs));
        for step in Step::value_variants() {
            if *step == Step::Tests
                && let Some(installed) = installed.take()
            {
                let joined = installed.join();
                joined.unwrap_or_else(|_| Err(Failure::Other("setup panicked".to_owned())))?;
            }
            run_step(*step, count)?;
        }
        Ok(())
    })
}

fn run_step(step: Step, count: &mut Option<TestCount>) -> Result<(), Failure> {
    match step {
        Step::Format => cargo("fmt --all --check"),
        Step::Source => source::check(),
        Step::Lints => cargo("clippy --workspace --all-targets -- --deny warnings"),
        Step::Deny => deny(),
        Step::Rustdoc => rustdoc(),
        Step::Features => features(),
        Step::Docs => docs::run(Mode::Check),
        Step::Tests => tests(count),
        Step::Scaffold => scaffold::check(),
    }
}

/// Checks bans, licences and sources of all dependencies, by `deny.toml`.
pub(crate) fn deny() -> Result<(), Failure> {
    let arguments = "deny check bans licenses sources";
    let mut deny = Command::new(setup::cargo_deny()?);
    step::run(
        &format!("cargo {arguments}"),
        deny.args(arguments.split(' ')),
    )
}

fn rustdoc() -> Result<(), Failure> {
    // With an example, so that dependencies have the features for which Clippy has checked them.
    let arguments = "doc --workspace --no-deps --lib --bins --example issue";
    let mut command = step::cargo_command(arguments);
    command.env("RUSTDOCFLAGS", "--deny warnings");
    step::run(&format!("cargo {arguments}"), &mut command)
}

/// Checks builds with each provider alone, with none and with all. The registry of the last one must have the providers of the features: what
/// nothing refers to, the linker removes. Optimised builds are those of the benchmark, which writes by a provider.
fn features() -> Result<(), Failure> {
    let mut hack = Command::new(setup::cargo_hack()?);
    // The tests build the others.
    let arguments =
        "hack check --package acme-alias --each-feature --exclude-features default,failpoints";
    step::run(
        &format!("cargo {arguments}"),
        hack.args(arguments.split(' ')),
    )?;
    let all = program::output("providers --output json")?;
    let mut missing = provider_crates()?;
    missing.retain(|kind| !all.contains(&format!("\"kind\":\"{kind}\"")));
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::Other(format!(
        "providers are missing in a build with all features: {missing:?}; it has:\n{all}"
    )))
}

/// The providers that have a crate.
fn provider_crates() -> Result<Vec<String>, Failure> {
    let failed = |error| Failure::Other(format!("{PROVIDERS}: {error}"));
    let mut names = Vec::new();
    for entry in fs::read_dir(PROVIDERS).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    Ok(names)
}

/// Runs all tests, and counts them.
fn tests(count: &mut Option<TestCount>) -> Result<(), Failure> {
    let count = count.insert(TestCount::default());
    let arguments = "test --workspace --no-fail-fast";
    let mut command = step::cargo_command(arguments);
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    // Scenarios wait for servers, so that one more than the cores can work.
    command.env("RUST_TEST_THREADS", (cores + 1).to_string());
    step::run_by_line(&format!("cargo {arguments}"), &mut command, |line| {
        if let Some(more) = TestCount::from_line(line) {
            *count += more;
        }
    })
}
