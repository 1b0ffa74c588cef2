//! The ledger in a git repository: one commit per run, by the system's `git`, without a shell. Which
//! runs are there is read from the commits, so that what could not be exported waits in the ledger.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use acme_alias_core::ledger::{self, LedgerError, RUN_TRAILER, RunExport, RunId};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::failure::{Failure, Part};

/// A `git` that takes longer waits for somebody who is not there.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Who commits: the program, whoever it runs for.
const NAME: &str = "acme-alias";
const EMAIL: &str = "acme-alias@localhost";

/// The ledger could not be exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the ledger could not be exported to {}: {cause}", .path.display())]
    File { path: PathBuf, cause: String },
    #[error("the ledger could not be exported: `git {command}` in {} {cause}", .path.display())]
    Git {
        path: PathBuf,
        command: String,
        cause: String,
    },
    #[error("the ledger could not be exported: {} is no git repository, and not empty", .path.display())]
    NoRepository { path: PathBuf },
}

impl AuditError {
    pub(crate) fn remedy(&self) -> String {
        match self {
            AuditError::Ledger(error) => error.remedy(),
            AuditError::NoRepository { path } => {
                format!("run `git init` in {}, or name another folder", path.display())
            }
            AuditError::File { .. } | AuditError::Git { .. } => {
                "nothing is lost: what is not exported stays in the ledger, and goes out with the next \
                 run or `acme-alias ledger export`"
                    .to_owned()
            }
        }
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        Failure::new(Part::Store, &error, error.remedy())
    }
}

/// Commits every run of the ledger in `ledger` that has ended and is not in the repository `folder`,
/// which may be part of a larger one; returns how many.
pub(crate) async fn export(ledger: &Path, folder: &Path) -> Result<usize, AuditError> {
    let repository = Repository::open(folder).await?;
    if !ledger.is_dir() {
        return Ok(0);
    }
    let _turn = lock(ledger).await?;
    let exported = repository.exported().await?;
    let lines = ledger::read(ledger)?.lines;
    let mut living = BTreeSet::new();
    for run in lines.iter().map(|line| &line.run).collect::<BTreeSet<_>>() {
        if !exported.contains(run) && ledger::is_alive(ledger, run)? {
            living.insert(run.clone());
        }
    }
    let exports = ledger::exports(&lines, &exported, |run| !living.contains(run));
    for export in &exports {
        repository.commit(export).await?;
    }
    Ok(exports.len())
}

/// Waits until everything that the run began is written down: its last task may end after the command.
pub(crate) async fn wait_for_end(ledger: &Path, run: &RunId) -> Result<(), AuditError> {
    let (folder, run) = (ledger.to_owned(), run.clone());
    blocking(ledger, move || Ok(ledger::wait_for_end(&folder, &run)?)).await
}

/// Waits for a lock without holding up anything else.
async fn blocking<T: Send + 'static>(
    ledger: &Path,
    work: impl FnOnce() -> Result<T, AuditError> + Send + 'static,
) -> Result<T, AuditError> {
    let path = ledger.to_owned();
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        let cause = error.to_string();
        Err(AuditError::File { path, cause })
    })
}

/// Two processes that export at once would commit the same runs.
async fn lock(ledger: &Path) -> Result<fs::File, AuditError> {
    let path = ledger.join(".export.lock");
    blocking(ledger, move || {
        let mut options = fs::File::options();
        let opened = options.create(true).truncate(false).write(true).open(&path);
        let locked = opened.and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| AuditError::File {
            path,
            cause: error.to_string(),
        })
    })
    .await
}

struct Repository<'a> {
    folder: &'a Path,
}

impl<'a> Repository<'a> {
    /// The repository that `folder` is in; a new one where the folder is empty, or not there yet.
    async fn open(folder: &'a Path) -> Result<Self, AuditError> {
        let failed = |error: std::io::Error| AuditError::File {
            path: folder.to_owned(),
            cause: error.to_string(),
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let repository = Repository { folder };
        let inside = repository
            .run(&["rev-parse", "--is-inside-work-tree"], "")
            .await?;
        if !inside.status.success() {
            if fs::read_dir(folder).map_err(failed)?.next().is_some() {
                let path = folder.to_owned();
                return Err(AuditError::NoRepository { path });
            }
            repository.git(&["init", "--quiet"], "").await?;
        }
        Ok(repository)
    }

    /// The runs that were committed, in whatever branch is checked out.
    async fn exported(&self) -> Result<BTreeSet<RunId>, AuditError> {
        let head = ["rev-parse", "--quiet", "--verify", "HEAD"];
        if !self.run(&head, "").await?.status.success() {
            return Ok(BTreeSet::new());
        }
        let format = format!("--format=%(trailers:key={RUN_TRAILER},valueonly)");
        let log = self.git(&["log", &format, "--", "."], "").await?;
        Ok(log
            .lines()
            .filter_map(|line| line.trim().parse().ok())
            .collect())
    }

    async fn commit(&self, export: &RunExport) -> Result<(), AuditError> {
        for (file, text) in &export.files {
            let path = self.folder.join(file);
            let failed = |error: std::io::Error| AuditError::File {
                path: self.folder.join(file),
                cause: error.to_string(),
            };
            path.parent()
                .map_or(Ok(()), fs::create_dir_all)
                .map_err(failed)?;
            fs::write(&path, text).map_err(failed)?;
        }
        let files: Vec<_> = export
            .files
            .keys()
            .map(|file| file.to_string_lossy())
            .collect();
        let files: Vec<_> = files.iter().map(AsRef::as_ref).collect();
        self.git(&[&["add", "--"][..], &files].concat(), "").await?;
        // What somebody else has staged is not ours to commit.
        let date = format!("--date={}", export.time.strftime("%Y-%m-%dT%H:%M:%SZ"));
        let commit = ["commit", "--quiet", "--only", &date, "--file=-", "--"];
        self.git(&[&commit[..], &files].concat(), &export.message)
            .await?;
        Ok(())
    }

    /// Runs git, which must succeed; returns what it printed.
    async fn git(&self, arguments: &[&str], input: &str) -> Result<String, AuditError> {
        let output = self.run(arguments, input).await?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim();
        let said = if said.is_empty() { "nothing" } else { said };
        Err(self.failed(
            arguments,
            &format!("ended with {}, and said: {said}", output.status),
        ))
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Result<Output, AuditError> {
        let mut command = Command::new("git");
        // Not the repository that a hook or an alias of git's may have named.
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(variable);
        }
        for (variable, value) in [
            ("GIT_AUTHOR_NAME", NAME),
            ("GIT_AUTHOR_EMAIL", EMAIL),
            ("GIT_COMMITTER_NAME", NAME),
            ("GIT_COMMITTER_EMAIL", EMAIL),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("LC_ALL", "C"),
        ] {
            command.env(variable, value);
        }
        let child = command
            .arg("-C")
            .arg(self.folder)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child =
            child.map_err(|error| self.failed(arguments, &format!("could not be run: {error}")))?;
        let ended = async {
            if let Some(mut stdin) = child.stdin.take() {
                stdin.write_all(input.as_bytes()).await?;
            }
            child.wait_with_output().await
        };
        match tokio::time::timeout(TIMEOUT, ended).await {
            Ok(ended) => ended.map_err(|error| self.failed(arguments, &format!("failed: {error}"))),
            Err(_) => Err(self.failed(arguments, &format!("did not end within {TIMEOUT:?}"))),
        }
    }

    fn failed(&self, arguments: &[&str], cause: &str) -> AuditError {
        AuditError::Git {
            path: self.folder.to_owned(),
            command: arguments.first().copied().unwrap_or_default().to_owned(),
            cause: cause.to_owned(),
        }
    }
}
