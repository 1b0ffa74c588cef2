//! What to do when the store fails.

use acme_alias_core::store::StoreError;

use super::model::{Failure, Part};
use crate::trust;

/// An imperative sentence for the reader; empty if there is nothing to do.
fn remedy(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable { .. } => {
            "make sure that the state folder (`--state`, or `state` in the settings) belongs to the \
             user who runs acme-alias, is writable, and has free space"
                .to_owned()
        }
        StoreError::Untrusted(untrusted) => match trust::group_at_fault(untrusted) {
            Some(group) => format!(
                "run `chmod go-rwx {}`; or, if all members of its group may do what acme-alias can, set \
                 `state-group = \"{group}\"`",
                untrusted.path.display()
            ),
            None => trust::remedy(untrusted, "go-rwx"),
        },
        StoreError::Damaged { .. } => {
            "restore it from a backup, or issue the certificate again".to_owned()
        }
        StoreError::Busy { .. } => {
            "wait until the other process has finished, or let `--wait` wait for it".to_owned()
        }
        StoreError::LeaseLost { .. } => {
            "run the command again; see whether the clock jumped or the machine was suspended"
                .to_owned()
        }
        _ => String::new(),
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let remedy = Some(remedy(&error)).filter(|remedy| !remedy.is_empty());
        Failure::new(Part::Store, &error, remedy)
    }
}
