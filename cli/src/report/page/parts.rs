//! What all sections of the page have.

use acme_alias_core::printable::shortened;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::output::State;
use crate::output::words::moment;

/// Longer texts from others are shortened, in characters.
const TEXT_MAX: usize = 600;

/// Text that may be from others, as it is shown.
pub(super) fn text(text: &str) -> String {
    shortened(text, TEXT_MAX)
}

/// A moment for people, and for programs.
pub(super) fn time(moment_in_time: Timestamp) -> Markup {
    html! { time datetime=(moment_in_time.strftime("%Y-%m-%dT%H:%M:%SZ")) { (moment(moment_in_time)) } }
}

/// The class of a state, which gives it its colour.
pub(super) fn class(state: State) -> &'static str {
    match state {
        State::Damaged | State::Expired | State::Failed => "bad",
        State::Undeployed | State::Due => "warn",
        State::Good => "good",
    }
}
