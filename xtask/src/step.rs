//! One step of a task: a command that is announced, and whose failure ends the task.

use std::fmt;
use std::process::{Command, ExitCode, ExitStatus, Output, Stdio};

/// Why a task ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A command ended with an error of its own.
    Ended { command: String, status: ExitStatus },
    /// Anything else, in words.
    Other(String),
}

impl Failure {
    /// The exit code of the command that failed.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let code = match self {
            Failure::Ended { status, .. } => status.code().and_then(|code| u8::try_from(code).ok()),
            Failure::Other(_) => None,
        };
        code.map_or(ExitCode::FAILURE, ExitCode::from)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Ended { command, status } => write!(f, "`{command}`: {status}"),
            Failure::Other(message) => f.write_str(message),
        }
    }
}

/// Runs cargo, the one that runs us, with these arguments.
pub(crate) fn cargo(arguments: &str) -> Result<(), Failure> {
    run(&format!("cargo {arguments}"), &mut cargo_command(arguments))
}

/// The same, and returns its standard output.
pub(crate) fn cargo_output(arguments: &str) -> Result<String, Failure> {
    let shown = format!("cargo {arguments}");
    let output = output(&shown, &mut cargo_command(arguments))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::Ended {
        command: shown,
        status: output.status,
    })
}

/// The cargo that runs us, with these arguments.
pub(crate) fn cargo_command(arguments: &str) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments.split(' '));
    command
}

/// Announces the command as `shown`, runs it, and returns what it printed and how it ended.
pub(crate) fn output(shown: &str, command: &mut Command) -> Result<Output, Failure> {
    eprintln!("==> {shown}");
    let output = command.stderr(Stdio::inherit()).output();
    output.map_err(|error| Failure::Other(format!("`{shown}`: {error}")))
}

/// Announces the command as `shown`, and runs it.
pub(crate) fn run(shown: &str, command: &mut Command) -> Result<(), Failure> {
    eprintln!("==> {shown}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::Ended {
            command: shown.to_owned(),
            status,
        }),
        Err(error) => Err(Failure::Other(format!("`{shown}`: {error}"))),
    }
}
