//! Taking over what other ACME clients keep: reading their state folders, and writing settings and the store.

mod acme_sh;
mod acme_sh_accounts;
mod acme_sh_alias;
mod acme_sh_providers;
mod apply;
mod certbot;
mod certbot_providers;
mod dehydrated;
mod dehydrated_accounts;
mod domains_txt;
mod draft;
mod existing;
mod folder;
mod ini;
mod lego;
mod model;
mod new_file;
mod reader;
mod shell;
mod toml_text;
mod version;
mod words;

use std::path::Path;

use jiff::Timestamp;

pub(crate) use self::apply::{AccountOutcome, Applied, CertificateOutcome, apply};
pub(crate) use self::draft::Draft;
pub(crate) use self::existing::Existing;
pub(crate) use self::model::{Found, Problem};
use self::reader::Reader;
pub(crate) use self::toml_text::{comment, wrapped};
use crate::cli::OtherClient;
use crate::failure::Failure;

/// Reads the state folder of a client. `known` has the directory URLs of CAs that a client which keeps only their hosts
/// may mean. Nothing is written, and nothing is run.
pub(crate) fn read(
    client: OtherClient,
    folder: &Path,
    known: &[String],
    now: Timestamp,
) -> Result<Found, Failure> {
    let mut reader = Reader::open(folder, known, now)?;
    match client {
        OtherClient::AcmeSh => acme_sh::read(&mut reader),
        OtherClient::Lego => lego::read(&mut reader),
        OtherClient::Certbot => certbot::read(&mut reader),
        OtherClient::Dehydrated => dehydrated::read(&mut reader),
    }
    Ok(reader.found)
}
