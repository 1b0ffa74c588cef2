//! What happens with a certificate after it is stored: a program of the user's is run.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tokio::process::Command;

use crate::child_environment;
use crate::store::{StoreError, StoredCertificate};
use crate::trusted::{self, Access, Links, Untrusted};

/// A program that is run, without a shell, when a certificate has changed.
///
/// It gets three variables: `ACME_ALIAS_HOOK_CERTIFICATE` (the id), `ACME_ALIAS_HOOK_PATH` (where the certificate is
/// kept) and `ACME_ALIAS_HOOK_DOMAINS` (the names, separated by spaces). Of the
/// variables of this process it inherits only those of [`child_environment`]. Its standard output goes to standard
/// error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployHook {
    /// The program and its arguments.
    pub command: Vec<String>,
}

/// The prefix of the variables that a hook gets.
pub const VARIABLE_PREFIX: &str = "ACME_ALIAS_HOOK_";

/// A hook that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The program could not be run.
    #[error("the deploy hook `{program}` could not be run: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        source: Arc<std::io::Error>,
    },
    /// Others own the program or can change it. It did not run.
    #[error("the deploy hook was not run: {0}")]
    Untrusted(Untrusted),
    /// The program failed.
    #[error("the deploy hook `{program}` failed with {status}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The program ran, or there is none, and the store could not keep that.
    #[error("the store could not record that the certificate was deployed: {0}")]
    Record(#[from] StoreError),
}

impl DeployHook {
    /// Runs the program and waits for its end.
    pub async fn run(&self, stored: &StoredCertificate) -> Result<(), DeployError> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Ok(());
        };
        check(program).await?;
        let status = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(child_environment::inherited())
            .env(format!("{VARIABLE_PREFIX}CERTIFICATE"), stored.id.as_str())
            .env(format!("{VARIABLE_PREFIX}PATH"), &stored.location)
            .env(
                format!("{VARIABLE_PREFIX}DOMAINS"),
                stored.info.names.join(" "),
            )
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status()
            .await;
        let program = program.clone();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(DeployError::Failed { program, status }),
            Err(error) => Err(DeployError::Start {
                program,
                source: Arc::new(error),
            }),
        }
    }
}

/// Fails if others own the program or can change it. One that is named without a path is found in `PATH`, which
/// is trusted.
async fn check(program: &str) -> Result<(), DeployError> {
    if !program.contains('/') {
        return Ok(());
    }
    let path = PathBuf::from(program);
    let opened = tokio::task::spawn_blocking(move || {
        trusted::open(&path, Access::Unchangeable, Links::Followed)
    });
    match opened.await {
        Ok(Err(error)) => match Untrusted::in_error(&error) {
            Some(untrusted) => Err(DeployError::Untrusted(untrusted.clone())),
            // It may be executable and not readable. If it cannot be run, running it says why.
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_program_that_others_can_change_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hook");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        let program = path.to_str().unwrap();
        for (mode, is_run) in [(0o755, true), (0o700, true), (0o775, false), (0o757, false)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(check(program).await.is_ok(), is_run, "{mode:o}");
        }
        assert!(check("systemctl").await.is_ok());
        assert!(check("/no/such/program").await.is_ok());
    }
}
