//! What a failed run of a program means, and what to do about it.

use std::io::ErrorKind;
use std::time::Duration;

use acme_alias_core::program::{ProgramError, in_log};
use acme_alias_core::provider::{Failure, ProviderError};
use tracing::info;

/// The failure of a program in the terms of the provider contract. `label` names the program, as its configuration does.
pub(crate) fn of_program(label: &str, error: &ProgramError) -> ProviderError {
    let output = error.output();
    if !output.is_empty() {
        info!("`{label}` failed{}", in_log(output));
    }
    let last = match output.lines().last() {
        Some(line) => format!(": {line}"),
        None => " and printed nothing".to_owned(),
    };
    let look =
        format!("correct what `{label}` complains about; `-v` shows more of what it printed");
    let (failure, what, remedy) = match error {
        ProgramError::Start { source, .. } => return not_run(label, source),
        ProgramError::Untrusted(untrusted) => return untrusted_file(label, untrusted),
        ProgramError::Failed { status, .. } => (
            Failure::UnknownOutcome,
            format!("`{label}` failed with {status}{last}"),
            look,
        ),
        ProgramError::TimedOut { limit, .. } => (
            Failure::UnknownOutcome,
            format!("`{label}` did not end within {limit:?} and was stopped{last}"),
            format!("find out what `{label}` waits for, or raise `timeout`"),
        ),
        ProgramError::TooMuch { limit, .. } => (
            Failure::UnknownOutcome,
            format!("`{label}` printed more than {limit} octets and was stopped"),
            format!(
                "let `{label}` print one JSON document on its standard output, and nothing else"
            ),
        ),
        _ => (
            Failure::UnknownOutcome,
            format!("`{label}` was interrupted"),
            "try again".to_owned(),
        ),
    };
    ProviderError::new(failure, what, remedy)
}

/// The program did not run.
fn not_run(label: &str, source: &std::io::Error) -> ProviderError {
    // It is being written, or the machine is short of something.
    let may_pass = matches!(
        source.kind(),
        ErrorKind::ExecutableFileBusy | ErrorKind::OutOfMemory | ErrorKind::WouldBlock
    );
    let (failure, remedy) = match source.kind() {
        ErrorKind::NotFound => (
            Failure::Rejected,
            format!("correct the path of `{label}`, or that of the interpreter in its first line"),
        ),
        ErrorKind::PermissionDenied => (
            Failure::Rejected,
            format!("let this user execute it: `chmod u+x {label}`, or as its owner `chmod a+rx`"),
        ),
        _ if may_pass => (Failure::Unavailable, "try again".to_owned()),
        _ => (
            Failure::Rejected,
            format!(
                "check that `{label}` is a program for this machine, with `#!` if it is a script"
            ),
        ),
    };
    ProviderError::new(
        failure,
        format!("`{label}` could not be run: {source}"),
        remedy,
    )
}

fn untrusted_file(label: &str, untrusted: &acme_alias_core::trusted::Untrusted) -> ProviderError {
    let path = untrusted.path.display();
    ProviderError::new(
        Failure::Rejected,
        format!("`{label}` was not run: {untrusted}"),
        format!(
            "let only this user or root own and change it: `chown root {path} && chmod go-w {path}`"
        ),
    )
}

/// Another run of the program has not ended in time.
pub(crate) fn no_turn(label: &str, waited: Duration) -> ProviderError {
    ProviderError::new(
        Failure::Unavailable,
        format!("another run of `{label}` has not ended within {waited:?}"),
        format!("find out what `{label}` waits for, or end it"),
    )
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn an_error_shows_the_last_line() {
        let failed = ProgramError::Failed {
            program: "sh".to_owned(),
            status: ExitStatus::default(),
            output: "first\nthe key is wrong".to_owned(),
        };
        let error = of_program("/x/dns", &failed);
        assert_eq!(error.failure, Failure::UnknownOutcome);
        assert!(error.what.ends_with(": the key is wrong"), "{error}");
        assert!(error.what.starts_with("`/x/dns` failed"), "{error}");
    }
}
