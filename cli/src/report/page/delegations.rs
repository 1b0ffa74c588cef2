//! The health of the delegations. What is wrong with them is among the problems.

use acme_alias_core::delegation::Severity;
use maud::{Markup, html};

use super::super::delegations::Delegations;
use super::super::snapshot::Snapshot;
use super::parts::{text, time};
use crate::output::words::counted;

/// Warnings that are shown; the others are counted, with findings that are not kept.
const SHOWN_MAX: usize = 100;

/// Nothing if they were not checked: only `acme-alias run` does that.
pub(super) fn section(snapshot: &Snapshot) -> Markup {
    let status = snapshot.status.as_ref();
    html! {
        @if let Some(delegations) = status.and_then(|status| status.delegations.as_ref()) {
            section aria-labelledby="delegations" {
                h2 #delegations { "Delegations" }
                p { (in_words(delegations)) " Checked at " (time(delegations.at)) "." }
                @let warnings = delegations.findings.iter().map(|found| &found.finding);
                @let warnings = warnings.filter(|finding| finding.severity == Severity::Warning);
                @for finding in warnings.clone().take(SHOWN_MAX) {
                    p.warn { (text(&finding.name.fqdn())) ": " (text(&finding.answer)) }
                    p { (text(&finding.remedy)) }
                }
                @let more = warnings.count().saturating_sub(SHOWN_MAX) + delegations.left_out;
                @if more > 0 {
                    p { (more) " more: run " code { "acme-alias check" } " to see all." }
                }
            }
        }
    }
}

fn in_words(delegations: &Delegations) -> Markup {
    let Delegations {
        good,
        warnings,
        errors,
        ..
    } = delegations;
    let all = counted(
        good + warnings + errors,
        "challenge name",
        "challenge names",
    );
    html! {
        (all) ": "
        span class=(if *good > 0 { "good" } else { "" }) { (good) " good" } ", "
        span class=(if *warnings > 0 { "warn" } else { "" }) { (warnings) " with warnings" } ", "
        span class=(if *errors > 0 { "bad" } else { "" }) { (errors) " that would fail" } "."
    }
}
