//! A certificate that could not be obtained, and a run that could not begin.

use acme_alias_core::engine::{BuildError, JobError, RevokeError, RunError};
use acme_alias_core::issue::{IssueError, IssueFailure};
use acme_alias_core::registry::RegistryError;
use acme_alias_core::store::CertificateId;

use super::acme::certificate_remedy;
use super::model::{Failure, Part};
use super::zone::{of_zone, zone_in_words};

/// The failure of one certificate's job.
fn of_job(error: JobError) -> Failure {
    match error {
        JobError::Issue(failure) => of_issue(*failure),
        JobError::Store(error) => error.into(),
        JobError::Settings(error) => match error.source.downcast_ref::<Failure>() {
            Some(failure) => failure.clone(),
            None => Failure::new(Part::Settings, &error, None),
        },
        JobError::Unknown { id } => unknown_certificate(&id),
        JobError::Waiting { .. } => Failure::new(Part::Ca, &error, None),
        JobError::LeaseLost { .. } => Failure::new(
            Part::Store,
            &error,
            "see why this process was suspended or could not write to the state folder for two minutes"
                .to_owned(),
        ),
        error => Failure::new(
            Part::Unexpected,
            &error,
            "this is a defect of the program; please report it".to_owned(),
        ),
    }
}

/// Neither the settings nor the state has the certificate.
pub(crate) fn unknown_certificate(id: &CertificateId) -> Failure {
    Failure::new(
        Part::Settings,
        &format!("no settings and no flags describe a certificate `{id}`"),
        format!(
            "run `acme-alias list` to see the ids, or add `[certificates.{id}]` with its `domains` to the settings"
        ),
    )
}

fn of_issue(failure: IssueFailure) -> Failure {
    let IssueFailure {
        error,
        left_behind,
        silent,
        kept_until,
    } = failure;
    let left_behind: Vec<_> = left_behind.iter().map(zone_in_words).collect();
    let left_behind = (!left_behind.is_empty()).then(|| left_behind.join("; ").into());
    Failure {
        left_behind,
        silent: silent.into(),
        kept_until,
        ..of_step(error)
    }
}

/// Why names were left out.
pub(crate) fn of_left_out(error: IssueError) -> Failure {
    let failure = of_step(error);
    match failure.part {
        // A certificate was requested, without them.
        Part::Delegation => Failure {
            remedy: Some("correct these; the next `acme-alias renew` tries again".into()),
            ..failure
        },
        _ => failure,
    }
}

fn of_step(error: IssueError) -> Failure {
    let message = error.to_string();
    let failure = |part, remedy: &str| Failure::new(part, &message, remedy.to_owned());
    match error {
        IssueError::Delegation(findings) => Failure {
            findings: findings.into(),
            ..failure(
                Part::Delegation,
                "nothing was requested from the CA; correct these, and run the same command again",
            )
        },
        IssueError::SharedName { .. } => failure(
            Part::Ca,
            "use one alias name per domain: `acme-alias delegate --unique` prints the records",
        ),
        IssueError::Zone { source, .. } => of_zone(&source),
        IssueError::Acme(error) => error.into(),
        IssueError::Account(error) => error.into(),
        IssueError::Certificate { source, .. } => {
            Failure::new(Part::Ca, &message, certificate_remedy(&source))
        }
        IssueError::Store(error) => error.into(),
        IssueError::AliasNeeded { .. } => failure(
            Part::Settings,
            "name the alias (`--challenge-alias` or `--domain-alias`), or omit `--skip-preflight`",
        ),
        IssueError::Earlier(_) => Failure::new(Part::Ca, &message, None),
        IssueError::Conflict { .. } => failure(Part::Settings, "give both the same alias"),
        IssueError::Interrupted => failure(Part::Interrupted, "run the same command again"),
        _ => Failure::new(Part::Unexpected, &message, None),
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        of_job(error)
    }
}

impl From<RevokeError> for Failure {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::Ca(error) => error.into(),
            RevokeError::Store(error) => error.into(),
            error @ RevokeError::Unanswered { .. } => Failure::new(
                Part::Ca,
                &error,
                "run the same command again before the next `acme-alias renew`: this version counts as revoked, and \
                 `renew` replaces it; after that, the command would revoke the new version"
                    .to_owned(),
            ),
            RevokeError::Unknown { id } => unknown_certificate(&id),
            error => Failure::new(
                Part::Settings,
                &error,
                "give a PEM file that begins with the certificate".to_owned(),
            ),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Store(error) => error.into(),
            RunError::Ledger(error) => error.into(),
            RunError::Export(error) => error.into(),
            RunError::Interrupted => Failure::new(Part::Interrupted, &error, None),
            error => Failure::new(Part::Unexpected, &error, None),
        }
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Transport(error) => error.into(),
            error => Failure::new(Part::Settings, &error, None),
        }
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Failure::new(Part::Settings, &error, None)
    }
}
