//! `acme-alias providers`: what is compiled in.

use crate::failure::Failure;
use crate::output::Report;

pub(crate) fn run() -> Result<Report, Failure> {
    Ok(Report::Providers(acme_alias_core::registry::kinds()?))
}
