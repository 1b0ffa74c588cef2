//! The list of certificates, for people.

use acme_alias_core::engine::WantedBy;
use acme_alias_core::renewal::{Reason, Why};
use jiff::Timestamp;

use super::listing::{Listed, Listing, State};
use super::table::{Column, lines, shortened};
use super::words::{counted, short, short_day};
use crate::fill::fill;

/// Longer texts below a row are shortened.
const NOTE_MAX: usize = 300;

const COLUMNS: [Column; 6] = [
    Column {
        title: "CERTIFICATE",
        min: 12,
        is_number: false,
    },
    Column {
        title: "NAMES",
        min: 16,
        is_number: false,
    },
    Column {
        title: "CA",
        min: 8,
        is_number: false,
    },
    Column {
        title: "LEFT",
        min: 4,
        is_number: true,
    },
    Column {
        title: "RENEWAL",
        min: 17,
        is_number: false,
    },
    Column {
        title: "STATE",
        min: 12,
        is_number: false,
    },
];

pub(super) fn listing(listing: &Listing, width: usize) -> String {
    if listing.check.is_some() {
        let alarm =
            |(listed, alarm): (&Listed, String)| format!("{}: {alarm}\n", listed.overview.id);
        let alarms: Vec<_> = listing.alarms().map(alarm).collect();
        return alarms.concat();
    }
    if listing.all.is_empty() {
        let state = listing.state.display();
        return format!("There is no certificate in the settings or in {state}.\n");
    }
    let now = listing.now;
    let rows: Vec<_> = listing.all.iter().map(|listed| row(listed, now)).collect();
    let mut lines = lines(&COLUMNS, &rows, width).into_iter();
    // What is damaged is in that folder.
    let folder = format!("{}/", listing.state.display());
    let mut text = String::new();
    if let Some(titles) = lines.next() {
        text.push_str(&format!("{titles}\n"));
    }
    for (line, listed) in lines.zip(&listing.all) {
        text.push_str(&format!("{line}\n"));
        for note in listed.notes(now) {
            let note = shortened(&note.replace(&folder, ""), NOTE_MAX);
            let note = fill(&note, width, "    ", "      ");
            text.push_str(&format!("{note}\n"));
        }
    }
    text.push_str(&format!("\n{}\n", summary(listing)));
    text
}

fn row(listed: &Listed, now: Timestamp) -> [String; 6] {
    let overview = &listed.overview;
    let left = listed.left(now);
    [
        overview.id.to_string(),
        names(&overview.names),
        listed.ca.clone(),
        left.map_or("-".to_owned(), short),
        renewal(listed, now),
        listed.in_words(now),
    ]
}

/// The first name, and how many others there are.
fn names(names: &[String]) -> String {
    match names {
        [] => "-".to_owned(),
        [one] => one.clone(),
        [first, others @ ..] => format!("{first} +{}", others.len()),
    }
}

/// When it is renewed next, and why.
fn renewal(listed: &Listed, now: Timestamp) -> String {
    let overview = &listed.overview;
    if overview.wanted_by == WantedBy::Nobody {
        return "not in settings".to_owned();
    }
    if let Some(next) = overview.next_try {
        let what = listed.attempts().map_or("CA limit", |_| "retry");
        return format!("{}, {what}", short_day(next, now));
    }
    let why = match (&overview.why, listed.current()) {
        (Some(why), _) => why,
        (None, Some(current)) => {
            let due = current.due;
            return format!("{}, {}", short_day(due.at, now), reason(due.reason));
        }
        (None, None) => return "-".to_owned(),
    };
    let why = match why {
        Why::Missing => return "now".to_owned(),
        Why::Unfinished => "unfinished",
        Why::Revoked => "revoked",
        Why::Changed(_) => "changed",
        Why::Due(due) => reason(*due),
        _ => "due",
    };
    format!("now, {why}")
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Window => "CA window",
        Reason::RenewBefore => "settings",
        Reason::Lifetime => "lifetime",
    }
}

/// How many certificates there are in each state.
fn summary(listing: &Listing) -> String {
    let of = |wanted: State| {
        let states = listing.all.iter().map(|listed| listed.state(listing.now));
        states.filter(|state| *state == wanted).count()
    };
    let states = [
        (State::Damaged, "damaged"),
        (State::Expired, "expired"),
        (State::Failed, "failed"),
        (State::Undeployed, "not deployed"),
        (State::Due, "due"),
        (State::Good, "good"),
    ];
    let parts = states.map(|(state, word)| (of(state), word));
    let parts = parts.iter().filter(|(number, _)| *number > 0);
    let parts: Vec<_> = parts
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    let all = counted(listing.all.len(), "certificate", "certificates");
    format!("{all}: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_names_the_first_one_is_shown() {
        let all = ["example.com", "www.example.com", "*.example.com"].map(str::to_owned);
        for (number, expected) in [(0, "-"), (1, "example.com"), (3, "example.com +2")] {
            assert_eq!(names(&all[..number]), expected);
        }
    }
}
