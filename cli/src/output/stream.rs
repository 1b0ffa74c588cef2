//! Standard output and standard error.

use std::io::Write as _;

/// Prints a part of a result.
pub(super) fn stdout(text: &str) {
    // A reader that went away has seen what it wanted.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints what is no result.
pub(super) fn stderr(text: &str) {
    // Where standard error is closed, nobody is there to be told.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Prints a line that is no result.
pub(super) fn line(text: &str) {
    stderr(&format!("{text}\n"));
}
