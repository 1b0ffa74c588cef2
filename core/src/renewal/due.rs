//! From when on a certificate is due.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// Below this lifetime a certificate is short-lived, and half of it is kept in reserve.
const SHORT_LIVED: SignedDuration = SignedDuration::from_hours(10 * 24);
/// This part of its lifetime is left when a certificate is renewed, whatever the CA says.
const LEFT_MIN: i32 = 10;

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The beginning.
    pub not_before: Timestamp,
    /// The end.
    pub not_after: Timestamp,
}

impl Validity {
    /// How long it is valid.
    pub fn lifetime(self) -> SignedDuration {
        self.not_after.duration_since(self.not_before)
    }

    /// Whether half of its lifetime is kept in reserve: the lifetime is below ten days.
    pub fn is_short(self) -> bool {
        self.lifetime() < SHORT_LIVED
    }
}

/// From when on a certificate is due, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The moment.
    pub at: Timestamp,
    /// Where it comes from.
    pub reason: Reason,
}

/// Where the time of a renewal comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The window that the CA suggests (RFC 9773).
    Window,
    /// `renew-before` of the configuration.
    RenewBefore,
    /// A third of the lifetime is left, or half of one of less than ten days.
    Lifetime,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Window => "the CA's window",
            Reason::RenewBefore => "renew-before",
            Reason::Lifetime => "its lifetime",
        })
    }
}

/// How long before its end a certificate is renewed at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewBefore {
    /// This long.
    Duration(SignedDuration),
    /// When this much of its lifetime is left, in thousandths.
    Fraction(u32),
}

/// A text that is no [`RenewBefore`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("needs a duration such as `30d`, or a part of the lifetime such as `1/3` or `33%`")]
pub struct InvalidRenewBefore;

impl FromStr for RenewBefore {
    type Err = InvalidRenewBefore;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| InvalidRenewBefore);
        let part = if let Some(percent) = text.strip_suffix('%') {
            number(percent)?.checked_mul(10)
        } else if let Some((part, whole)) = text.split_once('/') {
            let (part, whole) = (number(part)?, number(whole)?);
            part.checked_mul(1_000)
                .and_then(|part| part.checked_div(whole))
        } else {
            let span = text.parse::<Span>();
            let day = SpanRelativeTo::days_are_24_hours();
            let duration = span.and_then(|span| span.to_duration(day));
            let duration = duration.ok().filter(SignedDuration::is_positive);
            return duration
                .map(RenewBefore::Duration)
                .ok_or(InvalidRenewBefore);
        };
        match part {
            Some(thousandths) if (1..1_000).contains(&thousandths) => {
                Ok(RenewBefore::Fraction(thousandths))
            }
            _ => Err(InvalidRenewBefore),
        }
    }
}

impl RenewBefore {
    /// The reserve for a certificate of this lifetime. Never more than two thirds of it, or a certificate would be
    /// renewed as soon as it is there.
    fn reserve(self, lifetime: SignedDuration) -> SignedDuration {
        let wanted = match self {
            RenewBefore::Duration(duration) => duration,
            RenewBefore::Fraction(thousandths) => {
                (lifetime / 1_000).saturating_mul(i32::try_from(thousandths).unwrap_or(0))
            }
        };
        wanted.min(lifetime / 3 * 2)
    }
}

/// The moment from which a certificate is due: the earliest of the time in the CA's window, of `renew-before`, and,
/// without a window, of a third of the lifetime left (half below ten days). A failed attempt leaves time for many
/// more. A time in the window that leaves less than a tenth of the lifetime does not count.
pub fn due(
    validity: Validity,
    in_window: Option<Timestamp>,
    renew_before: Option<RenewBefore>,
) -> Due {
    let lifetime = validity.lifetime();
    let latest = validity.not_after - lifetime / LEFT_MIN;
    let usual = match in_window.filter(|at| *at <= latest) {
        Some(at) => Due {
            at,
            reason: Reason::Window,
        },
        None => Due {
            at: validity.not_after - lifetime / if validity.is_short() { 2 } else { 3 },
            reason: Reason::Lifetime,
        },
    };
    let Some(renew_before) = renew_before else {
        return usual;
    };
    let at = validity.not_after - renew_before.reserve(lifetime);
    if at < usual.at {
        Due {
            at,
            reason: Reason::RenewBefore,
        }
    } else {
        usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "2026-01-01T00:00:00Z";

    fn due_after(days: i64, in_window: Option<&str>, renew_before: Option<&str>) -> String {
        let not_before: Timestamp = BEGIN.parse().unwrap();
        let not_after = not_before + SignedDuration::from_hours(24 * days);
        let validity = Validity {
            not_before,
            not_after,
        };
        let due = due(
            validity,
            in_window.map(|time| time.parse().unwrap()),
            renew_before.map(|text| text.parse().unwrap()),
        );
        let at = due.at.to_string();
        let at = at.strip_suffix("T00:00:00Z").unwrap_or(&at);
        format!("{at} by {}", due.reason)
    }

    #[test]
    fn a_third_of_the_lifetime_is_left_or_half_of_a_short_one() {
        assert_eq!(due_after(90, None, None), "2026-03-02 by its lifetime");
        assert_eq!(due_after(6, None, None), "2026-01-04 by its lifetime");
    }

    #[test]
    fn the_window_of_the_ca_counts_instead() {
        let window = Some("2026-03-20T00:00:00Z");
        assert_eq!(due_after(90, window, None), "2026-03-20 by the CA's window");
    }

    #[test]
    fn a_window_that_is_too_late_does_not_count() {
        for (window, expected) in [
            ("2026-03-23T00:00:00Z", "2026-03-23 by the CA's window"),
            ("2026-03-24T00:00:00Z", "2026-03-02 by its lifetime"),
            ("9999-12-30T00:00:00Z", "2026-03-02 by its lifetime"),
        ] {
            assert_eq!(due_after(90, Some(window), None), expected);
        }
    }

    #[test]
    fn renew_before_is_the_latest_time() {
        let window = Some("2026-02-01T00:00:00Z");
        for (days, window, renew_before, expected) in [
            (90, None, "40d", "2026-02-20 by renew-before"),
            (90, None, "10d", "2026-03-02 by its lifetime"),
            (90, None, "50%", "2026-02-15 by renew-before"),
            (90, None, "1/2", "2026-02-15 by renew-before"),
            (90, window, "40d", "2026-02-01 by the CA's window"),
            (90, window, "60d", "2026-01-31 by renew-before"),
            // It would be due at once for ever.
            (6, None, "30d", "2026-01-03 by renew-before"),
        ] {
            assert_eq!(due_after(days, window, Some(renew_before)), expected);
        }
    }

    #[test]
    fn what_is_no_time_before_the_end_is_refused() {
        for text in [
            "",
            "0d",
            "-1d",
            "0%",
            "100%",
            "1/0",
            "3/2",
            "x",
            "1/x",
            "4294967295/1",
        ] {
            assert_eq!(
                text.parse::<RenewBefore>(),
                Err(InvalidRenewBefore),
                "{text}"
            );
        }
    }
}
