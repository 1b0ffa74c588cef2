//! The arguments of `import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

const IMPORT_EXAMPLES: &str = "\
Examples:
  acme-alias import acme.sh ~/.acme.sh       # prints the settings, and what is left out
  acme-alias import certbot /etc/letsencrypt --write
  acme-alias import lego ~/.lego --directory https://acme.example/dir

The files of the other client are neither run nor changed. An account with an RSA key
gets a new key at the CA with --write. The other client cannot use it any more then.";

#[derive(Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub(crate) struct ImportArgs {
    /// The other client
    #[arg(value_name = "CLIENT")]
    pub(crate) client: OtherClient,
    /// The folder in which it keeps its files, such as ~/.acme.sh, ~/.lego, /etc/letsencrypt or /etc/dehydrated
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Write the settings file and the state folder; what is there already stays
    #[arg(long)]
    pub(crate) write: bool,
}

/// A client whose files can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OtherClient {
    /// acme.sh
    #[value(name = "acme.sh")]
    AcmeSh,
    /// lego 4
    Lego,
    /// certbot
    Certbot,
    /// dehydrated
    Dehydrated,
}

impl OtherClient {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            OtherClient::AcmeSh => "acme.sh",
            OtherClient::Lego => "lego",
            OtherClient::Certbot => "certbot",
            OtherClient::Dehydrated => "dehydrated",
        }
    }
}
