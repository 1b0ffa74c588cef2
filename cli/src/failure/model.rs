//! A failure in words, and the part that failed.

use std::fmt;

use acme_alias_core::delegation::Finding;
use acme_alias_core::issue::SilentServer;
use jiff::Timestamp;
use serde::Serialize;

use crate::settings::SettingsError;

/// The part that failed; each has an exit code of its own.
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
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) part: Part,
    pub(crate) message: Box<str>,
    pub(crate) remedy: Option<Box<str>>,
    pub(crate) findings: Box<[Finding]>,
    /// TXT values that may still be in a zone, in words.
    pub(crate) left_behind: Option<Box<str>>,
    /// The certificate in use has the names that failed. From then on it is renewed without them.
    pub(crate) kept_until: Option<Timestamp>,
    /// The name servers that did not answer, beside the failure.
    pub(crate) silent: Box<[SilentServer]>,
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
            message: message.to_string().into(),
            remedy: remedy.into().map(Into::into),
            findings: Box::default(),
            left_behind: None,
            kept_until: None,
            silent: Box::default(),
            settings: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let mut failure = Failure::new(Part::Settings, &error, None);
        failure.settings = Some(Box::new(error));
        failure
    }
}
