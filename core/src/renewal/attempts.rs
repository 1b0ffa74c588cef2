//! Failed attempts, and when the next one may be made.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The pauses after the first failures in a row. After more of them, an attempt is made every day.
const PAUSES: [SignedDuration; 3] = [
    SignedDuration::from_mins(1),
    SignedDuration::from_mins(10),
    SignedDuration::from_mins(100),
];
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// No CA is believed that asks for a longer pause.
const ASKED_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Attempts that failed, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// How many.
    pub failed: u32,
    /// How many of them failed at the CA, one after the other.
    #[serde(default)]
    pub at_ca: u32,
    /// What the next one waits for.
    #[serde(flatten)]
    pub pause: Pause,
    /// Why the last one failed, in a sentence.
    pub error: String,
}

/// The time after a failed attempt in which no other one is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When the attempt failed.
    pub failed_at: Timestamp,
    /// The end of our own pause.
    pub until: Timestamp,
    /// The end of the pause that somebody else asks for, such as the CA. Nothing overrides that.
    pub asked: Option<Timestamp>,
    /// The CA that asks for it, as a digest; `None` if that is not known. It binds no other CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<u64>,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why, in a sentence.
    pub error: String,
    /// Whether it failed at the CA.
    pub is_of_ca: bool,
    /// The time that the CA asks to wait for.
    pub asked: Option<Timestamp>,
    /// The CA that asks for it, as [`Pause::asked_by`].
    pub asked_by: Option<u64>,
}

impl Attempts {
    /// One more failure after those `before`. A pause that a CA asked for goes on if this failure asks for none, or if another
    /// CA asks for a shorter one.
    pub fn after(before: Option<&Attempts>, now: Timestamp, failure: Failure) -> Self {
        let Failure {
            error,
            is_of_ca,
            asked,
            asked_by,
        } = failure;
        let at_ca = before.map_or(0, |before| before.at_ca).saturating_add(1);
        let failed = before.map_or(0, |before| before.failed).saturating_add(1);
        let asked = asked.map(|asked| asked.min(now + ASKED_MAX));
        let earlier = before.map(|before| before.pause);
        let earlier = earlier.filter(|earlier| {
            let until = earlier.asked_until(now);
            until.is_some() && (asked.is_none() || (until > asked && earlier.asked_by != asked_by))
        });
        Attempts {
            failed,
            at_ca: if is_of_ca { at_ca } else { 0 },
            pause: Pause {
                failed_at: now,
                until: now + pause_after(failed),
                asked: earlier.map_or(asked, |earlier| earlier.asked),
                asked_by: earlier.map_or(asked_by, |earlier| earlier.asked_by),
            },
            error,
        }
    }
}

impl Pause {
    /// The time to wait for; `None` if an attempt may be made now. `force` overrides our own pause only.
    pub fn wait(self, now: Timestamp, force: bool) -> Option<Timestamp> {
        let ours = Some(self.until).filter(|_| !force);
        self.ends_after(now, ours.max(self.asked))
    }

    /// The end of the pause that somebody else asks for; `None` if it has ended.
    fn asked_until(self, now: Timestamp) -> Option<Timestamp> {
        self.ends_after(now, self.asked)
    }

    fn ends_after(self, now: Timestamp, until: Option<Timestamp>) -> Option<Timestamp> {
        // The clock was ahead when the attempt failed, and was set back since.
        let clock_was_ahead = self.failed_at > now;
        until.filter(|until| *until > now && !clock_was_ahead)
    }
}

/// The pause after so many failures in a row.
fn pause_after(failed: u32) -> SignedDuration {
    let index = usize::try_from(failed.saturating_sub(1)).unwrap_or(usize::MAX);
    PAUSES.get(index).copied().unwrap_or(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn failure(asked: Option<Timestamp>) -> Failure {
        Failure {
            error: "it failed".to_owned(),
            is_of_ca: true,
            asked,
            asked_by: None,
        }
    }

    fn failed(before: Option<&Attempts>, now: Timestamp) -> Attempts {
        Attempts::after(before, now, failure(None))
    }

    #[test]
    fn the_pauses_grow_to_a_day() {
        let mut now = time("2026-01-01T00:00:00Z");
        let mut attempts = None;
        for minutes in [1, 10, 100, 24 * 60, 24 * 60] {
            let failed = failed(attempts.as_ref(), now);
            let end = now + SignedDuration::from_mins(minutes);
            assert_eq!(failed.pause.wait(now, false), Some(end));
            assert_eq!(failed.pause.wait(now, true), None);
            assert_eq!(failed.pause.wait(end, false), None);
            now = end;
            attempts = Some(failed);
        }
    }

    #[test]
    fn the_time_that_the_ca_asks_for_holds_even_by_force() {
        let now = time("2026-01-01T00:00:00Z");
        for (asked, normal, forced) in [
            (
                "2026-01-01T01:00:00Z",
                "2026-01-01T01:00:00Z",
                Some("2026-01-01T01:00:00Z"),
            ),
            (
                "2026-01-01T00:00:30Z",
                "2026-01-01T00:01:00Z",
                Some("2026-01-01T00:00:30Z"),
            ),
            ("2025-01-01T00:00:00Z", "2026-01-01T00:01:00Z", None),
            // No CA is believed that much.
            (
                "2036-01-01T00:00:00Z",
                "2026-01-08T00:00:00Z",
                Some("2026-01-08T00:00:00Z"),
            ),
        ] {
            let attempts = Attempts::after(None, now, failure(Some(time(asked))));
            assert_eq!(
                attempts.pause.wait(now, false),
                Some(time(normal)),
                "{asked}"
            );
            assert_eq!(attempts.pause.wait(now, true), forced.map(time), "{asked}");
        }
    }

    #[test]
    fn a_pause_that_a_ca_asks_for_goes_on_after_other_failures() {
        let now = time("2026-01-01T00:00:00Z");
        let end = time("2026-01-03T00:00:00Z");
        let mut first = Attempts::after(None, now, failure(Some(end)));
        first.pause.asked_by = Some(7);
        let second = Attempts::after(Some(&first), time("2026-01-02T00:00:00Z"), failure(None));
        assert_eq!(second.pause.asked, Some(end));
        assert_eq!(second.pause.asked_by, Some(7));

        // The same CA knows better, and another one does not.
        let sooner = time("2026-01-02T12:00:00Z");
        for (asked_by, until) in [(7, sooner), (8, end)] {
            let failure = Failure {
                asked_by: Some(asked_by),
                ..failure(Some(sooner))
            };
            let pause = Attempts::after(Some(&first), now, failure).pause;
            assert_eq!((pause.asked, pause.asked_by), (Some(until), Some(7)));
        }

        let after_it = Attempts::after(Some(&first), end, failure(None));
        assert_eq!(after_it.pause.asked, None);
        let clock_was_ahead = time("2025-01-01T00:00:00Z");
        let set_back = Attempts::after(Some(&first), clock_was_ahead, failure(None));
        assert_eq!(set_back.pause.asked, None);
    }

    #[test]
    fn a_clock_that_was_ahead_keeps_nothing_waiting() {
        let attempts = failed(None, time("2030-01-01T00:00:00Z"));
        assert_eq!(
            attempts.pause.wait(time("2026-01-01T00:00:00Z"), false),
            None
        );
    }
}
