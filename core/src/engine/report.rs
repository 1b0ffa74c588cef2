//! What a run did.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use jiff::Timestamp;

use super::certificates::UnreadableSettings;
use super::left_values::LeftValues;
use crate::deploy::Deployment;
use crate::issue::{IssueFailure, Issued, Plan};
use crate::ledger::{GitExportError, LedgerError, OpenValue, RunId};
use crate::program::ProgramError;
use crate::renewal::{Attempts, Due, Reason, Why};
use crate::store::{CertificateId, StoreError, StoredCertificate};

/// What a run did.
#[derive(Debug)]
pub struct RunReport {
    /// The run, as the ledger has it.
    pub run: RunId,
    /// Whether it was cancelled before all certificates were worked on.
    pub interrupted: bool,
    /// What was left of earlier runs.
    pub reconciliation: Reconciliation,
    /// The certificates that were worked on, by id.
    pub jobs: Vec<JobReport>,
    /// Why they were to be obtained.
    pub why: BTreeMap<CertificateId, Why>,
    /// The certificates that were not due, by id.
    pub not_due: Vec<NotDue>,
    /// The certificates that are due, and wait after failed attempts, by id.
    pub waiting: Vec<Waiting>,
    /// The targets that wait for their next attempts, by certificate.
    pub undeployed: BTreeMap<CertificateId, Vec<Undeployed>>,
    /// Of how many certificates somebody was notified; `None` if that is not configured.
    pub notified: Option<Result<usize, NotifyError>>,
    /// How many runs were exported; `None` if no export is configured, or if the run was cancelled.
    pub exported: Option<Result<usize, RunError>>,
}

/// A run that could not begin.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The changes of earlier runs could not be exported, and that is required.
    #[error(transparent)]
    Export(#[from] GitExportError),
    /// The run was cancelled before it began to work on certificates.
    #[error("interrupted")]
    Interrupted,
}

/// A notification that failed. The next run tries again.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// The command failed.
    #[error("the notification failed: {0}")]
    Program(#[from] ProgramError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of the values that ended or killed jobs had left in zones.
#[derive(Debug, Default)]
pub struct Reconciliation {
    /// Values that were still in a zone and were removed.
    pub removed: Vec<Arc<OpenValue>>,
    /// Values that had gone already.
    pub gone: usize,
    /// Values that may still be in a zone.
    pub left: LeftValues,
}

/// A certificate that was worked on.
#[derive(Debug)]
pub struct JobReport {
    /// The certificate.
    pub id: CertificateId,
    /// What was done.
    pub outcome: Result<JobOutcome, JobError>,
    /// Whether the CA may have opened an order for it.
    pub ordered: bool,
}

impl JobReport {
    /// The report of work for which no order was opened.
    pub(super) fn without_order(id: CertificateId, outcome: Result<JobOutcome, JobError>) -> Self {
        JobReport {
            id,
            outcome,
            ordered: false,
        }
    }
}

/// What was done for a certificate.
#[derive(Debug)]
pub enum JobOutcome {
    /// It was obtained and stored, and deployed unless targets are left.
    Issued {
        /// The certificate.
        issued: Box<Issued>,
        /// The targets that are not done. Later runs try again.
        undeployed: Vec<Undeployed>,
        /// From when on it is due.
        due: Due,
    },
    /// It had been stored before, and was deployed now unless targets are left.
    Deployed {
        /// The certificate.
        stored: Box<StoredCertificate>,
        /// The targets that are not done. Later runs try again.
        undeployed: Vec<Undeployed>,
    },
    /// Everything but the CA works.
    Rehearsed(Plan),
    /// Another process obtained it meanwhile.
    UpToDate,
    /// Another process is working on it.
    InProgress,
}

/// A target of a certificate that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undeployed {
    /// The target in words; `None` if the reason concerns all of them.
    pub target: Option<String>,
    /// Why it is not done.
    pub error: String,
    /// The end of the output of a command that failed in this run; empty if there was none.
    pub output: String,
    /// The end of the pause after failed attempts.
    pub until: Option<Timestamp>,
}

impl Undeployed {
    /// A target as it is stored.
    pub(super) fn of(target: &Deployment, output: Option<&String>) -> Self {
        let attempts = target.attempts.as_ref();
        let error = attempts.map_or("it was not tried in this run", |attempts| {
            attempts.error.as_str()
        });
        Undeployed {
            target: Some(target.name.clone()),
            error: error.to_owned(),
            output: output.cloned().unwrap_or_default(),
            until: attempts.map(|attempts| attempts.pause.until),
        }
    }

    /// All targets.
    pub(super) fn because(error: &dyn Error) -> Self {
        Undeployed {
            target: None,
            error: error.to_string(),
            output: String::new(),
            until: None,
        }
    }
}

/// A certificate that is not due.
#[derive(Clone, Debug)]
pub struct NotDue {
    /// The certificate.
    pub id: CertificateId,
    /// From when on it is due.
    pub due: Timestamp,
    /// Where that time comes from.
    pub reason: Reason,
    /// The last moment of its validity.
    pub not_after: Timestamp,
}

/// A certificate that waits for its next attempt.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The certificate.
    pub id: CertificateId,
    /// The time of the next attempt.
    pub until: Timestamp,
    /// Why it is to be obtained.
    pub why: Why,
    /// What it waits for.
    pub reason: WaitReason,
    /// The attempts that failed, if it waits because of them; `None` if the store has lost them meanwhile.
    pub attempts: Option<Attempts>,
}

/// What a certificate waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitReason {
    /// An attempt failed a short time ago.
    Failed,
    /// The CA allows no more orders now.
    Limit,
    /// Validations have failed, and the CA allows no more of them now.
    Validations,
    /// The CA has refused several orders, and asked to wait.
    Refused,
}

/// A job that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The certificate could not be obtained.
    #[error(transparent)]
    Issue(Box<IssueFailure>),
    /// The store cannot be used, or the certificate in it is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The settings stored with the certificate cannot be used.
    #[error(transparent)]
    Settings(#[from] UnreadableSettings),
    /// Neither the configuration nor the store knows the certificate.
    #[error("the certificate `{id}` is neither configured nor stored with its settings")]
    Unknown {
        /// The certificate.
        id: CertificateId,
    },
    /// The CA asks to wait before the next attempt.
    #[error("{} before {}", match .waiting.reason {
        WaitReason::Failed | WaitReason::Refused => "the CA asks for no other attempt",
        WaitReason::Limit => "the CA allows no more orders",
        WaitReason::Validations => "after failed validations, the CA allows no other one",
    }, .waiting.until.strftime("%Y-%m-%d %H:%M UTC"))]
    Waiting {
        /// For how long.
        waiting: Box<Waiting>,
    },
    /// The lease of the job was lost to another process.
    #[error("another process took over the certificate `{id}`")]
    LeaseLost {
        /// The certificate.
        id: CertificateId,
    },
    /// The job panicked. This is a defect.
    #[error("the work on the certificate `{id}` ended unexpectedly")]
    Defect {
        /// The certificate.
        id: CertificateId,
    },
}

impl From<Waiting> for JobError {
    fn from(waiting: Waiting) -> Self {
        JobError::Waiting {
            waiting: Box::new(waiting),
        }
    }
}

impl From<IssueFailure> for JobError {
    fn from(failure: IssueFailure) -> Self {
        JobError::Issue(Box::new(failure))
    }
}
