//! Standard output and standard error.

use std::io::{IsTerminal as _, Write as _};

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

/// The columns of a table, unless the terminal has more.
const USUAL_WIDTH: usize = 80;
/// Longer lines are hard to read.
const WIDTH_MAX: usize = 160;

/// The columns that a table may have.
pub(super) fn width() -> usize {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return USUAL_WIDTH;
    }
    let size = rustix::termios::tcgetwinsize(stdout);
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    columns.clamp(USUAL_WIDTH, WIDTH_MAX)
}
