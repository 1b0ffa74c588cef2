//! The status page: HTML without scripts and without anything from elsewhere. All text is escaped by the template, and
//! what hides or reorders text is made visible before.

mod changes;
mod delegations;
mod parts;
mod problems;
mod table;
#[cfg(test)]
mod tests;
mod timeline;

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::SignedDuration;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::parts::{text, time};
use super::problem::{Problem, problems};
use super::snapshot::Snapshot;
use super::status::{Phase, Status};
use crate::output::words::{counted, in_words};
use crate::output::{Listed, State};

const STYLE: &str = include_str!("style.css");

/// The content security policy of the page: its own style sheet, and nothing else.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
});

/// The policy for the header of an answer. That the page is in no frame can be said there only.
#[cfg(feature = "http")]
pub(crate) fn header_policy() -> String {
    format!("{}; frame-ancestors 'none'", *POLICY)
}

/// The status page.
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let problems = problems(snapshot);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(*POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex";
                title { (title(&problems)) " – acme-alias" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(snapshot, &problems))
                main {
                    (problems::section(&problems))
                    (timeline::section(snapshot))
                    (table::certificates(snapshot))
                    div.pair {
                        (table::renewals(snapshot))
                        (table::budgets(snapshot))
                    }
                    (delegations::section(snapshot))
                    (changes::section(snapshot))
                }
                footer {
                    p {
                        "acme-alias " (env!("CARGO_PKG_VERSION")) ", as of " (time(snapshot.at)) ". "
                        "Reload the page for newer figures."
                    }
                }
            }
        }
    };
    page.into_string()
}

/// What the title of the window says: it is all that is seen of a page in the background.
fn title(problems: &[Problem]) -> String {
    match problems.len() {
        0 => "All is well".to_owned(),
        number => counted(number, "problem", "problems"),
    }
}

fn header(snapshot: &Snapshot, problems: &[Problem]) -> Markup {
    let listing = &snapshot.listing;
    let of = |wanted: State| {
        let states = listing.all.iter().map(|listed| listed.state(snapshot.at));
        states.filter(|state| *state == wanted).count()
    };
    let urgent = problems.iter().filter(|one| one.is_urgent).count();
    let state = match (urgent, problems.len()) {
        (0, 0) => "good",
        (0, _) => "warn",
        _ => "bad",
    };
    let all = listing.all.len();
    let due = of(State::Due);
    let open = snapshot.open_values;
    html! {
        header class=(state) {
            p.brand { "acme-alias" }
            h1 {
                @match problems.len() {
                    0 => "All is well",
                    number => (counted(number, "problem", "problems")),
                }
            }
            p.facts {
                (counted(all, "certificate", "certificates"))
                " · " (due) " due now"
                @if let Some((listed, left)) = first_end(snapshot) {
                    " · the first one ends in " b { (in_words(left)) } " (" (text(listed.overview.id.as_str())) ")"
                }
                " · " (counted(open, "TXT value", "TXT values")) " in zones"
            }
            @if let Some(status) = &snapshot.status { p.facts { (process(status)) } }
        }
    }
}

/// The certificate that ends first, of those that have not ended.
fn first_end(snapshot: &Snapshot) -> Option<(&Listed, SignedDuration)> {
    let all = snapshot.listing.all.iter();
    let left = all.filter_map(|listed| Some((listed, listed.left(snapshot.at)?)));
    left.filter(|(_, left)| left.is_positive())
        .min_by_key(|(_, left)| *left)
}

/// What the process does, and what it did.
fn process(status: &Status) -> Markup {
    html! {
        @match status.phase {
            Phase::Running(since) => { "A run began at " (time(since)) },
            Phase::Waiting(until) => { "The next run is at " (time(until)) },
            Phase::Ended => { "No more runs" },
        }
        @if let Some(last) = &status.last {
            " · the last one ended at " (time(last.ended))
            @match (&last.error, last.failed) {
                (Some(_), _) => ", and could not begin",
                (None, 0) => " without failures",
                (None, failed) => { " with " (counted(failed, "failure", "failures")) },
            }
        }
    }
}
