//! Running a program without a shell: its environment, its output, its end.

mod output;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join;
use rustix::fs::Access as Permission;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::output::Tail;
pub(crate) use self::output::last_line;
pub use self::output::{in_log, without_secrets};
use crate::child_environment;
use crate::trusted::{self, Untrusted};

/// How long a program that is stopped may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);
/// How long output is read after the program has ended. What it left running may keep the pipe open for ever.
const DRAIN: Duration = Duration::from_millis(200);
/// Octets that are read at once.
const CHUNK: usize = 8 << 10;

/// A program to run.
#[derive(Clone, Debug)]
pub struct Program<'a> {
    /// The program and its arguments.
    pub command: &'a [String],
    /// How long it may take.
    pub timeout: Duration,
    /// Variables beside those that programs inherit.
    pub variables: Vec<(String, String)>,
    /// Variables that hold secrets. They are hidden in what is shown of its output.
    pub secrets: Option<&'a BTreeMap<String, SecretString>>,
    /// What it reads on its standard input.
    pub input: Input,
}

/// What a program reads on its standard input.
#[derive(Clone, Debug, Default)]
pub enum Input {
    /// Nothing.
    #[default]
    Nothing,
    /// A text.
    Text(String),
    /// An open file. A lock on it lasts until it is unlocked here. If this process is killed, it lasts until the program and
    /// everything that it started have ended.
    File(Arc<File>),
}

/// A program that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// It could not be run.
    #[error("`{program}` could not be run: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// Others own the program or can change it. It did not run.
    #[error("the program was not run: {0}")]
    Untrusted(Untrusted),
    /// It failed.
    #[error("`{program}` failed with {status}{}", last_line(.output))]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its output.
        output: String,
    },
    /// It took too long, and was stopped.
    #[error("`{program}` did not end within {limit:?} and was stopped{}", last_line(.output))]
    TimedOut {
        /// The program.
        program: String,
        /// How long it had.
        limit: Duration,
        /// The end of its output.
        output: String,
    },
    /// It printed more than is read, and was stopped.
    #[error("`{program}` printed more than {limit} octets and was stopped{}", last_line(.output))]
    TooMuch {
        /// The program.
        program: String,
        /// The octets that it may print.
        limit: usize,
        /// The end of its standard error.
        output: String,
    },
    /// The run was cancelled, and the program was stopped.
    #[error("interrupted")]
    Interrupted,
}

impl ProgramError {
    /// The end of the program's output; empty if there was none.
    pub fn output(&self) -> &str {
        match self {
            ProgramError::Failed { output, .. }
            | ProgramError::TimedOut { output, .. }
            | ProgramError::TooMuch { output, .. } => output,
            _ => "",
        }
    }
}

/// How the work of a program ended.
enum End {
    Exited(io::Result<ExitStatus>),
    TooMuch,
    TimedOut,
    Cancelled,
}

/// What a program prints, while it is read.
struct Output {
    /// Standard error; both, if standard output is not kept apart.
    pipe: Receiver,
    tail: Tail,
    answer: Option<Answer>,
}

/// Standard output that is kept apart.
struct Answer {
    pipe: Receiver,
    octets: Vec<u8>,
    limit: usize,
}

impl<'a> Program<'a> {
    /// A program without an input, and without variables of its own.
    pub fn new(command: &'a [String], timeout: Duration) -> Self {
        Program {
            command,
            timeout,
            variables: Vec::new(),
            secrets: None,
            input: Input::Nothing,
        }
    }

    /// Runs the program in a process group of its own and waits for its end; returns the end of its output. When
    /// `cancel` is cancelled or the time is over, the whole group is stopped.
    pub async fn run(self, cancel: &CancellationToken) -> Result<String, ProgramError> {
        let none = BTreeMap::new();
        let secrets = self.secrets.unwrap_or(&none);
        let output = self.carry_out(None, cancel).await?;
        Ok(output.tail.into_text(secrets))
    }

    /// The same, but returns all that the program printed on its standard output, which may be `limit` octets. Errors
    /// have the end of its standard error.
    pub async fn answer(
        self,
        limit: usize,
        cancel: &CancellationToken,
    ) -> Result<Vec<u8>, ProgramError> {
        let output = self.carry_out(Some(limit), cancel).await?;
        Ok(output
            .answer
            .map(|answer| answer.octets)
            .unwrap_or_default())
    }

    async fn carry_out(
        self,
        limit: Option<usize>,
        cancel: &CancellationToken,
    ) -> Result<Output, ProgramError> {
        let Some((name, arguments)) = self.command.split_first() else {
            return Err(not_run("", ErrorKind::InvalidInput.into()));
        };
        check(name).await?;
        let (mut child, mut output) = self
            .spawn(name, arguments, limit)
            .map_err(|source| not_run(name, source))?;
        let stdin = child.stdin.take();
        let input = match self.input {
            Input::Text(text) => text,
            Input::Nothing | Input::File(_) => String::new(),
        };
        let end = tokio::select! {
            end = work(&mut child, &mut output, stdin, input) => end,
            () = sleep(self.timeout) => End::TimedOut,
            () = cancel.cancelled() => End::Cancelled,
        };
        let end = match end {
            End::Exited(status) => {
                // Only what it has written by now.
                match timeout(DRAIN, output.read()).await {
                    Ok(Err(TooMuch)) => End::TooMuch,
                    _ => End::Exited(status),
                }
            }
            end => {
                stop(&mut child, &mut output).await;
                end
            }
        };
        let program = name.clone();
        let limit = limit.unwrap_or_default();
        let none = BTreeMap::new();
        let secrets = self.secrets.unwrap_or(&none);
        match end {
            End::Exited(Ok(status)) if status.success() => Ok(output),
            End::Exited(Ok(status)) => Err(ProgramError::Failed {
                program,
                status,
                output: output.tail.into_text(secrets),
            }),
            End::Exited(Err(source)) => Err(not_run(name, source)),
            End::TooMuch => Err(ProgramError::TooMuch {
                program,
                limit,
                output: output.tail.into_text(secrets),
            }),
            End::TimedOut => Err(ProgramError::TimedOut {
                program,
                limit: self.timeout,
                output: output.tail.into_text(secrets),
            }),
            End::Cancelled => Err(ProgramError::Interrupted),
        }
    }

    fn spawn(
        &self,
        name: &str,
        arguments: &[String],
        limit: Option<usize>,
    ) -> io::Result<(Child, Output)> {
        // One pipe for both, so that the lines stay in their order.
        let (reader, writer) = io::pipe()?;
        let (stdout, answer) = match limit {
            None => (Stdio::from(writer.try_clone()?), None),
            Some(limit) => {
                let (reader, writer) = io::pipe()?;
                let answer = Answer {
                    pipe: Receiver::from_owned_fd(reader.into())?,
                    octets: Vec::new(),
                    limit,
                };
                (Stdio::from(writer), Some(answer))
            }
        };
        let stdin = match &self.input {
            Input::Nothing => Stdio::null(),
            Input::Text(_) => Stdio::piped(),
            Input::File(file) => file.try_clone()?.into(),
        };
        let secrets = self.secrets.into_iter().flatten();
        let child = Command::new(name)
            .args(arguments)
            .env_clear()
            .envs(child_environment::inherited())
            .envs(secrets.map(|(name, secret)| (name, secret.expose_secret())))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .kill_on_drop(true)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(writer)
            .spawn()?;
        let output = Output {
            pipe: Receiver::from_owned_fd(reader.into())?,
            tail: Tail::default(),
            answer,
        };
        Ok((child, output))
    }
}

fn not_run(program: &str, source: io::Error) -> ProgramError {
    ProgramError::Start {
        program: program.to_owned(),
        source: Arc::new(source),
    }
}

/// The standard output is larger than its limit.
struct TooMuch;

impl Output {
    /// Reads until everybody has closed the pipes.
    async fn read(&mut self) -> Result<(), TooMuch> {
        let Output { pipe, tail, answer } = self;
        let tail = read_all(pipe, |octets| {
            tail.add(octets);
            Ok(())
        });
        let Some(answer) = answer else {
            return tail.await;
        };
        let Answer {
            pipe,
            octets,
            limit,
        } = answer;
        let kept = read_all(pipe, |chunk| {
            if octets.len() + chunk.len() > *limit {
                return Err(TooMuch);
            }
            octets.extend_from_slice(chunk);
            Ok(())
        });
        try_join(kept, tail).await.map(drop)
    }
}

/// Waits for the end of the program while its output is read and its input is written.
async fn work(
    child: &mut Child,
    output: &mut Output,
    stdin: Option<ChildStdin>,
    input: String,
) -> End {
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program may leave its input unread.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        pending::<End>().await
    };
    let read = async {
        match output.read().await {
            Err(TooMuch) => End::TooMuch,
            Ok(()) => pending().await,
        }
    };
    tokio::select! {
        status = child.wait() => End::Exited(status),
        end = feed => end,
        end = read => end,
    }
}

/// Reads until the pipe is closed, or `take` fails.
async fn read_all(
    pipe: &mut Receiver,
    mut take: impl FnMut(&[u8]) -> Result<(), TooMuch>,
) -> Result<(), TooMuch> {
    let mut chunk = vec![0; CHUNK];
    while let Ok(octets @ 1..) = pipe.read(&mut chunk).await {
        take(&chunk[..octets])?;
    }
    Ok(())
}

/// Asks all processes of the group to end, and ends them if they do not. One that has left the group, or runs as another
/// user (`sudo`), may go on: nobody waits for it.
async fn stop(child: &mut Child, output: &mut Output) {
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    let group = group.and_then(Pid::from_raw);
    let signal = |signal| {
        // Those that have ended need no signal.
        if let Some(group) = group {
            let _ = kill_process_group(group, signal);
        }
    };
    signal(Signal::TERM);
    let ended = async {
        tokio::select! {
            _ = child.wait() => {}
            () = async {
                let _ = output.read().await;
                pending::<()>().await;
            } => {}
        }
    };
    let _ = timeout(GRACE, ended).await;
    signal(Signal::KILL);
    let _ = timeout(GRACE, child.wait()).await;
}

/// Fails if the program cannot be run: others own it or can change it, or it does not exist or is not executable. It
/// does not run.
pub async fn check_runnable(program: &str) -> Result<(), ProgramError> {
    check(program).await?;
    if program.contains('/') {
        return executable(Path::new(program)).map_err(|error| not_run(program, error));
    }
    if in_path(program, std::env::var_os("PATH").as_deref()).is_some() {
        return Ok(());
    }
    let problem = io::Error::new(ErrorKind::NotFound, "there is no such program in PATH");
    Err(not_run(program, problem))
}

/// The file that is run as `program`, by the rules of the C library (execvp(3)).
pub(crate) fn in_path(program: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    // Without PATH, the C library looks there.
    let folders = path.unwrap_or(OsStr::new("/bin:/usr/bin"));
    let mut files = std::env::split_paths(folders).map(|folder| folder.join(program));
    files.find(|file| executable(file).is_ok())
}

/// Fails unless this is a file that this user can run.
fn executable(path: &Path) -> io::Result<()> {
    rustix::fs::access(path, Permission::EXEC_OK)?;
    if path.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    Ok(())
}

/// Fails if others own the program, can change it, or can put another one in its place: it is run by its path, after
/// this look at it. So does one that cannot be looked at. One that is named without a path is found in `PATH`, which is
/// trusted.
pub async fn check(program: &str) -> Result<(), ProgramError> {
    if !program.contains('/') {
        return Ok(());
    }
    let path = PathBuf::from(program);
    let checked = tokio::task::spawn_blocking(move || trusted::check_way(&path)).await;
    let checked = checked.unwrap_or_else(|error| Err(io::Error::other(error)));
    checked.map_err(|error| match Untrusted::in_error(&error) {
        Some(untrusted) => ProgramError::Untrusted(untrusted.clone()),
        None => not_run(program, error),
    })
}

#[cfg(test)]
mod tests;
