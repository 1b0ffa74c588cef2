//! A file per command: arguments, settings, engine, report.

mod account;
mod check;
mod config;
mod daemon;
mod delegate;
mod forget;
mod forwarding;
mod import;
mod issue;
mod key;
mod ledger;
mod list;
mod offboard;
mod open_values;
mod outcome;
mod pages;
mod probe;
mod providers;
mod renew;
mod report;
mod revoke;
mod serials;
mod sharing;
mod show;
mod stop;

use tokio_util::sync::CancellationToken;

use self::stop::stoppable;
use crate::cli::{Cli, Command, ConfigCommand, KeyCommand, LedgerCommand};
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::setup::Setup;
use crate::sources::Sources;

/// Carries the command out; `None` if it has printed by itself.
pub(crate) async fn run(
    cli: &Cli,
    output: Output,
    cancel: &CancellationToken,
) -> Result<Option<Report>, Failure> {
    match &cli.command {
        Command::Completions { shell } => pages::completions(*shell),
        Command::Man { dir } => pages::man(dir)?,
        Command::Reference { kind } => pages::reference(kind.as_deref())?,
        Command::Config(ConfigCommand::Schema) => pages::schema()?,
        Command::Providers => return providers::run().map(Some),
        Command::Run => daemon::run(cli, output, cancel).await?,
        Command::Config(ConfigCommand::Show) => return config::show(&Sources::new(cli)?).map(Some),
        command => return with_settings(cli, command, output, cancel).await,
    }
    Ok(None)
}

/// The commands that need the settings.
async fn with_settings(
    cli: &Cli,
    command: &Command,
    output: Output,
    cancel: &CancellationToken,
) -> Result<Option<Report>, Failure> {
    let setup = setup(cli, command, output).await?;
    let report = match command {
        Command::Issue(args) => issue::run(cli, args, &setup, output, cancel).await?,
        Command::Renew(args) => renew::run(args, &setup, output, cancel).await?,
        Command::Report(args) => {
            stoppable(cancel, report::run(args, &setup)).await?;
            return Ok(None);
        }
        Command::List(args) => list::run(args, &setup, output).await?,
        Command::Show(args) => stoppable(cancel, show::run(args, &setup)).await?,
        Command::Revoke(args) => stoppable(cancel, revoke::run(args, &setup, output)).await?,
        Command::Forget(args) => forget::run(args, &setup, output, cancel).await?,
        Command::Import(args) => stoppable(cancel, import::run(cli, args, &setup)).await?,
        Command::Account(command) => stoppable(cancel, account::run(command, &setup)).await?,
        Command::Check(args) => check::run(args, &setup, output, cancel).await?,
        Command::Key(KeyCommand::Policy(args)) => {
            stoppable(cancel, key::policy(args, &setup, output)).await?
        }
        Command::Key(KeyCommand::Audit(args)) => {
            stoppable(cancel, key::audit(args, &setup, output)).await?
        }
        Command::Delegate(args) => stoppable(cancel, delegate::run(args, &setup, output)).await?,
        Command::Config(_) => config::check(&setup).await?,
        Command::Ledger(command) => return of_ledger(command, &setup, output, cancel).await,
        // They were handled before, without the settings.
        Command::Completions { .. }
        | Command::Man { .. }
        | Command::Reference { .. }
        | Command::Providers
        | Command::Run => {
            return Ok(None);
        }
    };
    Ok(Some(report))
}

/// The settings, with the certificates that only the state knows where a command is about all of them.
async fn setup(cli: &Cli, command: &Command, output: Output) -> Result<Setup, Failure> {
    let setup = Setup::new(Sources::new(cli)?).await?;
    for warning in &setup.settings.warnings {
        output.warning(warning);
    }
    let is_about_all = match command {
        // Its steps differ for certificates that are in no settings file.
        Command::Check(args) => args.offboard.is_none(),
        Command::Delegate(_) | Command::Key(_) | Command::Ledger(LedgerCommand::DiffSerial(_)) => {
            true
        }
        _ => false,
    };
    if !is_about_all {
        return Ok(setup);
    }
    let (setup, warnings) = setup.with_stored().await?;
    for warning in &warnings {
        output.warning(warning);
    }
    Ok(setup)
}

/// The commands about the ledger.
async fn of_ledger(
    command: &LedgerCommand,
    setup: &Setup,
    output: Output,
    cancel: &CancellationToken,
) -> Result<Option<Report>, Failure> {
    let report = match command {
        LedgerCommand::Show(filter) => {
            ledger::show(setup, filter, output).await?;
            return Ok(None);
        }
        LedgerCommand::Verify => ledger::verify(setup).await?,
        LedgerCommand::Reconcile => ledger::reconcile(setup, output, cancel).await?,
        LedgerCommand::Forget(args) => ledger::forget(setup, args, output, cancel).await?,
        LedgerCommand::Export { git } => ledger::export(setup, git.as_deref(), output).await?,
        LedgerCommand::DiffSerial(args) => serials::compare(setup, args, output, cancel).await?,
    };
    Ok(Some(report))
}
