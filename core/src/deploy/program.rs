//! Running a program without a shell: its environment, its output, its end.

use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::output::{Tail, last_line};
use crate::child_environment;
use crate::trusted::{self, Access, Links, Untrusted};

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
    /// What it reads on its standard input.
    pub input: Option<String>,
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
    /// The run was cancelled, and the program was stopped.
    #[error("interrupted")]
    Interrupted,
}

impl ProgramError {
    /// The end of the program's output; empty if there was none.
    pub fn output(&self) -> &str {
        match self {
            ProgramError::Failed { output, .. } | ProgramError::TimedOut { output, .. } => output,
            _ => "",
        }
    }
}

/// How the work of a program ended.
enum End {
    Exited(io::Result<ExitStatus>),
    TimedOut,
    Cancelled,
}

impl Program<'_> {
    /// Runs the program in a process group of its own and waits for its end; returns the end of its output. When
    /// `cancel` is cancelled or the time is over, the whole group is stopped.
    pub async fn run(self, cancel: &CancellationToken) -> Result<String, ProgramError> {
        let Some((name, arguments)) = self.command.split_first() else {
            return Ok(String::new());
        };
        check(name).await?;
        let start = |source: io::Error| ProgramError::Start {
            program: name.clone(),
            source: Arc::new(source),
        };
        let (mut child, mut pipe) = self.spawn(name, arguments).map_err(start)?;
        let stdin = child.stdin.take();
        let mut tail = Tail::default();
        let end = tokio::select! {
            status = work(&mut child, &mut pipe, &mut tail, stdin, self.input) => End::Exited(status),
            () = sleep(self.timeout) => End::TimedOut,
            () = cancel.cancelled() => End::Cancelled,
        };
        let program = name.clone();
        match end {
            End::Exited(status) => {
                // Only what it has written by now.
                let _ = timeout(DRAIN, read_all(&mut pipe, &mut tail)).await;
                let (status, output) = (status.map_err(start)?, tail.into_text());
                if status.success() {
                    return Ok(output);
                }
                Err(ProgramError::Failed {
                    program,
                    status,
                    output,
                })
            }
            End::TimedOut => {
                stop(&mut child, &mut pipe, &mut tail).await;
                Err(ProgramError::TimedOut {
                    program,
                    limit: self.timeout,
                    output: tail.into_text(),
                })
            }
            End::Cancelled => {
                stop(&mut child, &mut pipe, &mut tail).await;
                Err(ProgramError::Interrupted)
            }
        }
    }

    fn spawn(&self, name: &str, arguments: &[String]) -> io::Result<(Child, Receiver)> {
        // One pipe for both, so that the lines stay in their order.
        let (reader, writer) = io::pipe()?;
        let stdin = match self.input {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        };
        let child = Command::new(name)
            .args(arguments)
            .env_clear()
            .envs(child_environment::inherited())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .kill_on_drop(true)
            .stdin(stdin)
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()?;
        Ok((child, Receiver::from_owned_fd(reader.into())?))
    }
}

/// Waits for the end of the program while its output is read and its input is written.
async fn work(
    child: &mut Child,
    pipe: &mut Receiver,
    tail: &mut Tail,
    stdin: Option<ChildStdin>,
    input: Option<String>,
) -> io::Result<ExitStatus> {
    let feed = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A program may leave its input unread.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        pending::<()>().await;
    };
    let read = async {
        read_all(pipe, tail).await;
        pending::<()>().await;
    };
    tokio::select! {
        status = child.wait() => status,
        () = feed => pending().await,
        () = read => pending().await,
    }
}

async fn read_all(pipe: &mut Receiver, tail: &mut Tail) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(octets @ 1..) = pipe.read(&mut chunk).await {
        tail.add(&chunk[..octets]);
    }
}

/// Asks all processes of the group to end, and ends them if they do not. One that has left the group, or runs as another
/// user (`sudo`), may go on: nobody waits for it.
async fn stop(child: &mut Child, pipe: &mut Receiver, tail: &mut Tail) {
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
                read_all(pipe, tail).await;
                pending::<()>().await;
            } => {}
        }
    };
    let _ = timeout(GRACE, ended).await;
    signal(Signal::KILL);
    let _ = timeout(GRACE, child.wait()).await;
}

/// Fails if others own the program, can change it, or can put another one in its place: it is run by its path, after
/// this look at it. One that is named without a path is found in `PATH`, which is trusted.
async fn check(program: &str) -> Result<(), ProgramError> {
    if !program.contains('/') {
        return Ok(());
    }
    let path = PathBuf::from(program);
    let opened = tokio::task::spawn_blocking(move || {
        // The folders on the way to the path, and to the file that it leads to.
        for place in [std::path::absolute(&path)?, path.canonicalize()?] {
            trusted::open_folder(place.parent().unwrap_or(&place), None)?;
        }
        trusted::open(&path, Access::Unchangeable, Links::Followed)
    });
    match opened.await {
        Ok(Err(error)) => match Untrusted::in_error(&error) {
            Some(untrusted) => Err(ProgramError::Untrusted(untrusted.clone())),
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
    use std::time::Instant;

    use super::*;

    async fn sh(script: &str, limit: Duration) -> Result<String, ProgramError> {
        let command = ["sh", "-c", script].map(str::to_owned);
        let program = Program {
            command: &command,
            timeout: limit,
            variables: vec![("A".to_owned(), "b".to_owned())],
            input: Some("in".to_owned()),
        };
        program.run(&CancellationToken::new()).await
    }

    const MINUTE: Duration = Duration::from_mins(1);

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
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        for (mode, is_run) in [
            (0o1777, true),
            (0o777, false),
            (0o775, false),
            (0o755, true),
        ] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(check(program).await.is_ok(), is_run, "folder {mode:o}");
        }
        assert!(check("systemctl").await.is_ok());
        assert!(check("/no/such/program").await.is_ok());
    }

    #[tokio::test]
    async fn output_of_both_kinds_comes_in_order_and_input_is_passed() {
        let output = sh("cat; echo; echo two >&2; echo $A", MINUTE).await;
        assert_eq!(output.unwrap(), "in\ntwo\nb");
        let error = sh("echo one; echo why >&2; exit 3", MINUTE)
            .await
            .unwrap_err();
        assert_eq!(error.output(), "one\nwhy");
        assert_eq!(error.to_string(), "`sh` failed with exit status: 3: why");
        let missing = ["/no/such/program".to_owned()];
        let program = Program {
            command: &missing,
            timeout: MINUTE,
            variables: Vec::new(),
            input: None,
        };
        let error = program.run(&CancellationToken::new()).await.unwrap_err();
        assert!(matches!(error, ProgramError::Start { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_a_program_leaves_running_is_not_waited_for() {
        let begin = Instant::now();
        let output = sh("echo done; sleep 30 & exit 0", MINUTE).await;
        assert_eq!(output.unwrap(), "done");
        assert!(begin.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn all_processes_of_a_program_that_takes_too_long_are_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let alive = folder.path().join("alive");
        let script = format!(
            "(trap '' TERM; sleep 3; touch {}) & echo begun; trap '' TERM; sleep 30; sleep 30",
            alive.display()
        );
        let error = sh(&script, Duration::from_millis(300)).await.unwrap_err();
        assert!(matches!(error, ProgramError::TimedOut { .. }), "{error}");
        assert_eq!(error.output(), "begun");
        sleep(Duration::from_secs(2)).await;
        assert!(!alive.exists());
    }

    #[tokio::test]
    async fn a_program_that_no_signal_reaches_is_not_waited_for() {
        let begin = Instant::now();
        let script = "exec perl -e 'setpgrp(0, getpgrp(getppid())); sleep 30'";
        let error = sh(script, Duration::from_millis(300)).await.unwrap_err();
        assert!(matches!(error, ProgramError::TimedOut { .. }), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn a_program_is_stopped_when_the_run_is_cancelled() {
        let cancel = CancellationToken::new();
        let command = ["sleep", "30"].map(str::to_owned);
        let program = Program {
            command: &command,
            timeout: MINUTE,
            variables: Vec::new(),
            input: None,
        };
        let begin = Instant::now();
        let (ended, ()) = tokio::join!(program.run(&cancel), async {
            sleep(Duration::from_millis(100)).await;
            cancel.cancel();
        });
        assert!(matches!(ended, Err(ProgramError::Interrupted)));
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
}
