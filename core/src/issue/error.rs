//! Why there is no certificate.

use crate::acme::AcmeError;
use crate::certificate::CertificateError;
use crate::delegation::{Finding, Severity};
use crate::name::Identifier;
use crate::store::StoreError;
use crate::zone::ZoneError;

/// The step that failed, with its own error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// Delegations that would fail or lead astray. Warnings are among the findings as well.
    #[error("{}", delegation_summary(.0))]
    Delegation(Vec<Finding>),
    /// A TXT record could not be brought into its zone, or out of it.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// The CA, or the way to it.
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// The CA handed out something that must not be used.
    #[error("the CA's certificate was not stored: {0}")]
    Certificate(#[from] CertificateError),
    /// The state folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The pre-flight was to be skipped, and an alias name can only be found by it.
    #[error(
        "{domain} has no alias in the settings, and without the pre-flight nobody looks where its CNAME leads"
    )]
    AliasNeeded {
        /// The identifier.
        domain: Identifier,
    },
    /// A name and its wildcard were given two alias names, and they have one CNAME.
    #[error(
        "{first} and {second} have one challenge name, and the settings name two aliases for it"
    )]
    Conflict {
        /// The one identifier.
        first: Identifier,
        /// The other.
        second: Identifier,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl IssueError {
    /// What the reader can do about it.
    pub fn remedy(&self) -> String {
        match self {
            IssueError::Delegation(_) => {
                "nothing was asked of the CA; mend these, and run the same command again".to_owned()
            }
            IssueError::Zone(error) => error.remedy(),
            IssueError::Acme(error) => error.remedy(),
            IssueError::Certificate(_) => {
                "the old certificate, if there was one, is untouched; tell the CA, and check the \
                 clock of this machine"
                    .to_owned()
            }
            IssueError::Store(error) => error.remedy(),
            IssueError::AliasNeeded { .. } => {
                "name the alias (`--challenge-alias` or `--domain-alias`), or leave \
                 `--skip-preflight` out"
                    .to_owned()
            }
            IssueError::Conflict { .. } => "name one alias for both".to_owned(),
            IssueError::Interrupted => "run the same command again".to_owned(),
        }
    }
}

/// A failed run: the error, and what is still in a zone because withdrawing failed as well.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct IssueFailure {
    /// What failed first.
    #[source]
    pub error: IssueError,
    /// Why TXT values of this run may still be in a zone; `None` where none is.
    pub left_behind: Option<ZoneError>,
}

impl From<IssueError> for IssueFailure {
    fn from(error: IssueError) -> Self {
        IssueFailure {
            error,
            left_behind: None,
        }
    }
}

fn delegation_summary(findings: &[Finding]) -> String {
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    match errors {
        1 => "a delegation is not in order".to_owned(),
        n => format!("{n} delegations are not in order"),
    }
}
