//! All certificates on one line of time: how many of them end when.

use jiff::SignedDuration;
use maud::{Markup, html};

use super::super::snapshot::Snapshot;
use super::parts::class;
use crate::output::State;
use crate::output::words::{counted, whole_days};

const COLUMNS: u16 = 45;
/// Of the columns, in pixels.
const HEIGHT: usize = 96;
/// A column with anything in it is seen.
const HEIGHT_MIN: usize = 5;
/// The whole drawing, with the numbers below the columns.
const HEIGHT_ALL: usize = HEIGHT + 22;
/// Days that lie between two marks.
const STEPS: [i64; 8] = [1, 2, 5, 10, 30, 60, 120, 365];
/// Marks beside that of today, at most.
const MARKS_MAX: i64 = 5;

/// How many certificates of each class end in the same part of the time.
type Column = [usize; CLASSES.len()];

/// The classes of states, from the bottom of a column upwards.
const CLASSES: [&str; 3] = ["bad", "warn", "good"];

pub(super) fn section(snapshot: &Snapshot) -> Markup {
    let all = snapshot.listing.all.iter();
    let ends: Vec<_> = all
        .filter_map(|listed| Some((listed.left(snapshot.at)?, listed.state(snapshot.at))))
        .collect();
    if ends.is_empty() {
        return html! {};
    }
    let last = ends.iter().map(|(left, _)| whole_days(*left) + 1).max();
    let last = last.unwrap_or(1).max(1);
    let step = step(last);
    let days = step * ((last + step - 1) / step);
    let columns = columns(&ends, days);
    let most = columns.iter().map(|column| column.iter().sum()).max();
    let most: usize = most.unwrap_or(1).max(1);
    html! {
        section aria-labelledby="timeline" {
            h2 #timeline { "Days left" }
            p.note { "How many certificates end when: " (most) " in the highest column." }
            svg.timeline role="img" aria-label=(in_words(&ends)) width="100%" height=(HEIGHT_ALL) {
                @for (index, column) in columns.iter().enumerate() {
                    (drawn(index, *column, most, days))
                }
                line.axis x1="0" x2="100%" y1=(HEIGHT) y2=(HEIGHT) {}
                @for mark in 0..=days / step { (marked(mark * step, days)) }
            }
        }
    }
}

/// The days between two marks.
fn step(last: i64) -> i64 {
    let mut steps = STEPS.into_iter();
    let fits = steps.find(|step| last <= step * MARKS_MAX);
    fits.unwrap_or(last / MARKS_MAX + 1)
}

fn columns(ends: &[(SignedDuration, State)], days: i64) -> [Column; COLUMNS as usize] {
    let mut columns = [Column::default(); COLUMNS as usize];
    let whole = days * 24 * 60;
    for (left, state) in ends {
        let minutes = (left.as_secs() / 60).clamp(0, whole - 1);
        let index = minutes * i64::from(COLUMNS) / whole;
        let index = usize::try_from(index).unwrap_or(0);
        let of = CLASSES.iter().position(|of| *of == class(*state));
        if let (Some(column), Some(of)) = (columns.get_mut(index), of) {
            column[of] += 1;
        }
    }
    columns
}

fn drawn(index: usize, column: Column, most: usize, days: i64) -> Markup {
    let count: usize = column.iter().sum();
    let (from, to) = (of_days(index, days), of_days(index + 1, days));
    let mut top = HEIGHT;
    let parts = column
        .iter()
        .zip(CLASSES)
        .filter(|(number, _)| **number > 0);
    let parts = parts.map(|(number, class)| {
        let height = (number * (HEIGHT - HEIGHT_MIN * CLASSES.len()) / most).max(HEIGHT_MIN);
        top -= height;
        (class, top, height)
    });
    let parts: Vec<_> = parts.collect();
    html! {
        @if count > 0 {
            g {
                title { (counted(count, "certificate", "certificates")) ": " (from) " to " (to) " days left" }
                @for (class, top, height) in parts {
                    rect class=(class) x=(percent(index)) width="1.9%" y=(top) height=(height) {}
                }
            }
        }
    }
}

/// The days before a column, rounded.
fn of_days(index: usize, days: i64) -> i64 {
    days * i64::try_from(index).unwrap_or(0) / i64::from(COLUMNS)
}

fn percent(index: usize) -> String {
    let hundredths = index * 10_000 / usize::from(COLUMNS);
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// A number below the columns.
fn marked(day: i64, days: i64) -> Markup {
    let anchor = match day {
        0 => "start",
        day if day == days => "end",
        _ => "middle",
    };
    html! {
        text x=(format!("{}%", day * 100 / days)) y=(HEIGHT_ALL - 5) text-anchor=(anchor) {
            @if day == 0 { "now" } @else { (day) " d" }
        }
    }
}

/// The same for those who do not see it.
fn in_words(ends: &[(SignedDuration, State)]) -> String {
    let within = |days: i64| {
        let limit = SignedDuration::from_hours(24 * days);
        ends.iter().filter(|(left, _)| *left < limit).count()
    };
    format!(
        "Of {}, {} ended, {} within 7 days or before, and {} within 30 days or before",
        counted(ends.len(), "certificate", "certificates"),
        within(0),
        within(7),
        within(30),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_certificate_is_in_a_column_and_a_class() {
        let hours = SignedDuration::from_hours;
        let ends = [
            (hours(-100), State::Expired),
            (hours(1), State::Good),
            (hours(24 * 89), State::Good),
            (hours(24 * 90), State::Due),
        ];
        let columns = columns(&ends, 90);
        assert_eq!((columns[0], columns[44]), ([1, 0, 1], [0, 1, 1]));
        assert_eq!(columns.as_flattened().iter().sum::<usize>(), 4);
    }

    #[test]
    fn there_are_at_most_five_marks() {
        for (last, expected) in [
            (1, 1),
            (5, 1),
            (6, 2),
            (90, 30),
            (398, 120),
            (10_000, 2_001),
        ] {
            assert_eq!(step(last), expected, "{last} days");
            assert!((last + expected - 1) / expected <= MARKS_MAX, "{last} days");
        }
    }
}
