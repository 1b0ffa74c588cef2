//! `acme-alias`: TLS certificates by ACME DNS-01 through a CNAME alias zone. A library for the sake of
//! the fuzz targets alone; all that others can use is in `acme-alias-core` and the providers.

mod aliases;
mod audit;
mod cli;
mod commands;
mod failure;
mod flags;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod hook;
mod issuance;
mod needs;
mod output;
mod resolvers;
mod run;
mod settings;
mod workshop;

// A provider that nobody names is not linked, and what it registers is lost.
#[cfg(feature = "cloudflare")]
use acme_alias_cloudflare as _;
#[cfg(feature = "rfc2136")]
use acme_alias_rfc2136 as _;
#[cfg(feature = "route53")]
use acme_alias_route53 as _;
// End of the providers.

use std::io::IsTerminal;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, ConfigCommand, KeyCommand, LedgerCommand, OutputFormat};
use crate::failure::{Failure, Part};
use crate::output::{Format, Output, Report};
use crate::run::Run;

/// The program, from the command line to the exit code.
pub fn main() -> ExitCode {
    // Reads `FAILPOINTS`, and holds for as long as it lives.
    #[cfg(feature = "failpoints")]
    let _scenario = fail::FailScenario::setup();
    let cli = cli::parse();
    let output = Output {
        format: match cli.global.output {
            OutputFormat::Human => Format::Human,
            OutputFormat::Json => Format::Json,
        },
        quiet: cli.global.quiet,
        logging: cli.global.verbose > 0,
    };
    log(cli.global.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return end(output, Err(Failure::new(Part::Unexpected, &error, None))),
    };
    let result = runtime.block_on(command(cli, output));
    end(output, result)
}

/// Carries the command out; `None` where it has printed by itself.
async fn command(cli: Cli, output: Output) -> Result<Option<Report>, Failure> {
    let cancel = CancellationToken::new();
    cancel_on_signals(&cancel)?;
    let run = Run::new(cli, output, cancel);
    let report = match &run.cli.command {
        Command::Issue(args) => {
            run.audited(Box::pin(commands::issue::run(&run, args)))
                .await?
        }
        Command::Renew(args) => {
            run.audited(Box::pin(commands::renew::run(&run, args)))
                .await?
        }
        Command::List => commands::list::run(&run).await?,
        Command::Check(args) if args.write => {
            run.audited(Box::pin(commands::check::run(&run, args)))
                .await?
        }
        Command::Check(args) => commands::check::run(&run, args).await?,
        Command::Key(KeyCommand::Policy(args)) => {
            run.looking(commands::key::policy(&run, args)).await?
        }
        Command::Key(KeyCommand::Audit(args)) => {
            run.looking(commands::key::audit(&run, args)).await?
        }
        Command::Delegate(args) => run.looking(commands::delegate::run(&run, args)).await?,
        Command::Providers => commands::providers::run()?,
        Command::Config(ConfigCommand::Show) => commands::config::show(&run)?,
        Command::Config(ConfigCommand::Check) => commands::config::check(&run).await?,
        Command::Config(ConfigCommand::Schema) => {
            commands::pages::schema()?;
            return Ok(None);
        }
        Command::Ledger(LedgerCommand::Show(filter)) => commands::ledger::show(&run, filter)?,
        Command::Ledger(LedgerCommand::Verify) => commands::ledger::verify(&run)?,
        Command::Ledger(LedgerCommand::Reconcile) => {
            run.audited(commands::ledger::reconcile(&run)).await?
        }
        Command::Ledger(LedgerCommand::Export { git }) => {
            commands::ledger::export(&run, git.as_deref()).await?
        }
        Command::Ledger(LedgerCommand::DiffSerial { zone }) => {
            commands::ledger::diff_serial(&run, zone.as_ref()).await?
        }
        Command::Completions { shell } => {
            commands::pages::completions(*shell);
            return Ok(None);
        }
        Command::Man { dir } => {
            commands::pages::man(dir)?;
            return Ok(None);
        }
        Command::Reference { kind } => {
            commands::pages::reference(kind.as_deref())?;
            return Ok(None);
        }
    };
    Ok(Some(report))
}

fn end(output: Output, result: Result<Option<Report>, Failure>) -> ExitCode {
    match result {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(report)) => {
            output.report(&report);
            report.exit_code().into()
        }
        Err(failure) => {
            output.failure(&failure);
            failure.part.exit_code().into()
        }
    }
}

/// The first SIGINT or SIGTERM ends the work and withdraws what was written; a second one ends
/// the program as it stands.
fn cancel_on_signals(cancel: &CancellationToken) -> Result<(), Failure> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals = signal(kind).map_err(|e| Failure::new(Part::Unexpected, &e, None))?;
        let cancel = cancel.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if cancel.is_cancelled() {
                    std::process::exit(i32::from(Part::Interrupted.exit_code()));
                }
                cancel.cancel();
            }
        });
    }
    Ok(())
}

fn log(verbose: u8) {
    let filter = match verbose {
        0 => return,
        1 => "warn,acme_alias=info,acme_alias_core=info,acme_alias_rfc2136=info",
        2 => "info,acme_alias=debug,acme_alias_core=debug,acme_alias_rfc2136=debug",
        // At the lowest levels the AWS libraries show requests with their session token.
        _ => "trace,aws=info",
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Whoever links a provider must see it: this fails where one is lost on the way.
    #[test]
    fn the_registry_has_the_providers_of_the_enabled_features() {
        let kinds = acme_alias_core::registry::kinds().unwrap();
        let kinds: BTreeSet<_> = kinds.iter().map(|kind| kind.kind).collect();
        let enabled: BTreeSet<_> = [
            ("cloudflare", cfg!(feature = "cloudflare")),
            ("rfc2136", cfg!(feature = "rfc2136")),
            ("route53", cfg!(feature = "route53")),
            // End of the providers' features.
        ]
        .into_iter()
        .filter_map(|(kind, enabled)| enabled.then_some(kind))
        .collect();
        assert_eq!(kinds, enabled);
    }
}
