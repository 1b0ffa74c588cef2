//! Standard output and standard error.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};

use super::layout;

/// Prints a part of a result.
pub(super) fn stdout(text: &str) {
    // A reader that went away has seen what it wanted.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints a part of a result that is text for people, with colours.
pub(super) fn result(text: &str) {
    let _ = anstream::stdout().write_all(layout::coloured(text).as_bytes());
}

/// Prints text for people that is no result.
pub(super) fn message(text: &str) {
    finished_message(&fitted(text));
}

/// The text in 80 columns. In the journal of systemd a message is one line, however long it is.
pub(super) fn fitted(text: &str) -> Cow<'_, str> {
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(layout::wrapped(text))
    }
}

/// The same, for text whose lines are as they should be.
pub(super) fn finished_message(text: &str) {
    // Where standard error is closed, nobody is there to read it.
    let _ = anstream::stderr().write_all(layout::coloured(text).as_bytes());
}

/// Whether what is shown on standard error can change in its place.
pub(super) fn is_moving() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
    std::io::stderr().is_terminal() && !is_dumb
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
