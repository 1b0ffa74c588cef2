//! What the CA says about the renewal of a version (RFC 9773).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How often to look if the CA does not say so, or cannot be asked (RFC 9773 §4.3.3).
const USUAL: SignedDuration = SignedDuration::from_hours(6);
/// The CA is not believed that wants more looks, or fewer.
const SHORTEST: SignedDuration = SignedDuration::from_mins(1);
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// What the CA said last about the renewal of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalInfo {
    /// The number of the version.
    pub version: u32,
    /// When to renew it; `None` if the CA did not say so.
    pub window: Option<Window>,
    /// When to look again.
    pub look_at: Timestamp,
    /// Looks in a row that got no answer, and may get one soon.
    pub unanswered: u32,
    /// A page of the CA that explains the window.
    pub explanation: Option<String>,
}

/// The time in which the CA wants a version to be renewed (RFC 9773 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The beginning.
    pub start: Timestamp,
    /// The end.
    pub end: Timestamp,
    /// The time in it that was drawn, once for this window.
    pub renew_at: Timestamp,
}

/// What a look at the CA came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The CA suggests this.
    Suggested(Suggestion),
    /// It has no suggestion, or the answer cannot be used.
    Nothing,
    /// It could not be reached, or is overloaded.
    Unanswered,
}

/// What the CA suggests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The beginning of the window.
    pub start: Timestamp,
    /// The end of the window.
    pub end: Timestamp,
    /// A page that explains it.
    pub explanation: Option<String>,
    /// How long to wait before the next look.
    pub retry_after: Option<SignedDuration>,
}

impl RenewalInfo {
    /// What is known of a version after a look. `drawn` is a random number from 0 up to 1.
    ///
    /// A time is drawn once for each window: drawing at each look would favour its beginning.
    pub fn after(
        before: Option<&RenewalInfo>,
        version: u32,
        look: Look,
        now: Timestamp,
        drawn: f64,
    ) -> Self {
        let before = before.filter(|info| info.version == version);
        let known = before.and_then(|info| info.window);
        let look_again = |after: SignedDuration| now + after.clamp(SHORTEST, LONGEST);
        match look {
            Look::Suggested(suggestion) if suggestion.start < suggestion.end => {
                let Suggestion { start, end, .. } = suggestion;
                let same = known.filter(|window| (window.start, window.end) == (start, end));
                RenewalInfo {
                    version,
                    window: Some(same.unwrap_or_else(|| Window {
                        start,
                        end,
                        renew_at: start + (end.duration_since(start)).mul_f64(drawn),
                    })),
                    look_at: look_again(suggestion.retry_after.unwrap_or(USUAL)),
                    unanswered: 0,
                    explanation: suggestion.explanation,
                }
            }
            // A window that ends before it begins is none.
            Look::Suggested(_) | Look::Nothing => RenewalInfo {
                version,
                window: known,
                look_at: look_again(USUAL),
                unanswered: 0,
                explanation: before.and_then(|info| info.explanation.clone()),
            },
            Look::Unanswered => {
                let unanswered = before.map_or(0, |info| info.unanswered).saturating_add(1);
                let pause = SHORTEST.saturating_mul(1 << unanswered.min(10));
                RenewalInfo {
                    version,
                    window: known,
                    look_at: look_again(pause.min(USUAL)),
                    unanswered,
                    explanation: before.and_then(|info| info.explanation.clone()),
                }
            }
        }
    }
}

impl Window {
    /// From when on to renew, if there is a run every so often: at the time that was drawn, or in the last run before
    /// the window ends. RFC 9773 §4.2 renews in the last run before the time that was drawn, which may be before the
    /// window begins; a CA exempts renewals from its limits in the window only.
    pub fn due(self, every: SignedDuration) -> Timestamp {
        let last_run = self.end.checked_sub(every).unwrap_or(Timestamp::MIN);
        self.renew_at.min(last_run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        format!("2026-{text}Z").parse().unwrap()
    }

    fn suggested(start: &str, end: &str, retry_after: Option<i64>) -> Look {
        Look::Suggested(Suggestion {
            start: time(start),
            end: time(end),
            explanation: None,
            retry_after: retry_after.map(SignedDuration::from_secs),
        })
    }

    fn after(before: Option<&RenewalInfo>, look: Look, drawn: f64) -> RenewalInfo {
        RenewalInfo::after(before, 1, look, time("01-01T00:00:00"), drawn)
    }

    const START: &str = "03-01T00:00:00";
    const END: &str = "03-03T00:00:00";

    #[test]
    fn a_time_is_drawn_once_for_each_window() {
        let first = after(None, suggested(START, END, None), 0.25);
        let window = first.window.unwrap();
        assert_eq!(window.renew_at, time("03-01T12:00:00"));
        let same = after(Some(&first), suggested(START, END, None), 0.75);
        assert_eq!(same.window, Some(window));
        let shrunk = after(Some(&first), suggested(START, "03-02T00:00:00", None), 0.75);
        assert_eq!(shrunk.window.unwrap().renew_at, time("03-01T18:00:00"));
    }

    #[test]
    fn the_window_of_another_version_does_not_count() {
        let mut other = after(None, suggested(START, END, None), 0.25);
        other.version = 7;
        assert_eq!(after(Some(&other), Look::Nothing, 0.5).window, None);
        let drawn = after(Some(&other), suggested(START, END, None), 0.5);
        assert_eq!(drawn.window.unwrap().renew_at, time("03-02T00:00:00"));
    }

    #[test]
    fn a_reversed_window_is_none_and_failures_keep_the_one_that_is_known() {
        for look in [
            suggested(END, START, None),
            suggested(START, START, None),
            Look::Nothing,
        ] {
            assert_eq!(after(None, look.clone(), 0.5).window, None);
            let known = after(None, suggested(START, END, None), 0.5);
            assert_eq!(after(Some(&known), look, 0.1).window, known.window);
            assert_eq!(
                after(Some(&known), Look::Unanswered, 0.1).window,
                known.window
            );
        }
    }

    #[test]
    fn the_next_look_is_after_a_minute_and_within_a_day() {
        let look = |seconds| after(None, suggested(START, END, seconds), 0.5).look_at;
        assert_eq!(look(None), time("01-01T06:00:00"));
        assert_eq!(look(Some(7_200)), time("01-01T02:00:00"));
        assert_eq!(look(Some(0)), time("01-01T00:01:00"));
        assert_eq!(look(Some(i64::MAX)), time("01-02T00:00:00"));
        assert_eq!(
            after(None, Look::Nothing, 0.5).look_at,
            time("01-01T06:00:00")
        );
    }

    #[test]
    fn a_ca_that_does_not_answer_is_asked_less_and_less() {
        let mut info = None;
        for expected in [
            "00:02", "00:04", "00:08", "00:16", "00:32", "01:04", "02:08", "04:16", "06:00",
            "06:00",
        ] {
            let next = after(info.as_ref(), Look::Unanswered, 0.5);
            assert_eq!(next.look_at, time(&format!("01-01T{expected}:00")));
            info = Some(next);
        }
    }

    #[test]
    fn the_last_run_in_the_window_renews() {
        let window = |drawn| {
            after(None, suggested(START, END, None), drawn)
                .window
                .unwrap()
        };
        let half_a_day = SignedDuration::from_hours(12);
        assert_eq!(window(0.25).due(half_a_day), time("03-01T12:00:00"));
        assert_eq!(window(0.9).due(half_a_day), time("03-02T12:00:00"));
        assert_eq!(window(0.9).due(SignedDuration::ZERO), window(0.9).renew_at);
    }
}
