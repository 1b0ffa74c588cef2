//! A git repository that commits are added to.
//!
//! Commits are made with the commands that run no hooks and no filters and sign nothing. What others
//! have staged stays staged: a tree is made in an index of its own, from the last commit.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use super::command::{Git, TIMEOUT};
use super::error::GitExportError;
use super::message::{LEDGER_TRAILER, RUN_TRAILER};
use super::runs::RunExport;
use super::work_tree;
use crate::ledger::file::RecordedLine;
use crate::ledger::run_id::RunId;
use crate::printable::is_unprintable;
use crate::trusted::{self, Links, creatable_in};

/// The most that the trailers of all commits may have, in octets. Those of half a million runs are less.
const TRAILERS_MAX: u64 = 64 << 20;
/// The most trailers that are kept. Others may have written millions.
const KEPT_MAX: usize = 500_000;
/// The file in the folder of the repository that is locked.
const LOCK: &str = "acme-alias.lock";
/// Digits of the hash of a line.
const HASH_DIGITS: usize = 64;
/// The pause before a lock is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// The repository that a folder is in.
#[derive(Debug)]
pub(super) struct Repository {
    git: Git,
    /// Where git keeps the repository.
    git_folder: PathBuf,
    /// The folder of its objects.
    objects: PathBuf,
    /// The folder that files are written in.
    folder: Arc<File>,
    /// The path of the folder in the repository, with a `/` at its end; empty at its top.
    prefix: Vec<u8>,
    /// The index for our trees.
    index: Index,
    /// Two processes that export at the same time would commit the same runs.
    _lock: File,
}

#[derive(Debug)]
struct Index {
    folder: TempDir,
    /// The commit whose content it has.
    commit: Option<String>,
}

impl Repository {
    /// Opens the repository that the folder is in, and locks it; a new one if the folder is empty or
    /// does not exist.
    pub(super) async fn open(git: &Git) -> Result<Self, GitExportError> {
        let mut git = git.clone();
        let folder = git.folder().to_owned();
        let opened = work_tree::open(&folder).map_err(|error| file_error(&folder, error))?;
        git.execute_git_only().await;
        if !is_repository(&mut git).await? {
            // No template: it could have hooks.
            let init = ["init", "--quiet", "--template=", "--initial-branch=main"];
            git.confine(&[canonical(&folder)?])?;
            git.command(&init).run().await?;
        }
        let index = tempfile::tempdir();
        let index = index.map_err(|error| file_error(&std::env::temp_dir(), error))?;
        let git_folder = path(&git, &["rev-parse", "--absolute-git-dir"]).await?;
        let common = path(&git, &["rev-parse", "--git-common-dir"]).await?;
        let (around, common) = (canonical(&folder)?, canonical(&folder.join(common))?);
        let checked = check_git_folders(&opened, &around, &git_folder, &common);
        checked.map_err(|error| file_error(&folder, error))?;
        let objects = common.join("objects");
        git.confine(&[git_folder.clone(), common, canonical(index.path())?])?;
        // Not where git says: others may have put a link in the place of the folder since it was checked.
        let lock = lock(&git_folder).await?;
        // Others may keep the lock for a while.
        git.disable_configured_hooks().await?;
        let merge = ["rev-parse", "--quiet", "--verify", "MERGE_HEAD"];
        if git.command(&merge).output().await?.status.success() {
            return Err(GitExportError::MergeInProgress { folder });
        }
        let prefix = path(&git, &["rev-parse", "--show-prefix"])
            .await?
            .into_os_string()
            .into_vec();
        Ok(Repository {
            git,
            git_folder,
            objects,
            folder: Arc::new(opened),
            prefix,
            index: Index {
                folder: index,
                commit: None,
            },
            _lock: lock,
        })
    }

    /// The runs that were committed on the branch that is checked out.
    pub(super) async fn exported(&self) -> Result<HashSet<RunId>, GitExportError> {
        // The lines between, which name the commits, are no ids of runs.
        let trailers = trailers(&self.git, RUN_TRAILER).await?;
        let mut runs = HashSet::new();
        for run in lines(&trailers).filter_map(|line| line.parse().ok()) {
            runs.insert(run);
            not_too_many(runs.len(), self.git.folder())?;
        }
        Ok(runs)
    }

    /// Writes the files of a run and commits them.
    pub(super) async fn commit(&mut self, export: RunExport) -> Result<(), GitExportError> {
        let mut entries = Vec::new();
        for (file, text) in export.files {
            let text = self.write(&file, text).await?;
            let object = ["hash-object", "-w", "--no-filters", "--stdin"];
            let object = self.git.command(&object).input(text).run().await?;
            entries.extend(format!("100644 {object} 0\t").into_bytes());
            entries.extend_from_slice(&self.prefix);
            entries.extend_from_slice(file.as_os_str().as_bytes());
            entries.push(0);
        }
        let head = self.head().await?;
        let tree = self.tree(head.as_deref(), &entries).await?;
        let time = export.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let mut commit = self.git.command(&["commit-tree", &tree]);
        if let Some(head) = &head {
            commit = commit.argument("-p").argument(head);
        }
        let commit = commit
            .variable("GIT_AUTHOR_DATE", time)
            .input(export.message)
            .run()
            .await?;
        // Before the branch moves: otherwise the index would take the change back.
        self.update_index(&entries, None).await?;
        let note = format!("acme-alias: export {}", export.run);
        let old = head.unwrap_or_default();
        let update = ["update-ref", "-m", &note, "HEAD", &commit, &old];
        self.git.command(&update).run().await?;
        self.index.commit = Some(commit);
        Ok(())
    }

    /// Lets git pack its objects when they are many. If that fails, nothing is lost. Not `gc`, which runs a
    /// program of the configuration (`gc.recentObjectsHook`) and deletes what others may need. Not where others could
    /// have put links to the objects of a repository that they cannot read: git would pack them for all to read.
    pub(super) async fn maintain(&self) {
        if let Err(error) = check_objects(&self.objects) {
            tracing::debug!(%error, "git is not asked to tidy up");
            return;
        }
        let maintenance = [
            "maintenance",
            "run",
            "--auto",
            "--quiet",
            "--task=loose-objects",
            "--task=incremental-repack",
        ];
        if let Err(error) = self.git.command(&maintenance).run().await {
            tracing::debug!(%error, "git could not tidy up");
        }
    }

    /// Writes a file; returns its text.
    async fn write(&self, file: &Path, text: String) -> Result<String, GitExportError> {
        let folder = Arc::clone(&self.folder);
        let path = self.git.folder().join(file);
        let file = file.to_owned();
        let write = move || work_tree::write(&folder, &file, text.as_bytes()).map(|()| text);
        let written = tokio::task::spawn_blocking(write).await;
        written
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| file_error(&path, error))
    }

    /// The last commit; none before the first.
    async fn head(&self) -> Result<Option<String>, GitExportError> {
        head(&self.git).await
    }

    /// The tree of the commit `head` with these entries.
    async fn tree(&mut self, head: Option<&str>, entries: &[u8]) -> Result<String, GitExportError> {
        let index = self.index.folder.path().join("index").into_os_string();
        if self.index.commit.as_deref() != head || head.is_none() {
            let read = self.git.command(&["read-tree", head.unwrap_or("--empty")]);
            read.variable("GIT_INDEX_FILE", &index).run().await?;
        }
        // If anything fails from here on, it has no commit's content.
        self.index.commit = None;
        self.update_index(entries, Some(&index)).await?;
        let write = self.git.command(&["write-tree"]);
        write.variable("GIT_INDEX_FILE", index).run().await
    }

    /// Puts entries into an index; none is the one of the repository. The work tree is empty meanwhile: git would
    /// compare files in it that may have changed, with the filters of the configuration (racy git).
    async fn update_index(
        &self,
        entries: &[u8],
        index: Option<&OsString>,
    ) -> Result<(), GitExportError> {
        let update = ["update-index", "--add", "--replace", "-z", "--index-info"];
        let empty = self.index.folder.path().join("empty");
        let made = tokio::fs::create_dir_all(&empty).await;
        made.map_err(|error| file_error(&empty, error))?;
        let update = self.git.command(&update).input(entries);
        let mut update = update.work_tree(&empty, &self.git_folder);
        if let Some(index) = index {
            update = update.variable("GIT_INDEX_FILE", index);
        }
        update.run().await.map(drop)
    }
}

/// The lines of the ledger that the commits record. A folder without a repository has none; nothing is changed.
pub(super) async fn recorded_lines(git: &Git) -> Result<Vec<RecordedLine>, GitExportError> {
    let mut git = git.clone();
    if !git.folder().is_dir() {
        return Ok(Vec::new());
    }
    git.execute_git_only().await;
    if !is_in_work_tree(&mut git).await? {
        return Ok(Vec::new());
    }
    let trailers = trailers(&git, LEDGER_TRAILER).await?;
    let place: Arc<Path> = git.folder().into();
    let mut recorded = Vec::new();
    for line in lines(&trailers) {
        // Others may have written millions of short ones.
        if let Some((sequence, hash)) = line.split_once(' ')
            && hash.len() == HASH_DIGITS
            && let Ok(sequence) = sequence.parse()
        {
            recorded.push(RecordedLine {
                sequence,
                hash: hash.to_owned(),
                place: Arc::clone(&place),
            });
            not_too_many(recorded.len(), git.folder())?;
        }
    }
    Ok(recorded)
}

/// The values of a trailer in the commits on the branch that is checked out, with lines that name the commits.
async fn trailers(git: &Git, trailer: &str) -> Result<Vec<u8>, GitExportError> {
    let Some(head) = head(git).await? else {
        return Ok(Vec::new());
    };
    let format = format!("--format=%(trailers:key={trailer},valueonly)");
    let list = git.command(&["rev-list", &format, &head, "--", "."]);
    list.may_print(TRAILERS_MAX).octets().await
}

/// The lines of trailers. What is no text is not ours.
fn lines(trailers: &[u8]) -> impl Iterator<Item = &str> {
    let lines = trailers.split(|octet| *octet == b'\n');
    lines.filter_map(|line| Some(str::from_utf8(line).ok()?.trim()))
}

fn not_too_many(kept: usize, folder: &Path) -> Result<(), GitExportError> {
    if kept <= KEPT_MAX {
        return Ok(());
    }
    let problem = format!("its commits have more than {KEPT_MAX} trailers of the ledger");
    Err(file_error(folder, io::Error::other(problem)))
}

async fn head(git: &Git) -> Result<Option<String>, GitExportError> {
    let head = ["rev-parse", "--quiet", "--verify", "HEAD^{commit}"];
    let output = git.command(&head).output().await?;
    let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(output.status.success().then_some(commit))
}

/// Fails if the folder cannot be exported to. Nothing is changed.
pub(super) async fn check(git: &Git) -> Result<(), GitExportError> {
    let mut git = git.clone();
    let folder = git.folder().to_owned();
    match creatable_in(&folder) {
        Ok(existing) => {
            let opened = trusted::open_folder_of_anyone(existing);
            opened.map_err(|error| file_error(&folder, error))?;
            if existing == folder {
                git.execute_git_only().await;
                is_repository(&mut git).await?;
            }
            Ok(())
        }
        Err(error) => Err(file_error(&folder, error)),
    }
}

/// Whether the folder is in a repository; if not, it is empty, and a repository can be made there.
async fn is_repository(git: &mut Git) -> Result<bool, GitExportError> {
    if is_in_work_tree(git).await? {
        return Ok(true);
    }
    let folder = git.folder().to_owned();
    let entry = match tokio::fs::read_dir(&folder).await {
        Ok(mut entries) => entries.next_entry().await,
        Err(error) => Err(error),
    };
    match entry.map_err(|error| file_error(&folder, error))? {
        Some(_) => Err(GitExportError::NotAWorkTree { folder }),
        None => Ok(false),
    }
}

/// Whether the folder is in the work tree of a repository.
async fn is_in_work_tree(git: &mut Git) -> Result<bool, GitExportError> {
    let mut outcome = ask(git).await;
    if let Err(GitExportError::Failed { stderr, .. }) = &outcome
        && stderr.contains("dubious ownership")
    {
        git.respect_safe_folders().await;
        outcome = ask(git).await;
    }
    match outcome {
        Ok(answer) => Ok(answer == "true"),
        Err(GitExportError::Failed { stderr, .. }) if stderr.contains("not a git repository") => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

async fn ask(git: &Git) -> Result<String, GitExportError> {
    git.command(&["rev-parse", "--is-inside-work-tree"])
        .run()
        .await
}

/// Fails if others could have chosen the folder of the repository, or the one that its work trees share: by a link, a file
/// `.git` or a file `commondir`; or if the folder that is open is not the one at `folder` any more.
fn check_git_folders(
    opened: &File,
    folder: &Path,
    git_folder: &Path,
    common: &Path,
) -> io::Result<()> {
    let (there, opened) = (folder.metadata()?, opened.metadata()?);
    if (there.dev(), there.ino()) != (opened.dev(), opened.ino()) {
        return Err(io::Error::other("it was replaced"));
    }
    let mut usual = folder.ancestors().map(|around| around.join(".git"));
    if usual.any(|usual| usual == git_folder) && common == git_folder {
        return Ok(());
    }
    // Others may have chosen it, and errors show it.
    if git_folder.to_string_lossy().chars().any(is_unprintable) {
        let problem = "the path of its repository has control characters";
        return Err(io::Error::other(problem));
    }
    let mut around = folder.ancestors();
    let top = around.find(|around| around.join(".git").symlink_metadata().is_ok());
    for folder in top.into_iter().chain([git_folder]) {
        trusted::check_folder(folder, Links::Refused)?;
        // Nor could they have put another one there while git looked.
        trusted::open_folder(folder, None)?;
    }
    Ok(())
}

/// Fails if others can put something into the folder of the objects, into one in it, or in its place.
fn check_objects(objects: &Path) -> io::Result<()> {
    for around in objects.parent().into_iter().chain([objects]) {
        trusted::check_folder(around, Links::Refused)?;
    }
    for entry in std::fs::read_dir(objects)? {
        trusted::check_folder(&entry?.path(), Links::Refused)?;
    }
    Ok(())
}

/// The path without links.
fn canonical(path: &Path) -> Result<PathBuf, GitExportError> {
    path.canonicalize().map_err(|error| file_error(path, error))
}

/// A path that git prints.
async fn path(git: &Git, arguments: &[&str]) -> Result<PathBuf, GitExportError> {
    let mut path = git.command(arguments).output().await?.stdout;
    path.pop_if(|last| *last == b'\n');
    Ok(OsString::from_vec(path).into())
}

/// Acquires the lock of the repository. No thread is blocked meanwhile.
async fn lock(git_folder: &Path) -> Result<File, GitExportError> {
    let path = git_folder.join(LOCK);
    let locked = lock_file(&path).await;
    locked.map_err(|error| file_error(&path, error))
}

/// Locks a file. Anyone who can open it can hold its lock for ever, so it is not waited for without end.
async fn lock_file(path: &Path) -> io::Result<File> {
    let file = work_tree::open_lock(path)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() >= TIMEOUT => {
                let problem = "another process holds the lock";
                return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
            }
            // A back-off: another process exports.
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn file_error(path: &Path, error: io::Error) -> GitExportError {
    GitExportError::File {
        path: path.to_owned(),
        source: Arc::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lock_that_is_never_released_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = File::create(&path).unwrap();
        held.lock().unwrap();
        let error = lock_file(&path).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        // A process that another test begins may still have the file, and would hold the lock.
        held.unlock().unwrap();
        lock_file(&path).await.unwrap();
    }
}
