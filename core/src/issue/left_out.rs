//! The names of a certificate that cannot be had now, and the request without them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::error::IssueError;
use super::request::{CertificateRequest, LeftOut};
use crate::acme::{AcmeError, TransportError, ValidationFailure};
use crate::delegation::{Finding, Severity};
use crate::name::{DnsName, Identifier};

/// Names that were left out, as they are stored with an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredLeftOut {
    names: Vec<Identifier>,
    error: String,
}

impl From<&LeftOut> for StoredLeftOut {
    fn from(left_out: &LeftOut) -> Self {
        StoredLeftOut {
            names: left_out.names.clone(),
            error: match &left_out.error {
                IssueError::Earlier(error) => error.clone(),
                error => error.to_string(),
            },
        }
    }
}

impl From<StoredLeftOut> for LeftOut {
    fn from(stored: StoredLeftOut) -> Self {
        LeftOut {
            names: stored.names,
            error: IssueError::Earlier(stored.error),
        }
    }
}

impl CertificateRequest {
    /// The same without the names that the error is about. `None` if names may not be left out, or if the error is
    /// about none of them, or about all.
    pub(crate) fn without_failed(&self, error: &IssueError) -> Option<Self> {
        let failed = failed(error);
        let names = self.names.iter().map(|name| name.identifier.clone());
        let names = names.filter(|name| failed.has(name));
        let left_out = LeftOut {
            names: names.collect(),
            error: error.clone(),
        };
        (self.partial && !left_out.names.is_empty())
            .then(|| self.without(left_out))
            .flatten()
    }

    /// The same without these names; `None` if none would be left.
    pub(super) fn without(&self, left_out: LeftOut) -> Option<Self> {
        let mut request = self.clone();
        request
            .names
            .retain(|name| !left_out.names.contains(&name.identifier));
        request.left_out.push(left_out);
        (!request.names.is_empty()).then_some(request)
    }

    /// The names that are left out.
    pub(crate) fn names_left_out(&self) -> BTreeSet<String> {
        let left_out = self.left_out.iter();
        let names = left_out.flat_map(|left_out| &left_out.names);
        names.map(ToString::to_string).collect()
    }
}

/// The names that an error is about.
#[derive(Debug, Default)]
struct Failed {
    names: BTreeSet<String>,
    challenge_names: BTreeSet<DnsName>,
    /// Whether it is about all names below these as well.
    is_below: bool,
}

impl Failed {
    fn has(&self, name: &Identifier) -> bool {
        let is_about = |text: String| self.names.contains(&text);
        let mut domains = name.challenge_name().ancestors();
        is_about(name.to_string())
            || self.challenge_names.contains(name.challenge_name())
            || (self.is_below && domains.any(|domain| is_about(domain.to_string())))
    }
}

impl From<BTreeSet<String>> for Failed {
    fn from(names: BTreeSet<String>) -> Self {
        Failed {
            names,
            ..Failed::default()
        }
    }
}

fn failed(error: &IssueError) -> Failed {
    match error {
        IssueError::Delegation(findings) => {
            let errors = findings.iter();
            let errors = errors.filter(|finding| finding.severity == Severity::Error);
            let names = errors.flat_map(|Finding { domains, .. }| domains);
            let names: BTreeSet<_> = names.map(ToString::to_string).collect();
            names.into()
        }
        IssueError::Zone {
            challenge_names, ..
        } => Failed {
            challenge_names: challenge_names.clone(),
            ..Failed::default()
        },
        IssueError::Acme(error) | IssueError::SharedName { source: error, .. } => refused(error),
        _ => Failed::default(),
    }
}

/// The names that the CA could not validate, or refused.
fn refused(error: &AcmeError) -> Failed {
    let lowercase = |failure: &ValidationFailure| failure.identifier.to_ascii_lowercase();
    match error {
        // Boulder says which name it refuses in words alone, if it is only one.
        AcmeError::Problem {
            kind,
            detail,
            subproblems,
            ..
        } if subproblems.is_empty() && ["rejectedIdentifier", "caa"].contains(&kind.as_str()) => {
            names_in(detail).into()
        }
        // A limit may be that of a registered domain.
        AcmeError::Transport(TransportError::Status {
            status: 429,
            detail,
            ..
        }) => Failed {
            names: names_in(detail),
            is_below: true,
            ..Failed::default()
        },
        AcmeError::Validation(failures)
        | AcmeError::Problem {
            subproblems: failures,
            ..
        } => failures
            .iter()
            .map(lowercase)
            .collect::<BTreeSet<_>>()
            .into(),
        AcmeError::NoDns01 { name, .. } => BTreeSet::from([name.to_ascii_lowercase()]).into(),
        _ => Failed::default(),
    }
}

/// The words of a text that may be names.
fn names_in(text: &str) -> BTreeSet<String> {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || "-_.*".contains(c);
    let words = text.split(|c| !is_in_name(c));
    let words = words.map(|word| word.trim_end_matches('.').to_ascii_lowercase());
    words.filter(|word| word.contains('.')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::Operation;
    use crate::store::CertificateId;

    fn request(partial: bool) -> CertificateRequest {
        let id: CertificateId = "web".parse().unwrap();
        let names = ["a.example", "*.a.example", "b.example"];
        CertificateRequest {
            partial,
            ..CertificateRequest::new(id, names.map(|name| name.parse().unwrap()))
        }
    }

    fn failures(names: &[&str]) -> Vec<ValidationFailure> {
        let failure = |name: &&str| ValidationFailure {
            identifier: (*name).to_owned(),
            kind: "dns".to_owned(),
            detail: "none".to_owned(),
        };
        names.iter().map(failure).collect()
    }

    /// The names that are left; `None` if nothing is left out.
    fn left(partial: bool, error: AcmeError) -> Option<Vec<String>> {
        let request = request(partial).without_failed(&error.into())?;
        Some(
            request
                .identifiers()
                .iter()
                .map(ToString::to_string)
                .collect(),
        )
    }

    fn validation(names: &[&str]) -> AcmeError {
        AcmeError::Validation(failures(names))
    }

    fn refusal(names: &[&str]) -> AcmeError {
        AcmeError::Problem {
            operation: Operation::Order,
            kind: "rejectedIdentifier".to_owned(),
            detail: String::new(),
            subproblems: failures(names),
            retry_after: None,
        }
    }

    #[test]
    fn names_are_left_out_however_the_ca_says_that_they_fail() {
        let no_dns = AcmeError::NoDns01 {
            name: "*.A.example".to_owned(),
            offered: Vec::new(),
        };
        for error in [
            validation(&["*.a.example"]),
            refusal(&["*.A.EXAMPLE"]),
            no_dns,
        ] {
            assert_eq!(left(true, error).unwrap(), ["a.example", "b.example"]);
        }
    }

    #[test]
    fn a_name_that_the_ca_tells_in_words_alone_is_left_out() {
        let problem = |kind: &str, detail: &str| AcmeError::Problem {
            operation: Operation::Order,
            kind: kind.to_owned(),
            detail: detail.to_owned(),
            subproblems: Vec::new(),
            retry_after: None,
        };
        let words = "Cannot issue for \"B.example\": forbidden by policy.";
        for kind in ["rejectedIdentifier", "caa"] {
            let left = left(true, problem(kind, words));
            assert_eq!(left.unwrap(), ["a.example", "*.a.example"]);
        }
        let other = problem("rejectedIdentifier", "Cannot issue for bb.example.");
        assert_eq!(left(true, other), None);
        assert_eq!(left(true, problem("malformed", words)), None);
        let limit = AcmeError::Transport(TransportError::Status {
            url: "https://ca.example/new-order".to_owned(),
            status: 429,
            retry_after: None,
            detail: "too many certificates (50) already issued for \"a.example\"".to_owned(),
        });
        assert_eq!(left(true, limit).unwrap(), ["b.example"]);
    }

    #[test]
    fn nothing_is_left_out_without_the_setting_or_a_name_or_if_all_fail() {
        assert_eq!(left(false, validation(&["b.example"])), None);
        assert_eq!(left(true, refusal(&[])), None);
        assert_eq!(left(true, validation(&["c.example"])), None);
        let all = ["a.example", "*.a.example", "b.example"];
        assert_eq!(left(true, validation(&all)), None);
        let other = AcmeError::ExternalAccountRequired;
        assert_eq!(left(true, other), None);
    }

    #[test]
    fn what_is_left_out_is_wanted_all_the_same() {
        let whole = request(true);
        let once = whole.without_failed(&validation(&["b.example"]).into());
        let twice = once
            .unwrap()
            .without_failed(&refusal(&["a.example"]).into())
            .unwrap();
        assert_eq!(twice.names.len(), 1);
        let left_out = twice.names_left_out();
        assert!(left_out.iter().eq(["a.example", "b.example"]));
        assert_eq!(twice.terms("ca"), whole.terms("ca"));
    }
}
