//! The command line.

mod import;
mod ledger;
mod manage;
mod obtain;

use std::ffi::OsString;
use std::path::PathBuf;

use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::printable::printable;
use acme_alias_core::rights::Scope;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use self::import::{ImportArgs, OtherClient};
pub(crate) use self::ledger::{DiffSerialArgs, ForgetArgs, LedgerCommand, LedgerFilter};
pub(crate) use self::manage::{
    AccountArgs, AccountCommand, DeactivateArgs, ForgetCertificateArgs, RevokeArgs, ShowArgs,
};
use self::obtain::parse_subject;
pub(crate) use self::obtain::{AliasFor, IssueArgs, RenewArgs, Subject};
use crate::other_clients::equivalent;
use crate::output::RecordFormat;
use crate::provider_flags::{self, ProviderFlag};

/// TLS certificates by ACME, with TXT records in an alias zone and nowhere else.
#[derive(Debug, Parser)]
#[command(name = "acme-alias", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Provider flags, `kind` by `option`; declared by the providers themselves.
    #[arg(skip)]
    pub(crate) provider_flags: Vec<ProviderFlag>,
}

const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  something unexpected, a deploy hook that failed, or a problem that `list --check` found
    2  the command line or the settings
    3  a delegation (CNAME) that is missing or wrong
    4  a TXT record that could not be written, propagated or withdrawn
    5  the certification authority
    6  the state folder
  130  interrupted";

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Global {
    /// Read this settings file instead of those of the system and the user; several are layers, the last one on top
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Vec<PathBuf>,
    /// Keep certificates, keys and accounts here
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Print results for people or as one JSON object
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    pub(crate) output: OutputFormat,
    /// Log what is done to standard error; twice for more, three times for all
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Show no progress and no warnings
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// The CA's directory: letsencrypt, letsencrypt-staging, zerossl, google or an https:// URL
    #[arg(
        long,
        global = true,
        value_name = "CA",
        help_heading = "Certification authority"
    )]
    pub(crate) directory: Option<String>,
    /// Use the staging directory of Let's Encrypt: its certificates are for tests, and its limits are wide
    #[arg(
        long,
        global = true,
        conflicts_with = "directory",
        help_heading = "Certification authority"
    )]
    pub(crate) staging: bool,
    /// Trust this root certificate (PEM) of a private CA as well
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Certification authority"
    )]
    pub(crate) ca_file: Option<PathBuf>,
    /// A mail address for the CA; may be repeated
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        help_heading = "Certification authority"
    )]
    pub(crate) contact: Vec<String>,
    /// Agree to the CA's terms of service
    #[arg(long, global = true, help_heading = "Certification authority")]
    pub(crate) agree_tos: bool,
    /// Start DNS walks at this resolver instead of the system's; may be repeated
    #[arg(long, global = true, value_name = "ADDRESS", help_heading = "DNS")]
    pub(crate) resolver: Vec<String>,
    /// How long TXT values may take to reach every server, such as 90s or 10m
    #[arg(long, global = true, value_name = "TIME", help_heading = "DNS")]
    pub(crate) propagation_timeout: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    #[default]
    Human,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Obtain a certificate
    Issue(IssueArgs),
    /// Renew every certificate that is due
    Renew(RenewArgs),
    /// Renew each certificate when it is due, in a loop that SIGTERM ends
    Run,
    /// Write the status page: problems with their remedies, certificates, renewals, limits and DNS changes
    Report(ReportArgs),
    /// List the certificates of the settings and of the state folder, those with problems first
    List(ListArgs),
    /// Show everything that is known of a certificate
    Show(ShowArgs),
    /// Revoke a certificate; the next `renew` obtains a new one
    Revoke(RevokeArgs),
    /// Delete what is kept of a certificate that is not in the settings any more
    Forget(ForgetCertificateArgs),
    /// Show or change the account at a CA
    #[command(subcommand)]
    Account(AccountCommand),
    /// Look at every delegation from all sides, without writing anything
    Check(CheckArgs),
    /// Print the records that the main zones need, and do not have yet
    Delegate(DelegateArgs),
    /// Print the narrowest grant for a key, or find out what a key can really do
    #[command(subcommand)]
    Key(KeyCommand),
    /// Take over accounts, certificates and settings of acme.sh, lego, certbot or dehydrated
    Import(ImportArgs),
    /// List the providers that are compiled in, with their options
    Providers,
    /// Show or check the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show, check or settle the record of all DNS changes
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages
    Man {
        /// The folder to write them to
        dir: PathBuf,
    },
    /// Print the tables of the reference: of the settings, or of a provider
    #[command(hide = true)]
    Reference {
        /// The kind of the provider
        kind: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print the problems only, and exit with code 1 if there are any; for monitoring
    #[arg(long)]
    pub(crate) check: bool,
    /// With --check: fewer days left are a problem [default: 7, or a quarter of a lifetime below 10 days]
    #[arg(long, value_name = "DAYS", requires = "check")]
    pub(crate) warn: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Write it to this file, or to standard output if it is `-`
    #[arg(long, value_name = "FILE")]
    pub(crate) html: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The domains, or ids of certificates [default: the domains of all certificates]
    #[arg(value_name = "DOMAIN|ID", value_parser = parse_subject)]
    pub(crate) subjects: Vec<Subject>,
    /// Write a probe at each alias name as well, time the way to each server, and withdraw it
    #[arg(long)]
    pub(crate) write: bool,
    /// Look again until all is in order, and tell what has changed
    #[arg(long)]
    pub(crate) watch: bool,
    /// Tell what still leads from this domain into the alias zones, and in which order to remove it
    #[arg(long, value_name = "DOMAIN", conflicts_with_all = ["subjects", "write", "watch"])]
    pub(crate) offboard: Option<Identifier>,
    /// The domain that names the authority in CAA records [default: that of a known directory]
    #[arg(long, value_name = "DOMAIN", help_heading = "CAA")]
    pub(crate) caa_issuer: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Print the narrowest grant for what the certificates need, for each server that the provider may be
    Policy(PolicyArgs),
    /// Find out what each key can really do, without changing anything
    Audit(AuditArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// How far the grant reaches
    #[arg(long, value_name = "SCOPE", default_value = "name")]
    pub(crate) scope: GrantScope,
    /// Make a new key of this name, with a fresh secret
    #[arg(long, value_name = "NAME")]
    pub(crate) new_key: Option<DnsName>,
}

/// How far a grant reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GrantScope {
    /// TXT at the alias names, and nowhere else
    Name,
    /// TXT at the alias names and below them
    Subdomain,
    /// TXT at any name of the alias zone, its apex among them
    Zone,
}

impl From<GrantScope> for Scope {
    fn from(scope: GrantScope) -> Self {
        match scope {
            GrantScope::Name => Scope::Name,
            GrantScope::Subdomain => Scope::Subdomain,
            GrantScope::Zone => Scope::Zone,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Only the key of this provider
    #[arg(long, value_name = "ID")]
    pub(crate) provider: Option<String>,
}

#[expect(clippy::struct_excessive_bools, reason = "flags are what they are")]
#[derive(Debug, Args)]
pub(crate) struct DelegateArgs {
    /// The domains [default: those of all certificates]
    #[arg(value_name = "DOMAIN")]
    pub(crate) domains: Vec<Identifier>,
    /// Print what is there already as well
    #[arg(long)]
    pub(crate) all: bool,
    /// Lead to `_acme-challenge.`ALIAS; with --unique or --by-domain, to a name of its own below ALIAS
    #[arg(
        long,
        value_name = "ALIAS",
        conflicts_with = "domain_alias",
        help_heading = "Alias"
    )]
    pub(crate) challenge_alias: Option<DnsName>,
    /// Lead to ALIAS itself
    #[arg(long, value_name = "ALIAS", help_heading = "Alias")]
    pub(crate) domain_alias: Option<DnsName>,
    /// Give each domain an alias name of its own that nobody can guess; it is kept
    #[arg(long, conflicts_with = "domain_alias", help_heading = "Alias")]
    pub(crate) unique: bool,
    /// Give each domain an alias name of its own, such as `example.com.auth.example.net`; it is kept
    #[arg(long, conflicts_with_all = ["domain_alias", "unique"], help_heading = "Alias")]
    pub(crate) by_domain: bool,
    /// Say by CAA records who may issue for the domains, and that nobody may for the alias zones
    #[arg(long, help_heading = "CAA")]
    pub(crate) caa: bool,
    /// The domain that names the authority in CAA records [default: that of a known directory]
    #[arg(long, value_name = "DOMAIN", requires = "caa", help_heading = "CAA")]
    pub(crate) caa_issuer: Option<String>,
    /// How the records are written
    #[arg(long, value_name = "FORMAT", default_value = "zone")]
    pub(crate) format: RecordFormat,
    /// Time to live of the records, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) ttl: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting and where it comes from
    Show,
    /// Check the settings, secrets included, without using the network
    Check,
    /// Print the JSON schema of a settings file, for editors
    Schema,
}

/// The definition of the command line, with the flags that the providers declare.
pub(crate) fn command() -> clap::Command {
    Cli::command().mut_subcommand("issue", |issue| issue.args(provider_flags::all()))
}

/// Leaves the program. For what only other clients have, the equivalent takes the place of a guess.
fn leave(mut error: clap::Error) -> ! {
    if let Some(equivalent) = equivalent(&error) {
        for guess in [
            ContextKind::SuggestedArg,
            ContextKind::SuggestedSubcommand,
            ContextKind::Suggested,
        ] {
            error.remove(guess);
        }
        let equivalent = StyledStr::from(equivalent);
        let suggested = ContextValue::StyledStrs(vec![equivalent]);
        error.insert(ContextKind::Suggested, suggested);
    }
    on_one_line(error).exit()
}

/// The error with what was given on one line: a line break in an argument must not begin a line that looks like ours.
fn on_one_line(mut error: clap::Error) -> clap::Error {
    let given = error.context().filter_map(|(kind, value)| match value {
        ContextValue::String(text) => Some((kind, ContextValue::String(printable(text)))),
        _ => None,
    });
    let given: Vec<_> = given.collect();
    for (kind, text) in given {
        error.insert(kind, text);
    }
    error
}

/// Reads the command line; leaves the program with code 2 if it is wrong.
pub(crate) fn parse() -> Cli {
    let matches = command().try_get_matches();
    let matches = matches.unwrap_or_else(|error| leave(error));
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| leave(error));
    if config_flags(std::env::args_os()) > cli.global.config.len() {
        let message = "`--config` was given before and after the command; give all files in one of both places";
        command().error(ErrorKind::ArgumentConflict, message).exit();
    }
    if let Some(("issue", issue)) = matches.subcommand() {
        cli.provider_flags = provider_flags::given(issue);
    }
    cli
}

/// How often `--config` is on a command line. Of a flag that may be in both places, clap drops those before the command if
/// there are some after it, and a file must not be ignored without a word.
fn config_flags(arguments: impl Iterator<Item = OsString>) -> usize {
    let is_config = |argument: &OsString| {
        let argument = argument.to_string_lossy();
        argument == "--config" || argument.starts_with("--config=")
    };
    let flags = arguments.take_while(|argument| argument != "--");
    flags.filter(is_config).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_config_flag_before_two_hyphens_is_counted() {
        let line = [
            "acme-alias",
            "--config",
            "a",
            "renew",
            "--config=b",
            "--",
            "--config",
        ];
        assert_eq!(config_flags(line.into_iter().map(OsString::from)), 2);
    }

    #[test]
    fn a_line_break_in_an_argument_begins_no_line() {
        for line in [
            ["acme-alias", "check\nexample.com: ok"],
            ["acme-alias", "--output=human\nexample.com: ok"],
            ["acme-alias", "--unknown\nexample.com: ok"],
            ["acme-alias", "--quiet=1\nexample.com: ok"],
        ] {
            let error = command().try_get_matches_from(line).unwrap_err();
            let text = on_one_line(error).to_string();
            assert!(!text.contains("\nexample.com"), "{text}");
            assert!(text.contains(" example.com: ok"), "{text}");
        }
    }

    #[test]
    fn the_definition_is_sound_with_every_provider_compiled_in() {
        command().debug_assert();
    }
}
