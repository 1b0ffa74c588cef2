//! The arguments of the commands that manage certificates and accounts.

use std::path::PathBuf;

use acme_alias_core::acme::RevocationReason;
use acme_alias_core::store::CertificateId;
use clap::{Args, Subcommand};

use super::obtain::{Subject, parse_subject};

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The certificate; its current version is revoked
    #[arg(value_name = "ID", required_unless_present = "cert")]
    pub(crate) id: Option<CertificateId>,
    /// Revoke the certificate in this PEM file instead
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    pub(crate) cert: Option<PathBuf>,
    /// With --cert: the id of the CA in `[cas]` [default: that of `[acme]`]
    #[arg(long, value_name = "ID", requires = "cert")]
    pub(crate) ca: Option<String>,
    /// unspecified, key-compromise, affiliation-changed, superseded or cessation-of-operation
    #[arg(long, value_name = "REASON", default_value_t)]
    pub(crate) reason: RevocationReason,
}

#[derive(Debug, Args)]
pub(crate) struct ForgetCertificateArgs {
    /// The certificate
    #[arg(value_name = "ID")]
    pub(crate) id: CertificateId,
    /// Delete its keys and certificates as well
    #[arg(long)]
    pub(crate) purge: bool,
    /// Only list what would be deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The certificate: its id, or one of its names
    #[arg(value_name = "ID|NAME", value_parser = parse_subject)]
    pub(crate) certificate: Subject,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Show the account, and what the CA has of it
    Show(AccountArgs),
    /// Send the contacts of the settings to the CA
    Update(AccountArgs),
    /// Give the account another key; its URL stays
    Rollover(AccountArgs),
    /// End the account at the CA, for good
    Deactivate(DeactivateArgs),
    /// Create an account in place of the one in the state folder, which is kept aside
    New(AccountArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    /// The id of the CA in `[cas]` [default: that of `[acme]`]
    #[arg(long, value_name = "ID")]
    pub(crate) ca: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DeactivateArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// Confirm that nothing will be ordered or revoked with the account any more
    #[arg(long)]
    pub(crate) yes: bool,
}
