//! What a CA allows an account, as far as it is known beforehand.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ledger::RunId;

/// How often a CA may want a certificate to be renewed at once. One whose windows are always in the past would get each
/// certificate renewed and deployed in each run.
pub const WINDOWS: Rate = Rate {
    count: 4,
    per: SignedDuration::from_hours(24),
};

/// What a CA allows an account. A limit that is `None` is not known, or there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// New orders. Renewals in the window that the CA suggests (RFC 9773) do not count.
    pub orders: Option<Rate>,
    /// Certificates with exactly the same names.
    pub identical: Option<Rate>,
    /// Validations of a name that fail.
    pub failed_validations: Option<Rate>,
}

/// So many in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how much time.
    pub per: SignedDuration,
}

/// Orders that were opened, or are about to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// When they were counted.
    pub at: Timestamp,
    /// How many.
    pub count: u32,
    /// The run that opens them, if it has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Reservation>,
}

/// The run that has counted orders before it opens them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The run.
    pub run: RunId,
    /// How many of them it has opened, or is about to open.
    pub opened: u32,
}

/// Lets of the orders of these runs, which have ended, only those count that they have opened.
pub fn forget_unopened(spent: &mut Vec<Spent>, ended: &BTreeSet<RunId>) {
    for one in spent.iter_mut() {
        if let Some(reserved) = one
            .reserved
            .take_if(|reserved| ended.contains(&reserved.run))
        {
            one.count = one.count.min(reserved.opened);
        }
    }
    spent.retain(|one| one.count > 0);
}

impl Limits {
    /// Those of Let's Encrypt (<https://letsencrypt.org/docs/rate-limits/>).
    pub fn lets_encrypt() -> Self {
        Limits {
            orders: Some(Rate {
                count: 300,
                per: SignedDuration::from_hours(3),
            }),
            identical: Some(Rate {
                count: 5,
                per: SignedDuration::from_hours(7 * 24),
            }),
            failed_validations: Some(Rate {
                count: 5,
                per: SignedDuration::from_hours(1),
            }),
        }
    }
}

impl Rate {
    /// The part of it for what failed before: a quarter is left for others, who may come later.
    #[must_use]
    pub fn for_repeats(self) -> Rate {
        Rate {
            count: self.count - self.count / 4,
            ..self
        }
    }

    /// How many are left at `now`. What is older, or was noted when the clock was ahead, is forgotten.
    pub fn left(self, spent: &mut Vec<Spent>, now: Timestamp) -> u32 {
        spent.retain(|one| one.at <= now && one.at > now - self.per);
        let used = spent.iter().map(|one| one.count);
        self.count.saturating_sub(used.fold(0, u32::saturating_add))
    }

    /// When there is one again, if none is left.
    pub fn next(self, spent: &[Spent], now: Timestamp) -> Timestamp {
        let spent = spent.iter().filter(|one| one.count > 0);
        let oldest = spent.map(|one| one.at).min();
        oldest.map_or(now, |oldest| oldest + self.per)
    }

    /// Adds one at `now` to those that are known. Returns those that still count, and the time before which there is
    /// no other one.
    pub fn add(self, known: &[Timestamp], now: Timestamp) -> (Vec<Timestamp>, Option<Timestamp>) {
        let recent = known.iter().copied();
        let recent = recent.filter(|at| *at <= now && *at > now - self.per);
        let all: Vec<_> = recent.chain([now]).collect();
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let oldest = all
            .len()
            .checked_sub(count)
            .and_then(|first| all.get(first));
        let until = oldest.map(|oldest| *oldest + self.per);
        (all, until)
    }

    /// When the last of so many that wait has its turn, if as many as allowed are done each time.
    pub fn estimate(self, waiting: u32, next: Timestamp) -> Timestamp {
        let turns = waiting.saturating_sub(1) / self.count.max(1);
        let turns = i32::try_from(turns).unwrap_or(i32::MAX);
        next.checked_add(self.per.saturating_mul(turns))
            .unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        format!("2026-01-01T{text}:00Z").parse().unwrap()
    }

    #[test]
    fn a_quarter_is_left_for_what_did_not_fail_before() {
        for (count, for_repeats) in [(300, 225), (5, 4), (1, 1)] {
            let rate = Rate {
                count,
                ..Limits::lets_encrypt().orders.unwrap()
            };
            assert_eq!(rate.for_repeats().count, for_repeats);
        }
    }

    #[test]
    fn what_was_spent_comes_back_after_a_while() {
        let rate = Limits::lets_encrypt().orders.unwrap();
        let spent = |at, count| Spent {
            at: time(at),
            count,
            reserved: None,
        };
        let mut all = vec![spent("00:00", 200), spent("02:00", 90)];
        assert_eq!(rate.left(&mut all, time("02:30")), 10);
        assert_eq!(rate.next(&all, time("02:30")), time("03:00"));
        assert_eq!(rate.left(&mut all, time("03:00")), 210);
        assert_eq!(all, [spent("02:00", 90)]);
        // The clock was ahead.
        assert_eq!(rate.left(&mut all, time("01:00")), 300);
    }

    #[test]
    fn of_a_run_that_has_ended_only_the_orders_that_it_opened_count() {
        let run = |at| RunId::new(time(at));
        let (ended, live) = (run("00:00"), run("01:00"));
        let spent = |run: &RunId, count, opened| Spent {
            at: time("00:00"),
            count,
            reserved: Some(Reservation {
                run: run.clone(),
                opened,
            }),
        };
        let mut all = vec![
            spent(&ended, 200, 5),
            spent(&ended, 100, 0),
            spent(&live, 7, 0),
        ];
        forget_unopened(&mut all, &BTreeSet::from([ended]));
        let counts: Vec<_> = all
            .iter()
            .map(|one| (one.count, one.reserved.is_some()))
            .collect();
        assert_eq!(counts, [(5, false), (7, true)]);
    }

    #[test]
    fn as_many_as_allowed_block_the_next_until_the_oldest_is_forgotten() {
        let rate = Limits::lets_encrypt().failed_validations.unwrap();
        let mut known = Vec::new();
        let mut until = None;
        for at in ["00:00", "00:10", "00:20", "00:30", "00:40"] {
            assert_eq!(until, None, "{at}");
            (known, until) = rate.add(&known, time(at));
        }
        assert_eq!(until, Some(time("01:00")));
        (known, until) = rate.add(&known, time("01:05"));
        assert_eq!((known.len(), until), (5, Some(time("01:10"))));
        assert_eq!(rate.add(&known, time("03:00")), (vec![time("03:00")], None));
        // The clock was ahead.
        assert_eq!(rate.add(&known, time("00:00")), (vec![time("00:00")], None));
    }

    #[test]
    fn the_last_of_many_waits_for_several_turns() {
        let rate = Limits::lets_encrypt().orders.unwrap();
        for (waiting, expected) in [(1, "03:00"), (300, "03:00"), (301, "06:00"), (900, "09:00")] {
            assert_eq!(
                rate.estimate(waiting, time("03:00")),
                time(expected),
                "{waiting}"
            );
        }
    }
}
