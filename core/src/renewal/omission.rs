//! Whether a certificate is obtained without names that fail.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::due::{Validity, due};

/// The version that stays in use if no other one is obtained.
#[derive(Clone, Debug)]
pub struct InUse {
    /// Its names.
    pub names: BTreeSet<String>,
    /// From when to when it is valid.
    pub validity: Validity,
    /// The end of the time in which the CA wants it to be renewed.
    pub window_end: Option<Timestamp>,
    /// Whether it is to be replaced in any case: it is due, or the configuration asks for more than other names.
    pub is_due: bool,
}

/// When a certificate is obtained without names that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Omission {
    /// Now.
    Now,
    /// From this time on, if they still fail then: the version in use has them.
    From(Timestamp),
    /// Not now: the version in use has all names that can be had.
    Useless,
}

impl InUse {
    /// When to obtain a certificate with the names of `rest`, and without those of `left_out`.
    ///
    /// A name may fail for a day because a name server is down. So one that is in use is given up late only: when half
    /// of the time between the usual renewal and the end has passed. A CA that wants it to be renewed before the usual
    /// time may be about to revoke it: then it is not kept longer than the CA says.
    pub fn omission(
        &self,
        left_out: &BTreeSet<String>,
        rest: &BTreeSet<String>,
        now: Timestamp,
    ) -> Omission {
        if self.names.is_disjoint(left_out) {
            return if self.is_due || !rest.is_subset(&self.names) {
                Omission::Now
            } else {
                Omission::Useless
            };
        }
        let end = self.validity.not_after;
        let usual = due(self.validity, None, None).at;
        let early = self.window_end.filter(|window_end| *window_end < usual);
        let late = early.unwrap_or_else(|| end - end.duration_since(usual) / 2);
        if now < late {
            Omission::From(late)
        } else {
            Omission::Now
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// The certificate for `a` and `b` on this day, which the CA wants to be renewed until another one.
    fn in_use(day: i32, window_end: Option<i32>) -> InUse {
        let not_before = Timestamp::UNIX_EPOCH;
        InUse {
            names: set(&["a", "b"]),
            validity: Validity {
                not_before,
                not_after: not_before + DAY * 90,
            },
            window_end: window_end.map(|day| not_before + DAY * day),
            is_due: day >= 60,
        }
    }

    /// On this day of the 90 of a certificate for `a` and `b`, with the names that fail and the others.
    fn on(day: i32, left_out: &[&str], rest: &[&str]) -> Omission {
        let not_before = Timestamp::UNIX_EPOCH;
        in_use(day, None).omission(&set(left_out), &set(rest), not_before + DAY * day)
    }

    #[test]
    fn a_name_in_use_is_left_out_late_only() {
        let late = Timestamp::UNIX_EPOCH + DAY * 75;
        for day in [1, 60, 74] {
            assert_eq!(on(day, &["b"], &["a"]), Omission::From(late));
            assert_eq!(on(day, &["b", "c"], &["a", "d"]), Omission::From(late));
        }
        for day in [75, 89, 100] {
            assert_eq!(on(day, &["b"], &["a"]), Omission::Now);
        }
    }

    #[test]
    fn no_name_is_kept_longer_than_the_ca_lets_the_certificate_live() {
        let now = Timestamp::UNIX_EPOCH + DAY * 20;
        let omission =
            |window_end| in_use(20, Some(window_end)).omission(&set(&["b"]), &set(&["a"]), now);
        assert_eq!(omission(19), Omission::Now);
        assert_eq!(omission(22), Omission::From(now + DAY * 2));
        // The usual window.
        assert_eq!(omission(61), Omission::From(now + DAY * 55));
    }

    #[test]
    fn a_name_that_is_not_in_use_is_left_out_if_anything_is_gained() {
        assert_eq!(on(1, &["c"], &["a", "b"]), Omission::Useless);
        assert_eq!(on(1, &["c"], &["a"]), Omission::Useless);
        assert_eq!(on(1, &["c"], &["a", "b", "d"]), Omission::Now);
        assert_eq!(on(60, &["c"], &["a", "b"]), Omission::Now);
    }
}
