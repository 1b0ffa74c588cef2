//! The results of the commands that manage certificates and accounts.

use std::path::PathBuf;

use acme_alias_core::acme::{Account, AccountState};
use acme_alias_core::deploy::Deployment;
use acme_alias_core::engine::{Description, Forgotten, Remains};
use acme_alias_core::store::StoredCertificate;

use crate::failure::Failure;

/// Everything that is known of a certificate.
pub(crate) struct ShownCertificate {
    pub(crate) description: Description,
    /// Why the settings do not give a certificate that can be obtained.
    pub(crate) unusable: Option<Failure>,
    /// Where its files are, also if they are damaged.
    pub(crate) folder: PathBuf,
}

impl ShownCertificate {
    /// The current version, if it can be read.
    pub(super) fn current(&self) -> Option<&StoredCertificate> {
        self.description.current.as_ref()?.as_ref().ok()
    }

    /// Why the settings, or those that are stored with it, cannot be used.
    pub(super) fn settings_error(&self) -> Option<String> {
        let config = self.description.config.as_ref();
        let error = config.and_then(|config| config.as_ref().err());
        let unusable = self.unusable.as_ref().map(ToString::to_string);
        unusable.or_else(|| error.map(ToString::to_string))
    }

    /// Whether the current version was revoked.
    pub(super) fn is_revoked(&self) -> bool {
        let current = self.current().map(|current| current.version);
        current.is_some() && current == self.description.status.revoked
    }

    /// The targets of the current version, as far as a run has come to them.
    pub(super) fn targets(&self) -> &[Deployment] {
        let current = self.current().map(|current| current.version);
        let known = self.description.status.deployments.as_ref();
        let known = known.filter(|known| Some(known.version) == current);
        known.map_or(&[], |known| &known.targets)
    }

    /// The URL of the CA's directory: of the CA that issued the current version, or else of the one that is configured.
    pub(super) fn ca(&self) -> Option<&str> {
        let issued = self.current().map(|current| &*current.origin.directory);
        let config = self.description.config.as_ref();
        let config = config.and_then(|config| config.as_ref().ok());
        let configured = config.map(|config| config.environment.ca().directory());
        issued
            .filter(|directory| !directory.is_empty())
            .or(configured)
    }

    /// The names: those of the configuration, or else those of the current version.
    pub(super) fn names(&self) -> Vec<String> {
        let config = self.description.config.as_ref();
        if let Some(Ok(config)) = config {
            let names = config.request.names.iter();
            return names.map(|name| name.identifier.to_string()).collect();
        }
        self.current()
            .map(|current| current.info.names.clone())
            .unwrap_or_default()
    }
}

/// What was, or would be, deleted of a certificate.
pub(crate) struct ForgottenCertificate {
    pub(crate) remains: Remains,
    /// Whether its versions are deleted as well.
    pub(crate) purge: bool,
    pub(crate) folder: PathBuf,
    /// What was done; `None` if it was only asked what would be.
    pub(crate) done: Option<Forgotten>,
}

impl ForgottenCertificate {
    /// Whether TXT values may still be in a zone, so that nothing was deleted.
    pub(super) fn is_left(&self) -> bool {
        self.done.as_ref().is_some_and(|done| !done.left.is_empty())
    }
}

/// What was done to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountAction {
    None,
    Updated,
    RolledOver,
    Deactivated,
    Created,
}

/// An account, and what the CA has of it.
pub(crate) struct ShownAccount {
    pub(crate) action: AccountAction,
    pub(crate) account: Account,
    pub(crate) state: AccountState,
    /// The mail addresses in the settings.
    pub(crate) configured: Vec<String>,
    /// The URL of the terms of service.
    pub(crate) terms: Option<String>,
    /// The URLs of former accounts at the same CA.
    pub(crate) former: Vec<String>,
}
