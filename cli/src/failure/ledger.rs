//! What to do about errors of the ledger.

use acme_alias_core::ledger::{GitExportError, LedgerAction, LedgerError, OpenValue};

use super::model::{Failure, Part};
use crate::trust;

/// What the reader can do about an error of the ledger.
pub(crate) fn remedy(error: &LedgerError) -> String {
    match error {
        LedgerError::Unavailable {
            action: LedgerAction::Read,
            ..
        } => "check that this user can read the files of the ledger; `acme-alias ledger verify` lists \
              damaged lines"
            .to_owned(),
        LedgerError::Untrusted(untrusted) => trust::remedy(untrusted, "go-rwx"),
        LedgerError::TooLong { .. } => {
            "this is a defect of the program; please report it".to_owned()
        }
        LedgerError::LongLine { .. } => {
            "if it is a copy in `other-ledgers`, copy the ledger of that host again; if it is the ledger of this host, run \
             `acme-alias ledger verify`"
                .to_owned()
        }
        LedgerError::TooManySteps { .. } => {
            "compare one zone at a time: `acme-alias ledger diff-serial ZONE`".to_owned()
        }
        // No DNS change is requested that cannot be recorded.
        _ => "no DNS change was requested; check that this user can write in the folder of the ledger \
              and that the disk has space"
            .to_owned(),
    }
}

/// The command that drops a value from the ledger.
pub(crate) fn forget_command(value: &OpenValue) -> String {
    format!("acme-alias ledger forget {} {}", value.name, value.value)
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Failure::new(Part::Store, &error, remedy(&error))
    }
}

/// What the reader can do about an export that failed.
pub(crate) fn git_export_remedy(error: &GitExportError) -> String {
    match error {
        GitExportError::Ledger(error) => remedy(error),
        GitExportError::NotAWorkTree { folder } => {
            format!("run `git init` in {}, or name another folder", folder.display())
        }
        GitExportError::NotRun { .. } => "install git, or remove the setting `audit-git`".to_owned(),
        GitExportError::MergeInProgress { .. } => {
            "finish the merge; the next run exports what is missing".to_owned()
        }
        _ => "the ledger keeps what is not exported; the next run or `acme-alias ledger export` exports \
              it"
            .to_owned(),
    }
}

impl From<GitExportError> for Failure {
    fn from(error: GitExportError) -> Self {
        Failure::new(Part::Store, &error, git_export_remedy(&error))
    }
}
