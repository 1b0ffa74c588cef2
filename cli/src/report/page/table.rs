//! The tables of certificates, of the next renewals, and of what CAs allow.

use acme_alias_core::engine::WantedBy;
use acme_alias_core::renewal::{Reason, Why};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::super::snapshot::{Budget, Snapshot};
use super::parts::{class, text, time};
use crate::output::words::{counted, day, in_words, moment, short};
use crate::output::{Listed, State};

/// Certificates with a bar; the others are in a table that is closed.
const SHOWN: usize = 25;
/// Certificates in that table; the others are counted.
const MORE_MAX: usize = 2_000;
const RENEWALS: usize = 10;

/// The certificates, the worst and the soonest ones first.
pub(super) fn certificates(snapshot: &Snapshot) -> Markup {
    let all = snapshot.listing.obtained_first();
    let (shown, more) = all.split_at(all.len().min(SHOWN));
    let scale = scale(snapshot);
    html! {
        section aria-labelledby="certificates" {
            h2 #certificates { "Certificates" }
            @if shown.is_empty() {
                p { "There are none. Add " code { "[certificates.ID]" } " to the settings." }
            } @else {
                div.scroll { table.certificates {
                    caption { "Those with problems first, and then those that end first." }
                    (head())
                    tbody { @for listed in shown { (row(listed, snapshot.at, Some(scale))) } }
                } }
            }
            @if !more.is_empty() {
                details {
                    summary { (counted(more.len(), "more certificate", "more certificates")) }
                    div.scroll { table.certificates.compact {
                        caption { "The others, in the same order." }
                        (head())
                        tbody { @for listed in more.iter().take(MORE_MAX) { (row(listed, snapshot.at, None)) } }
                    } }
                    @if more.len() > MORE_MAX {
                        p { (more.len() - MORE_MAX) " more: run " code { "acme-alias list" } " to see all." }
                    }
                }
            }
        }
    }
}

fn head() -> Markup {
    html! {
        thead { tr {
            th scope="col" { "Certificate" }
            th scope="col" { "State" }
            th.number scope="col" { "Left" }
            th scope="col" { "Ends" }
            th scope="col" { "Renewal" }
            th scope="col" { "CA" }
        } }
    }
}

fn row(listed: &Listed, now: Timestamp, scale: Option<SignedDuration>) -> Markup {
    let state = listed.state(now);
    let left = listed.left(now);
    html! {
        tr {
            th scope="row" {
                span.id { (text(listed.overview.id.as_str())) }
                span.names { (names(&listed.overview.names)) }
            }
            td { span.state.(class(state)) { (state_in_words(listed, now)) } }
            td.number { (left.map_or("–".to_owned(), short)) }
            td.end {
                @if let Some(current) = listed.current() {
                    time datetime=(current.indexed.not_after) { (day(current.indexed.not_after)) }
                    @if let Some(scale) = scale { (bar(listed, now, scale, state)) }
                } @else { "–" }
            }
            td.renewal { (renewal(listed, now)) }
            td.ca { (text(&listed.ca)) }
        }
    }
}

/// The last result; of one that is due, only that.
fn state_in_words(listed: &Listed, now: Timestamp) -> String {
    let is_due = listed.state(now) == State::Due && listed.current().is_some();
    if is_due && !listed.overview.is_busy {
        return "due".to_owned();
    }
    listed.in_words(now)
}

/// The first name, and how many others there are.
fn names(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => text(one),
        [first, others @ ..] => format!("{} +{}", text(first), others.len()),
    }
}

/// The longest time that is left.
fn scale(snapshot: &Snapshot) -> SignedDuration {
    let all = snapshot.listing.all.iter();
    let left = all.filter_map(|listed| listed.left(snapshot.at));
    left.max()
        .unwrap_or_default()
        .max(SignedDuration::from_hours(1))
}

/// The time that is left, with the moment of the renewal. The columns beside it have the same in words.
fn bar(listed: &Listed, now: Timestamp, scale: SignedDuration, state: State) -> Markup {
    let left = listed.left(now).unwrap_or_default();
    let due = listed.current().map(|current| current.due.at);
    let due = due.map(|due| due.duration_since(now));
    let due = due.filter(|due| due.is_positive() && *due < left);
    html! {
        svg.bar aria-hidden="true" width="100%" height="6" {
            rect.track width="100%" height="6" rx="3" {}
            rect class=(class(state)) width=(percent(left, scale)) height="6" rx="3" {}
            @if let Some(due) = due {
                rect.due x=(percent(due, scale)) width="2" height="6" {}
            }
        }
    }
}

fn percent(part: SignedDuration, whole: SignedDuration) -> String {
    let thousandths = part.as_secs().max(0).saturating_mul(1_000) / whole.as_secs().max(1);
    format!("{}.{}%", thousandths / 10, thousandths % 10)
}

/// When it is renewed, and why then.
fn renewal(listed: &Listed, now: Timestamp) -> Markup {
    let overview = &listed.overview;
    let plain = |words: &str| html! { (words) };
    if overview.wanted_by == WantedBy::Nobody {
        return plain("not in settings");
    }
    if let Some(next) = overview.next_try {
        let what = listed.attempts().map_or("limit of the CA", |_| "retry");
        return html! { (time(next)) " " span.why { (what) } };
    }
    match (&overview.why, listed.current()) {
        (Some(Why::Missing | Why::Due(Reason::Lifetime)), _) => plain("now"),
        (Some(Why::Due(reason)), _) => html! { "now " span.why { (reason) } },
        (Some(why), _) => html! { "now " span.why { (text(&why.to_string())) } },
        (None, Some(current)) if current.due.at > now => html! {
            time datetime=(current.due.at) { (day(current.due.at)) }
            @if current.due.reason != Reason::Lifetime { " " span.why { (current.due.reason) } }
        },
        _ => plain("–"),
    }
}

/// The next renewals.
pub(super) fn renewals(snapshot: &Snapshot) -> Markup {
    let now = snapshot.at;
    let all = snapshot.listing.all.iter();
    let wanted = all.filter(|listed| listed.overview.wanted_by != WantedBy::Nobody);
    let mut next: Vec<_> = wanted
        .filter_map(|listed| Some((at(listed, now)?, listed)))
        .collect();
    next.sort_by_key(|(at, listed)| (*at, &listed.overview.id));
    html! {
        section aria-labelledby="renewals" {
            h2 #renewals { "Next renewals" }
            @if next.is_empty() { p { "None." } } @else {
                div.scroll { table {
                    caption { "The certificates that are renewed next, if the CA does not ask for another time." }
                    thead { tr { th scope="col" { "From" } th scope="col" { "Certificate" } } }
                    tbody {
                        @for (at, listed) in next.iter().take(RENEWALS) {
                            tr {
                                td.when { @if *at <= now { "now" } @else { (time(*at)) } }
                                th scope="row" { (text(listed.overview.id.as_str())) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// When it is renewed next.
fn at(listed: &Listed, now: Timestamp) -> Option<Timestamp> {
    if listed.overview.next_try.is_some() {
        return listed.overview.next_try;
    }
    if listed.overview.why.is_some() {
        return Some(now);
    }
    listed.current().map(|current| current.due.at.max(now))
}

/// What is left of the orders that CAs allow.
pub(super) fn budgets(snapshot: &Snapshot) -> Markup {
    html! {
        section aria-labelledby="limits" {
            h2 #limits { "Rate limits" }
            @if snapshot.budgets.is_empty() { p { "No certificate is in the settings." } } @else {
                div.scroll { table {
                    caption { "New orders that the CAs allow the account." }
                    thead { tr { th scope="col" { "CA" } th scope="col" { "Orders left" } } }
                    tbody { @for budget in &snapshot.budgets { (of_ca(budget)) } }
                } }
            }
        }
    }
}

fn of_ca(budget: &Budget) -> Markup {
    let orders = &budget.orders;
    html! {
        tr {
            th scope="row" { (text(&budget.ca)) }
            td {
                @match (orders.rate, orders.left) {
                    (Some(rate), Some(left)) => {
                        (left) " of " (rate.count) " in " (in_words(rate.per))
                        (meter(left, rate.count))
                        @if let (0, Some(next)) = (left, orders.next) { "more from " (time(next)) }
                    },
                    _ => "no limit in the settings",
                }
                @if let Some(until) = orders.refused_until {
                    p.bad { "The CA takes no orders before " (moment(until)) "." }
                }
            }
        }
    }
}

fn meter(left: u32, count: u32) -> Markup {
    let percent = u64::from(left) * 100 / u64::from(count.max(1));
    let class = match percent {
        0 => "bad",
        1..=10 => "warn",
        _ => "good",
    };
    html! {
        svg.bar aria-hidden="true" width="100%" height="6" {
            rect.track width="100%" height="6" rx="3" {}
            rect class=(class) width=(format!("{percent}%")) height="6" rx="3" {}
        }
    }
}
