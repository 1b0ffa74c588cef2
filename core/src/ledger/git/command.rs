//! Running `git`, without a shell and apart from the configuration of the user and the system.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::process::Command;

use super::error::GitExportError;
use crate::child_environment::is_inherited;
use crate::platform::{self, Confinement, Programs};
use crate::printable::shortened;

/// A `git` that takes longer hangs.
pub(super) const TIMEOUT: Duration = Duration::from_mins(1);
/// The most that a command may print, in octets, unless it may print more.
const OUTPUT_MAX: u64 = 64 << 10;
/// Characters of what a command prints about an error that are shown.
const STDERR_MAX: usize = 1000;
/// The most memory that a command may use beside the files of the repository that it maps, in octets. A commit of a few
/// kilobytes can have millions of files; with a million, git needs a third of this.
const MEMORY_MAX: u64 = 512 << 20;
/// Author and committer of all commits.
const NAME: &str = "acme-alias";
const EMAIL: &str = "acme-alias@localhost";
/// Variables for every command. Other variables of git are not inherited: they could name another repository
/// or configuration.
const ENVIRONMENT: [(&str, &str); 12] = [
    // The configuration of the repository may name a program that fetches what is missing.
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_AUTHOR_NAME", NAME),
    ("GIT_AUTHOR_EMAIL", EMAIL),
    ("GIT_COMMITTER_NAME", NAME),
    ("GIT_COMMITTER_EMAIL", EMAIL),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LC_ALL", "C"),
];
/// Settings that take the place of those in the repository's own configuration.
const SETTINGS: [&str; 11] = [
    "core.hooksPath=/dev/null",
    // Hooks in the configuration, whatever their names are (git 2.55 and later).
    "hook.post-index-change.enabled=false",
    "hook.pre-auto-gc.enabled=false",
    "hook.reference-transaction.enabled=false",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.splitIndex=false",
    "commit.gpgSign=false",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "trailer.separators=:",
];

/// Runs `git` in a folder.
#[derive(Clone, Debug)]
pub(super) struct Git {
    folder: PathBuf,
    /// The environment of this process.
    environment: Vec<(OsString, OsString)>,
    /// More settings, and their values.
    settings: Vec<(OsString, OsString)>,
    /// What commands may execute; all if it is not known what git needs.
    programs: Option<Programs>,
    /// Where commands may write. Others may have put links into the repository.
    confinement: Arc<Confinement>,
}

impl Git {
    pub(super) fn new(folder: PathBuf) -> Self {
        Git {
            folder,
            environment: std::env::vars_os().collect(),
            settings: Vec::new(),
            programs: None,
            confinement: Arc::default(),
        }
    }

    /// Lets commands write in these folders, and nowhere else.
    pub(super) fn confine(&mut self, folders: &[PathBuf]) -> Result<(), GitExportError> {
        let confinement = Confinement::new(folders, self.programs.clone());
        let confinement = confinement.map_err(|error| GitExportError::File {
            path: self.folder.clone(),
            source: Arc::new(error),
        })?;
        self.confinement = Arc::new(confinement);
        Ok(())
    }

    /// Lets commands execute these programs, and no others. They may write nowhere, until they are confined to folders.
    pub(super) fn confine_programs(&mut self, programs: Programs) -> Result<(), GitExportError> {
        self.programs = Some(programs);
        self.confine(&[])
    }

    /// The value of a variable in the environment of this process.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        let mut environment = self.environment.iter().rev();
        environment
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_os_str())
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command with these arguments.
    pub(super) fn command(&self, arguments: &[&str]) -> GitCommand<'_> {
        GitCommand {
            git: self,
            folder: self.folder.clone(),
            arguments: arguments.iter().map(OsString::from).collect(),
            input: Vec::new(),
            environment: Vec::new(),
            output_max: OUTPUT_MAX,
        }
    }

    /// Lets git use the folders of others that the configuration of the user or the system declares
    /// safe: the only setting of theirs that is respected.
    pub(super) async fn respect_safe_folders(&mut self) {
        let mut command = Command::new("git");
        command.args(["config", "--null", "--get-all", "safe.directory"]);
        // Not the configuration of a repository.
        command.current_dir("/").env_clear();
        // Where the configuration of the user and the system is, and what else belongs to it.
        let names = |name: &OsStr| {
            let is_configuration = name.as_bytes().starts_with(b"GIT_CONFIG");
            is_inherited(name) || name == "XDG_CONFIG_HOME" || is_configuration
        };
        let environment = self.environment.iter();
        command.envs(
            environment
                .filter(|(name, _)| names(name))
                .map(|(name, value)| (name, value)),
        );
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
        if let Ok(Ok(output)) = tokio::time::timeout(TIMEOUT, output).await {
            for folder in split(&output.stdout) {
                self.settings.push(("safe.directory".into(), folder));
            }
        }
    }

    /// Disables the hooks that the repository's configuration has at this moment. Git 2.54 can disable them only by name.
    pub(super) async fn disable_configured_hooks(&mut self) -> Result<(), GitExportError> {
        let list = [
            "config",
            "--null",
            "--name-only",
            "--get-regexp",
            r"^hook\..*\.command$",
        ];
        let names = self.command(&list).output().await?.stdout;
        for name in split(&names) {
            if let Some(hook) = name.as_bytes().strip_suffix(b".command") {
                let mut enabled = OsStr::from_bytes(hook).to_owned();
                enabled.push(".enabled");
                self.settings.push((enabled, "false".into()));
            }
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn add_environment(&mut self, variables: &[(&str, &str)]) {
        let variables = variables.iter();
        self.environment
            .extend(variables.map(|(name, value)| (name.into(), value.into())));
    }
}

/// A command of `git`.
#[derive(Debug)]
pub(super) struct GitCommand<'a> {
    git: &'a Git,
    /// Where it runs.
    folder: PathBuf,
    arguments: Vec<OsString>,
    input: Vec<u8>,
    environment: Vec<(&'static str, OsString)>,
    output_max: u64,
}

impl GitCommand<'_> {
    /// Adds an argument.
    pub(super) fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// What the command reads.
    pub(super) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Runs the command in a folder that is the work tree of the repository `git_folder` meanwhile.
    pub(super) fn work_tree(mut self, folder: &Path, git_folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self.variable("GIT_DIR", git_folder)
            .variable("GIT_WORK_TREE", folder)
    }

    /// Sets a variable.
    pub(super) fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Lets the command print so many octets.
    pub(super) fn may_print(mut self, octets: u64) -> Self {
        self.output_max = octets;
        self
    }

    /// Runs the command, which must succeed; returns what it printed, without the last line feed.
    pub(super) async fn run(self) -> Result<String, GitExportError> {
        let octets = self.octets().await?;
        let text = String::from_utf8_lossy(&octets);
        Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
    }

    /// The same as octets, which need not be text: as one, they could take three times as much memory.
    pub(super) async fn octets(self) -> Result<Vec<u8>, GitExportError> {
        let (git, name) = (self.git, self.name());
        let output = self.output().await?;
        if !output.status.success() {
            // It quotes what others may have written, on lines of their own.
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(GitExportError::Failed {
                folder: git.folder.clone(),
                command: name,
                status: output.status.to_string(),
                stderr: shortened(stderr.trim(), STDERR_MAX),
            });
        }
        Ok(output.stdout)
    }

    /// Runs the command, whether or not it succeeds.
    pub(super) async fn output(mut self) -> Result<Output, GitExportError> {
        let (git, name) = (self.git, self.name());
        let not_run = |error: io::Error| GitExportError::NotRun {
            folder: git.folder.clone(),
            command: name.clone(),
            source: Arc::new(error),
        };
        let (input, max) = (std::mem::take(&mut self.input), self.output_max);
        let mut command = self.prepare();
        let mut child = git.confinement.spawn(&mut command).map_err(not_run)?;
        // Others may have filled the repository so that git would take all memory of the machine.
        platform::limit_memory(&child, MEMORY_MAX);
        let ended = async {
            if let Some(mut stdin) = child.stdin.take() {
                match stdin.write_all(&input).await {
                    // It ended before it read everything, and prints why.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                    written => written?,
                }
            }
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            let (stdout, stderr) = try_join(read(stdout, max), beginning(stderr)).await?;
            Ok(Output {
                status: child.wait().await?,
                stdout,
                stderr,
            })
        };
        match tokio::time::timeout(TIMEOUT, ended).await {
            Ok(output) => output.map_err(not_run),
            Err(_) => Err(GitExportError::TimedOut {
                folder: git.folder.clone(),
                command: name,
                limit: TIMEOUT,
            }),
        }
    }

    fn prepare(&self) -> Command {
        let mut command = Command::new("git");
        let environment = self.git.environment.iter();
        let inherited = environment.filter(|(name, _)| is_inherited(name));
        command
            .env_clear()
            .envs(inherited.map(|(name, value)| (name, value)))
            .envs(ENVIRONMENT)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        for (number, (name, value)) in self.git.settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), name);
            command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        command.env("GIT_CONFIG_COUNT", self.git.settings.len().to_string());
        command.arg("-C").arg(&self.folder);
        command.args(&self.arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The command, such as `commit-tree`.
    fn name(&self) -> String {
        let name = self.arguments.first();
        name.map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}

/// What a command prints, if it is not too much: others may have filled the repository.
async fn read(stream: Option<impl AsyncRead + Unpin>, max: u64) -> io::Result<Vec<u8>> {
    let mut output = Vec::new();
    if let Some(stream) = stream {
        stream.take(max + 1).read_to_end(&mut output).await?;
    }
    if output.len() as u64 > max {
        let problem = format!("it printed more than {max} octets");
        return Err(io::Error::other(problem));
    }
    Ok(output)
}

/// The beginning of what a command prints. The rest is read as well, so that it ends.
async fn beginning(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut output = Vec::new();
    if let Some(mut stream) = stream {
        (&mut stream)
            .take(OUTPUT_MAX)
            .read_to_end(&mut output)
            .await?;
        copy(&mut stream, &mut sink()).await?;
    }
    Ok(output)
}

/// The texts in an output, each of which ends with a NUL.
fn split(output: &[u8]) -> Vec<OsString> {
    let all = output.strip_suffix(&[0]).into_iter();
    all.flat_map(|all| all.split(|octet| *octet == 0))
        .map(|text| OsStr::from_bytes(text).to_owned())
        .collect()
}
