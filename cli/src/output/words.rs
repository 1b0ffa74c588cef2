//! Numbers and times for people.

use jiff::{SignedDuration, Timestamp};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// A number with its noun.
pub(crate) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

pub(crate) fn moment(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

pub(crate) fn day(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d").to_string()
}

/// The day in few characters. One that is far away has its year instead.
pub(crate) fn short_day(timestamp: Timestamp, now: Timestamp) -> String {
    let far = SignedDuration::from_hours(300 * 24);
    let format = if timestamp.duration_since(now).abs() > far {
        "%b %Y"
    } else {
        "%b %d"
    };
    timestamp.strftime(format).to_string()
}

/// Whole days. What is left of a day does not count.
pub(crate) fn whole_days(duration: SignedDuration) -> i64 {
    duration.as_secs() / DAY
}

/// The time left in few characters: days, or hours below two days.
pub(crate) fn short(left: SignedDuration) -> String {
    let seconds = left.as_secs();
    if seconds.abs() < 2 * DAY {
        format!("{} h", seconds / HOUR)
    } else {
        format!("{} d", whole_days(left))
    }
}

/// A duration in its largest unit: days from two days on.
pub(crate) fn in_words(duration: SignedDuration) -> String {
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
    fn the_time_left_is_told_in_days_or_hours() {
        for (seconds, expected) in [
            (90 * DAY - 1, "89 d"),
            (2 * DAY - 1, "47 h"),
            (-HOUR, "-1 h"),
            (-2 * DAY, "-2 d"),
        ] {
            assert_eq!(short(SignedDuration::from_secs(seconds)), expected);
        }
    }
}
