//! The arguments of the commands about the ledger.

use std::path::PathBuf;

use acme_alias_core::name::DnsName;
use acme_alias_core::txt::TxtValue;
use clap::{Args, Subcommand};
use jiff::Timestamp;

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Show the DNS changes, oldest first
    Show(LedgerFilter),
    /// Check that no line was changed, cut out or put in
    Verify,
    /// Remove the TXT values that killed runs left in their zones
    Reconcile,
    /// Drop a TXT value from the ledger that cannot be removed from its zone any more
    Forget(ForgetArgs),
    /// Commit what ended runs changed to a git repository, as text, one commit per run
    Export {
        /// The repository, or a folder in it [default: `audit-git` in the settings]
        #[arg(long, value_name = "DIR")]
        git: Option<PathBuf>,
    },
    /// Compare the serials of the alias zones with the ledger, to find changes that others made
    DiffSerial(DiffSerialArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DiffSerialArgs {
    /// Only this alias zone
    pub(crate) zone: Option<DnsName>,
    /// Record in the ledger that the changes found are known, with a note, such as "new NS records"
    #[arg(long, value_name = "NOTE", value_parser = parse_note)]
    pub(crate) acknowledge: Option<TxtValue>,
}

#[derive(Debug, Args)]
pub(crate) struct ForgetArgs {
    /// The alias name
    pub(crate) name: DnsName,
    /// The value [default: all values at that name]
    // One in 64 values of challenges begins with a hyphen.
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: Option<TxtValue>,
}

#[derive(Debug, Args)]
pub(crate) struct LedgerFilter {
    /// Only changes for this certificate
    #[arg(long, value_name = "ID")]
    pub(crate) certificate: Option<String>,
    /// Only changes in this alias zone
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<DnsName>,
    /// Only changes at this alias name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<DnsName>,
    /// Only changes from this time on, such as 2026-11-24 or 2026-11-24T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) since: Option<Timestamp>,
}

/// A note is kept like the value of a TXT record.
fn parse_note(text: &str) -> Result<TxtValue, &'static str> {
    let problem = "a note has 1 to 255 letters, digits and punctuation marks, all of them ASCII";
    text.parse().map_err(|_| problem)
}

/// A moment, or the beginning of a day in UTC.
fn parse_time(text: &str) -> Result<Timestamp, &'static str> {
    let moment = text
        .parse()
        .or_else(|_| format!("{text}T00:00:00Z").parse());
    moment.map_err(|_: jiff::Error| {
        "a time is a day, such as 2026-11-24, or a moment, such as 2026-11-24T00:00:00Z"
    })
}
