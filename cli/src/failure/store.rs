//! What to do when the store fails.

use acme_alias_core::store::StoreError;

use super::model::{Failure, Part};

/// An imperative sentence for the reader; empty if there is nothing to do.
fn remedy(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable { .. } => {
            "make sure that the state folder (`--state`, or `state` in the settings) belongs to the \
             user who runs acme-alias, is writable, and has free space"
                .to_owned()
        }
        StoreError::Insecure { location, .. } => format!("run `chmod go-rwx {location}`"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loose_mode_is_mended_by_one_command() {
        let error = StoreError::Insecure {
            location: "/var/lib/acme-alias".to_owned(),
            mode: 0o777,
        };
        assert_eq!(remedy(&error), "run `chmod go-rwx /var/lib/acme-alias`");
    }
}
