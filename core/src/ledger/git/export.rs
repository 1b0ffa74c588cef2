//! The export as its users see it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::command::Git;
use super::error::GitExportError;
use super::repository::{Repository, check, recorded_lines};
use super::runs::RunExports;
use crate::ledger::contract::Ledger;
use crate::ledger::file::RecordedLine;
use crate::ledger::run_id::RunId;

/// Exports a ledger to a git repository, with the system's `git`.
///
/// The configuration of the user, the system and the repository has no influence on the commits:
/// they are not signed, no hooks run, and the content is not filtered.
#[derive(Clone, Debug)]
pub struct GitExport {
    git: Git,
}

impl GitExport {
    /// An export to `folder`: a repository, or a folder in one. It is created if it does not exist.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        GitExport {
            git: Git::new(folder.into()),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.git.folder()
    }

    /// Fails if the folder is no repository and cannot become one. Nothing is changed.
    pub async fn check(&self) -> Result<(), GitExportError> {
        check(&self.git).await
    }

    /// Commits every run that has ended and was not exported before; returns how many.
    ///
    /// `is_ended` returns whether all lines of a run are in the ledger; it is given the time of the
    /// first of them. If the future is dropped, the rest is exported the next time.
    pub async fn export(
        &self,
        ledger: &dyn Ledger,
        is_ended: impl Fn(&RunId, Timestamp) -> bool,
    ) -> Result<usize, GitExportError> {
        let mut repository = Repository::open(&self.git).await?;
        let exported = repository.exported().await?;
        let mut runs = RunExports::new(ledger, exported, is_ended).await?;
        let mut count = 0;
        while let Some(export) = runs.next().await? {
            repository.commit(export).await?;
            count += 1;
        }
        if count > 0 {
            repository.maintain().await;
        }
        Ok(count)
    }

    /// The lines of the ledger that the commits record: the last one of each run. Nothing is changed, and the
    /// repository may not exist.
    pub async fn recorded_lines(&self) -> Result<Vec<RecordedLine>, GitExportError> {
        recorded_lines(&self.git).await
    }

    /// As if the process had these environment variables.
    #[cfg(test)]
    pub(super) fn with_environment(mut self, variables: &[(&str, &str)]) -> Self {
        self.git.add_environment(variables);
        self
    }
}
