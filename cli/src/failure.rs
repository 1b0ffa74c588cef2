//! A run that failed: what is printed, and the exit code.

use std::fmt;

use acme_alias_core::acme::TransportError;
use acme_alias_core::delegation::Finding;
use acme_alias_core::issue::{IssueError, IssueFailure};
use acme_alias_core::ledger::LedgerError;
use acme_alias_core::registry::RegistryError;
use acme_alias_core::store::StoreError;
use acme_alias_core::zone::{WriteError, ZoneError};
use serde::Serialize;

use crate::settings::SettingsError;

/// The part of the way that failed; each has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    Unexpected,
    Settings,
    Delegation,
    Dns,
    Ca,
    Store,
    Interrupted,
}

impl Part {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Part::Unexpected => 1,
            Part::Settings => 2,
            Part::Delegation => 3,
            Part::Dns => 4,
            Part::Ca => 5,
            Part::Store => 6,
            Part::Interrupted => 130,
        }
    }
}

/// What went wrong, in words, and what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) part: Part,
    pub(crate) message: String,
    pub(crate) remedy: Option<String>,
    pub(crate) findings: Vec<Finding>,
    /// TXT values that may still be in a zone, in words.
    pub(crate) left_behind: Option<String>,
    /// Settings with their source are shown as the snippets that the reader wrote.
    pub(crate) settings: Option<Box<SettingsError>>,
}

impl Failure {
    pub(crate) fn new(
        part: Part,
        message: &dyn fmt::Display,
        remedy: impl Into<Option<String>>,
    ) -> Self {
        Failure {
            part,
            message: message.to_string(),
            remedy: remedy.into(),
            findings: Vec::new(),
            left_behind: None,
            settings: None,
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let mut failure = Failure::new(Part::Settings, &error, None);
        failure.settings = Some(Box::new(error));
        failure
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Failure::new(Part::Settings, &error, None)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::new(Part::Store, &error, error.remedy())
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Failure::new(Part::Store, &error, error.remedy())
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        IssueFailure::from(IssueError::Acme(error.into())).into()
    }
}

impl From<IssueFailure> for Failure {
    fn from(failure: IssueFailure) -> Self {
        let IssueFailure { error, left_behind } = failure;
        let part = match &error {
            IssueError::Delegation(_) => Part::Delegation,
            IssueError::Store(_)
            | IssueError::Zone(ZoneError::Write {
                source: WriteError::Ledger(_),
                ..
            }) => Part::Store,
            IssueError::Zone(_) => Part::Dns,
            IssueError::Acme(_) | IssueError::Certificate(_) => Part::Ca,
            IssueError::AliasNeeded { .. } | IssueError::Conflict { .. } => Part::Settings,
            IssueError::Interrupted => Part::Interrupted,
            _ => Part::Unexpected,
        };
        Failure {
            left_behind: left_behind.as_ref().map(in_words),
            remedy: Some(error.remedy()),
            message: error.to_string(),
            findings: match error {
                IssueError::Delegation(findings) => findings,
                _ => Vec::new(),
            },
            ..Failure::new(part, &"", None)
        }
    }
}

/// A withdrawal that failed, with what to do about it.
pub(crate) fn in_words(error: &ZoneError) -> String {
    format!("{error}; {}", error.remedy())
}
