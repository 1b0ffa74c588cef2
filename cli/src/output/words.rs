//! Numbers and times for people.

use jiff::{SignedDuration, Timestamp};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// A number with its noun.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

pub(super) fn moment(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

pub(super) fn day(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d").to_string()
}

/// The day in few characters. One that is far away has its year instead.
pub(super) fn short_day(timestamp: Timestamp, now: Timestamp) -> String {
    let far = SignedDuration::from_hours(300 * 24);
    let format = if timestamp.duration_since(now).abs() > far {
        "%b %Y"
    } else {
        "%b %d"
    };
    timestamp.strftime(format).to_string()
}

/// Whole days. What is left of a day does not count.
pub(super) fn days(duration: SignedDuration) -> i64 {
    duration.as_secs() / DAY
}

/// A duration in its largest unit: days from two days on.
pub(super) fn in_words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (unit, one, many) = match seconds {
        seconds if seconds >= 2 * DAY => (DAY, "day", "days"),
        seconds if seconds >= HOUR => (HOUR, "hour", "hours"),
        _ => (60, "minute", "minutes"),
    };
    let number = usize::try_from(seconds / unit).unwrap_or(0);
    counted(number, one, many)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_in_its_largest_unit() {
        for (seconds, expected) in [
            (0, "0 minutes"),
            (60, "1 minute"),
            (HOUR, "1 hour"),
            (2 * DAY - 1, "47 hours"),
            (2 * DAY, "2 days"),
        ] {
            assert_eq!(in_words(SignedDuration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_part_of_a_day_does_not_count() {
        for (seconds, expected) in [(DAY - 1, 0), (DAY, 1), (-1, 0), (-DAY - 1, -1)] {
            assert_eq!(days(SignedDuration::from_secs(seconds)), expected);
        }
    }
}
