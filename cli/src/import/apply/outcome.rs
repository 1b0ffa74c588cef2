//! What was written, and what was left.

use std::path::PathBuf;

use acme_alias_core::store::CertificateId;
use jiff::Timestamp;

use crate::failure::Part;
use crate::import::model::Problem;

/// What was written.
#[derive(Default)]
pub(crate) struct Applied {
    pub(crate) accounts: Vec<(String, String, AccountOutcome)>,
    pub(crate) certificates: Vec<(CertificateId, CertificateOutcome)>,
    /// The files of secrets.
    pub(crate) secrets: Vec<PathBuf>,
    /// Whether the settings file was written.
    pub(crate) has_settings: bool,
    pub(crate) problems: Vec<Problem>,
    /// The part that failed, if one did.
    pub(crate) failed: Option<Part>,
}

/// What became of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountOutcome {
    Stored,
    NewKey,
    OldKey,
    Known,
    Left,
}

/// What became of a certificate in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CertificateOutcome {
    /// It is stored until this time.
    Stored(Timestamp),
    /// It was there.
    Known,
    /// There was no certificate that could be used.
    Missing,
    /// Another one is there, or it is being worked on.
    Left,
}
