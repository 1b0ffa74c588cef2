//! What is wrong, first of all on the page.

use maud::{Markup, html};

use super::super::problem::Problem;
use super::parts::text;

/// Problems that are shown; the others are counted.
const SHOWN_MAX: usize = 100;

pub(super) fn section(problems: &[Problem]) -> Markup {
    html! {
        @if !problems.is_empty() {
            section aria-labelledby="problems" {
                h2 #problems { "Problems" }
                ol.problems {
                    @for problem in problems.iter().take(SHOWN_MAX) { (one(problem)) }
                }
                @if problems.len() > SHOWN_MAX {
                    p { (problems.len() - SHOWN_MAX) " more: run " code { "acme-alias list" } " and " code { "acme-alias check" } " to see all." }
                }
            }
        }
    }
}

fn one(problem: &Problem) -> Markup {
    html! {
        li class=(if problem.is_urgent { "bad" } else { "warn" }) {
            h3 {
                @match &problem.subject {
                    Some(id) => (text(id)),
                    None => "All certificates",
                }
                " " span.tag { (if problem.is_urgent { "act now" } else { "retried" }) }
            }
            @for what in &problem.what { p { (with_code(&text(what))) } }
            @for remedy in &problem.remedies { p.remedy { (remedy_in_words(remedy)) } }
        }
    }
}

/// What is between backticks is code.
fn with_code(words: &str) -> Markup {
    html! {
        @for (index, part) in words.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A remedy. What follows its first line is a record.
fn remedy_in_words(remedy: &str) -> Markup {
    let (words, record) = remedy.split_once('\n').unwrap_or((remedy, ""));
    html! {
        (with_code(&text(words)))
        @if !record.is_empty() { code.record { (text(record)) } }
    }
}
