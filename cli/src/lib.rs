//! `acme-alias`: TLS certificates by ACME DNS-01 through a CNAME alias zone. A library for the sake of
//! the fuzz targets alone; everything that others can use is in `acme-alias-core` and the providers.

mod cli;
mod commands;
mod failure;
mod fill;
mod flags;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod import;
mod other_clients;
mod output;
mod provider_flags;
mod report;
mod settings;
mod setup;
mod signals;
mod sources;
mod system_folders;
mod trust;

// A provider that nobody names is not linked, and what it registers is lost.
#[cfg(feature = "cloudflare")]
use acme_alias_cloudflare as _;
#[cfg(feature = "exec")]
use acme_alias_exec as _;
#[cfg(feature = "powerdns")]
use acme_alias_powerdns as _;
#[cfg(feature = "rfc2136")]
use acme_alias_rfc2136 as _;
#[cfg(feature = "route53")]
use acme_alias_route53 as _;
// End of the providers.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, OutputFormat};
use crate::failure::{Failure, Part};
use crate::output::{Format, Output, Report};

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
    // What is still under way, such as a wait for a lock, must not delay the exit.
    runtime.shutdown_background();
    end(output, result)
}

/// Carries the command out; `None` if it has printed by itself.
async fn command(cli: Cli, output: Output) -> Result<Option<Report>, Failure> {
    let cancel = CancellationToken::new();
    let hangup_ends = !matches!(cli.command, Command::Run);
    signals::cancel_on_signals(&cancel, hangup_ends)?;
    commands::run(&cli, output, &cancel).await
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

fn log(verbose: u8) {
    let filter = match verbose {
        0 => return,
        1 => "warn,acme_alias=info,acme_alias_core=info,acme_alias_rfc2136=info",
        2 => "info,acme_alias=debug,acme_alias_core=debug,acme_alias_rfc2136=debug",
        // At the lowest levels the AWS libraries show requests with their session token.
        _ => "trace,aws=info",
    };
    // The validator shows whole answers of name servers, a hundred times each.
    let filter = format!("{filter},hickory_net::dnssec=error");
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never)
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
            ("exec", cfg!(feature = "exec")),
            ("powerdns", cfg!(feature = "powerdns")),
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
