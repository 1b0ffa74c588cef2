//! Commands that are shown before they run, and whose failure ends a task.

use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::process::{Command, ExitCode, ExitStatus, Output, Stdio};

/// Why a task ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A command ended with an error of its own.
    Ended { command: String, status: ExitStatus },
    /// Another failure, in words.
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

/// Runs the cargo that runs this program, with these arguments.
pub(crate) fn cargo(arguments: &str) -> Result<(), Failure> {
    run(&format!("cargo {arguments}"), &mut cargo_command(arguments))
}

/// The same, and returns its standard output.
pub(crate) fn cargo_output(arguments: &str) -> Result<String, Failure> {
    checked_output(&format!("cargo {arguments}"), &mut cargo_command(arguments))
}

/// Shows the command as `shown`, runs it, and returns its standard output.
pub(crate) fn checked_output(shown: &str, command: &mut Command) -> Result<String, Failure> {
    let output = output(shown, command)?;
    ended(shown, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The cargo that runs this program, with these arguments.
pub(crate) fn cargo_command(arguments: &str) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments.split(' '));
    command
}

/// Shows the command as `shown`, runs it, and returns its standard output and its status.
pub(crate) fn output(shown: &str, command: &mut Command) -> Result<Output, Failure> {
    captured(shown, command.stderr(Stdio::inherit()))
}

/// Shows the command as `shown`, runs it, and returns all its output and its status.
pub(crate) fn captured(shown: &str, command: &mut Command) -> Result<Output, Failure> {
    eprintln!("==> {shown}");
    command.output().map_err(|error| not_run(shown, &error))
}

/// Shows the command as `shown`, and runs it.
pub(crate) fn run(shown: &str, command: &mut Command) -> Result<(), Failure> {
    eprintln!("==> {shown}");
    let status = command.status().map_err(|error| not_run(shown, &error))?;
    ended(shown, status)
}

/// Shows the command as `shown`, and runs it. Its standard output is passed on, and each line to
/// `inspect`.
pub(crate) fn run_by_line(
    shown: &str,
    command: &mut Command,
    mut inspect: impl FnMut(&str),
) -> Result<(), Failure> {
    eprintln!("==> {shown}");
    let failed = |error: io::Error| not_run(shown, &error);
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.map_err(failed)?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            inspect(&line);
        }
    }
    ended(shown, child.wait().map_err(failed)?)
}

fn ended(shown: &str, status: ExitStatus) -> Result<(), Failure> {
    if status.success() {
        return Ok(());
    }
    Err(Failure::Ended {
        command: shown.to_owned(),
        status,
    })
}

fn not_run(shown: &str, error: &io::Error) -> Failure {
    Failure::Other(format!("`{shown}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn each_line_is_inspected() {
        let mut lines = Vec::new();
        let mut script = shell("echo one; echo two >&2; printf three");
        run_by_line("a script", &mut script, |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["one", "three"]);
    }

    #[test]
    fn the_exit_code_of_a_failed_command_is_kept() {
        let failed = run_by_line("a script", &mut shell("exit 3"), |_| {}).unwrap_err();
        assert_eq!(failed.to_string(), "`a script`: exit status: 3");
        assert_eq!(failed.exit_code(), ExitCode::from(3));
    }
}
