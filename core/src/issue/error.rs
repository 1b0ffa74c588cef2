//! Why there is no certificate.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::aliases::Aliases;
use super::silent::SilentServer;
use crate::acme::{AcmeError, CaError};
use crate::certificate::CertificateError;
use crate::delegation::{Finding, Severity};
use crate::name::{DnsName, Identifier};
use crate::store::StoreError;
use crate::zone::{ZoneError, ZoneFailure};

/// The step that failed, with its own error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// Delegations with which the challenge would fail. Warnings are among the findings as well.
    #[error("{}", delegation_summary(.0))]
    Delegation(Vec<Finding>),
    /// A TXT record could not be brought into its zone, or out of it.
    #[error("{source}")]
    Zone {
        /// The challenge names that cannot be answered because of it, as far as that is known.
        challenge_names: BTreeSet<DnsName>,
        /// What failed.
        source: Box<ZoneError>,
    },
    /// The CA, or the way to it.
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// The CA did not find the values at alias names that others use too, twice.
    #[error("{source}; all name servers that answer have the values, but the CA saw others, perhaps from its \
             cache: others use {} too",
        .alias_names.iter().map(DnsName::to_string).collect::<Vec<_>>().join(", "))]
    SharedName {
        /// The alias names.
        alias_names: Vec<DnsName>,
        /// What the CA reports.
        source: AcmeError,
    },
    /// The account at the CA could not be used.
    #[error(transparent)]
    Account(#[from] CaError),
    /// The CA returned something that must not be used.
    #[error("the CA's certificate cannot be used: {source}; it is kept in {location}")]
    Certificate {
        /// Why.
        source: CertificateError,
        /// Where it is kept.
        location: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The pre-flight was skipped, and only it can find the alias name.
    #[error(
        "{domain} has no configured alias, and the pre-flight that follows its CNAME is skipped"
    )]
    AliasNeeded {
        /// The identifier.
        domain: Identifier,
    },
    /// A name and its wildcard have two alias names. They share one CNAME.
    #[error("{first} and {second} share one challenge name, but have two different aliases")]
    Conflict {
        /// The one identifier.
        first: Identifier,
        /// The other.
        second: Identifier,
    },
    /// An earlier attempt failed, and its order is resumed without the names that failed.
    #[error("an earlier attempt failed: {0}")]
    Earlier(String),
    /// The work was cancelled.
    #[error("interrupted")]
    Interrupted,
}

impl IssueError {
    /// The failure of a certificate with these alias names.
    pub(super) fn in_zone(aliases: &Aliases, failure: ZoneFailure) -> Self {
        let ZoneFailure { names, source } = failure;
        let concerned = aliases.iter().filter(|(_, alias)| names.contains(*alias));
        IssueError::Zone {
            challenge_names: concerned.map(|(name, _)| name.clone()).collect(),
            source,
        }
    }

    /// How long the CA asks to wait before the next attempt.
    pub fn asked_pause(&self) -> Option<Duration> {
        match self {
            IssueError::Acme(error) | IssueError::Account(CaError::Acme(error)) => {
                error.asked_pause()
            }
            _ => None,
        }
    }

    /// Whether it failed at the CA, so that another CA may help.
    pub fn is_of_ca(&self) -> bool {
        match self {
            IssueError::Acme(error) => {
                !matches!(error, AcmeError::Validation(_) | AcmeError::Key(_))
            }
            IssueError::Account(_) => !self.is_of_store(),
            IssueError::Certificate { .. } => true,
            _ => false,
        }
    }

    /// Whether the store failed, or what it has of the account cannot be used: neither the CA nor the certificate is why.
    pub(crate) fn is_of_store(&self) -> bool {
        matches!(
            self,
            IssueError::Store(_)
                | IssueError::Account(
                    CaError::Store(_) | CaError::Acme(AcmeError::StoredAccount { .. })
                )
        )
    }
}

/// A failed job: the error, and what is still in a zone because withdrawing failed as well.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct IssueFailure {
    /// What failed first.
    #[source]
    pub error: IssueError,
    /// Why TXT values of this job may still be in a zone, one error for each zone.
    pub left_behind: Vec<ZoneError>,
    /// The name servers that did not answer, beside the failure.
    pub silent: Vec<SilentServer>,
    /// The version in use has the names that failed. From then on the certificate is obtained without them.
    pub kept_until: Option<Timestamp>,
}

impl IssueFailure {
    /// The same, if the CA could not validate, with the cause that others use the alias names.
    #[must_use]
    pub(crate) fn seen_with_others(self, aliases: &Aliases) -> Self {
        let error = match self.error {
            IssueError::Acme(source @ AcmeError::Validation(_)) => IssueError::SharedName {
                alias_names: aliases.names(),
                source,
            },
            error => error,
        };
        IssueFailure { error, ..self }
    }
}

impl From<IssueError> for IssueFailure {
    fn from(error: IssueError) -> Self {
        IssueFailure {
            error,
            left_behind: Vec::new(),
            silent: Vec::new(),
            kept_until: None,
        }
    }
}

fn delegation_summary(findings: &[Finding]) -> String {
    let is_error = |finding: &&Finding| finding.severity == Severity::Error;
    match findings.iter().filter(is_error).count() {
        1 => "a delegation is wrong".to_owned(),
        n => format!("{n} delegations are wrong"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::acme::TransportError;

    #[test]
    fn a_failure_of_the_store_is_none_of_the_ca() {
        let damaged = || StoreError::Damaged {
            location: "account.json".to_owned(),
            cause: "it is empty".to_owned(),
        };
        let reason: Box<dyn std::error::Error + Send + Sync> = "no JSON".into();
        let source = Arc::from(reason);
        let account = CaError::from(AcmeError::StoredAccount { source });
        for error in [
            IssueError::from(damaged()),
            IssueError::from(CaError::from(damaged())),
            IssueError::from(account),
        ] {
            assert!(error.is_of_store() && !error.is_of_ca(), "{error:?}");
        }
        let url = "https://ca.example".to_owned();
        let limit = Duration::from_secs(1);
        let silent = AcmeError::from(TransportError::Timeout { url, limit });
        for error in [
            IssueError::from(silent.clone()),
            IssueError::from(CaError::from(silent)),
        ] {
            assert!(error.is_of_ca() && !error.is_of_store(), "{error:?}");
        }
    }
}
