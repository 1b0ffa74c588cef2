//! Where each file is.

use std::path::{Path, PathBuf};

use crate::lease::JobName;
use crate::store::id::{CertificateId, account_name};

pub(super) const KEY: &str = "privkey.pem";
pub(super) const CERTIFICATE: &str = "cert.pem";
pub(super) const CHAIN: &str = "chain.pem";
pub(super) const FULLCHAIN: &str = "fullchain.pem";
/// The files of a version that links in the certificate's folder lead to, beside its key.
pub(super) const PUBLIC_FILES: [&str; 3] = [CERTIFICATE, CHAIN, FULLCHAIN];
/// Where a version comes from.
pub(super) const VERSION: &str = "version.json";
pub(super) const CURRENT: &str = "current";
pub(super) const VERSIONS: &str = "versions";
pub(super) const DEPLOYED: &str = "deployed";
pub(super) const SETTINGS: &str = "settings.toml";
pub(super) const SET_ASIDE: &str = "set-aside";
pub(super) const ORDER: &str = "order.json";
pub(super) const STATUS: &str = "status.json";
/// Names that begin like this are being written.
pub(super) const NEW: &str = ".new-";
/// A lock on a certificate or on all accounts, by earlier versions of this program.
pub(super) const OLD_LOCK: &str = ".lock";

/// The folder of a version of the certificate in `folder`.
pub(super) fn version_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(VERSIONS).join(number.to_string())
}

/// The file of a certificate that cannot be used.
pub(super) fn set_aside_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(SET_ASIDE).join(number.to_string())
}

/// The paths below the root of a store.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: &Path) -> Self {
        Layout {
            root: root.to_owned(),
        }
    }

    /// The folders that every store has in its root. The others are made when they are needed.
    pub(super) fn folders(&self) -> [PathBuf; 2] {
        [self.accounts(), self.certificates()]
    }

    pub(super) fn root(&self) -> PathBuf {
        self.root.clone()
    }

    pub(super) fn accounts(&self) -> PathBuf {
        self.root.join("accounts")
    }

    pub(super) fn account(&self, directory: &str) -> PathBuf {
        let name = account_name(directory);
        self.accounts().join(format!("{name}.json"))
    }

    /// The credentials that a change of the account's key was begun with.
    pub(super) fn pending_account(&self, directory: &str) -> PathBuf {
        let name = account_name(directory);
        self.accounts().join(format!("{name}.pending.json"))
    }

    /// The credentials of an earlier account, counted from 1.
    pub(super) fn former_account(&self, directory: &str, number: u32) -> PathBuf {
        let name = account_name(directory);
        self.accounts().join(format!("{name}.former-{number}.json"))
    }

    pub(super) fn ca_status(&self, directory: &str) -> PathBuf {
        let name = account_name(directory);
        self.accounts().join(format!("{name}.status.json"))
    }

    /// The lock under which the status of any CA is changed.
    pub(super) fn ca_statuses_lock(&self) -> PathBuf {
        self.root.join(".cas.lock")
    }

    pub(super) fn certificates(&self) -> PathBuf {
        self.root.join("certificates")
    }

    pub(super) fn certificate(&self, id: &CertificateId) -> PathBuf {
        self.certificates().join(id.as_str())
    }

    pub(super) fn aliases(&self) -> PathBuf {
        self.root.join("aliases.json")
    }

    pub(super) fn aliases_lock(&self) -> PathBuf {
        self.root.join(".aliases.lock")
    }

    pub(super) fn index_log(&self) -> PathBuf {
        self.root.join("index.log")
    }

    pub(super) fn index_lock(&self) -> PathBuf {
        self.root.join(".index.lock")
    }

    /// The folder in which a process tests what the file system can do.
    pub(super) fn probe(&self) -> PathBuf {
        self.root.join(".probe")
    }

    pub(super) fn probe_lock(&self) -> PathBuf {
        self.root.join(".probe.lock")
    }

    pub(super) fn leases(&self) -> PathBuf {
        self.root.join("leases")
    }

    /// No kind and no name contains an `@`, so that no two jobs share a file.
    pub(super) fn lease(&self, job: &JobName) -> PathBuf {
        self.leases()
            .join(format!("{}@{}.json", job.kind(), job.name()))
    }

    pub(super) fn leases_lock(&self) -> PathBuf {
        self.leases().join(".lock")
    }

    pub(super) fn holders(&self) -> PathBuf {
        self.leases().join("holders")
    }

    pub(super) fn holder(&self, holder: &str) -> PathBuf {
        self.holders().join(holder)
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }

    /// When something was reported last, by earlier versions of this program.
    pub(super) fn old_notes(&self) -> PathBuf {
        self.root.join("noted.json")
    }

    pub(super) fn old_notes_lock(&self) -> PathBuf {
        self.root.join(".noted.lock")
    }

    /// Locks of running processes, by earlier versions of this program.
    pub(super) fn old_run_locks(&self) -> PathBuf {
        self.ledger().join("runs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_file_stays_in_its_folder() {
        let layout = Layout::new(Path::new("/state"));
        let odd = layout.account("https://../../etc/passwd");
        assert_eq!(odd.parent(), Some(Path::new("/state/accounts")));
    }
}
