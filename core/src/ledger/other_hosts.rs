//! What other hosts changed in the zones that they share with us, from copies of their ledgers.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::contract::Ledger;
use super::error::LedgerError;
use super::line::SerialStep;
use super::serials::{Chain, ForeignMovement, ZoneSerials, chains, is_between};
use crate::name::DnsName;

/// How far the clocks of two hosts may differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(10);

/// The most steps that are kept, of all zones together. Somebody may have written a ledger with millions.
const STEPS_MAX: usize = 500_000;

/// The movements of serials that other hosts caused.
#[derive(Clone, Debug, Default)]
pub struct OtherHosts {
    zones: BTreeMap<DnsName, Zone>,
}

/// The steps of other hosts in one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Zone {
    /// When the movements were made that are to be explained, without gaps and overlaps.
    times: Vec<(Timestamp, Timestamp)>,
    steps: Vec<(Timestamp, SerialStep)>,
}

impl OtherHosts {
    /// Reads what the ledgers have about these zones at the times of movements that nothing else explains.
    pub async fn read<'a>(
        ledgers: impl IntoIterator<Item = &'a dyn Ledger>,
        zones: impl IntoIterator<Item = (&DnsName, &ZoneSerials)>,
    ) -> Result<Self, LedgerError> {
        Self::read_at_most(ledgers, zones, STEPS_MAX).await
    }

    async fn read_at_most<'a>(
        ledgers: impl IntoIterator<Item = &'a dyn Ledger>,
        zones: impl IntoIterator<Item = (&DnsName, &ZoneSerials)>,
        max: usize,
    ) -> Result<Self, LedgerError> {
        let zones = zones.into_iter();
        let zones = zones.map(|(zone, serials)| (zone.clone(), Zone::new(&serials.foreign)));
        let mut zones: BTreeMap<_, _> = zones.collect();
        let wanted: BTreeSet<_> = zones.keys().cloned().collect();
        let mut kept = 0;
        for ledger in ledgers {
            let begin = |zone: &DnsName| wanted.contains(zone).then(Chain::default);
            let add = |zone: &DnsName, time, step| {
                if zones.get_mut(zone).is_some_and(|zone| zone.add(time, step)) {
                    kept += 1;
                }
                let error = LedgerError::TooManySteps { max };
                if kept > max { Err(error) } else { Ok(()) }
            };
            chains(ledger, begin, add).await?;
        }
        for zone in zones.values_mut() {
            zone.steps.sort_by_key(|(time, _)| *time);
        }
        Ok(OtherHosts { zones })
    }

    /// Drops the movements that these hosts caused.
    pub fn explain(&self, zone: &DnsName, serials: &mut ZoneSerials) {
        if let Some(Zone { steps, .. }) = self.zones.get(zone) {
            serials.foreign.retain(|foreign| !causes(steps, foreign));
        }
    }
}

impl Zone {
    fn new(movements: &[ForeignMovement]) -> Self {
        let mut all: Vec<_> = movements.iter().map(time_of).collect();
        all.sort_unstable();
        let mut times: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (begin, end) in all {
            match times.last_mut() {
                Some((_, last)) if begin <= *last => *last = end.max(*last),
                _ => times.push((begin, end)),
            }
        }
        Zone {
            times,
            steps: Vec::new(),
        }
    }

    /// Adds a step if it may explain a movement; returns whether it did so. Each record of a change has the same step.
    fn add(&mut self, time: Timestamp, step: SerialStep) -> bool {
        let before = self.times.partition_point(|(_, end)| *end < time);
        let is_wanted = self
            .times
            .get(before)
            .is_some_and(|(begin, _)| *begin <= time);
        let is_new = self.steps.last().is_none_or(|(_, last)| *last != step);
        if is_wanted && is_new {
            self.steps.push((time, step));
        }
        is_wanted && is_new
    }
}

/// When a step was made that is a part of this movement, by the clock of its host.
fn time_of(movement: &ForeignMovement) -> (Timestamp, Timestamp) {
    let begin = movement.after.saturating_sub(CLOCKS_DIFFER);
    let end = movement
        .until
        .map(|until| until.saturating_add(CLOCKS_DIFFER));
    let end = end.and_then(Result::ok).unwrap_or(Timestamp::MAX);
    (begin.unwrap_or(Timestamp::MIN), end)
}

/// Whether these steps, together, lead from the beginning of a movement to its end. They count only if they were
/// made at about the same time: a zone that was created anew has its serials again.
fn causes(steps: &[(Timestamp, SerialStep)], foreign: &ForeignMovement) -> bool {
    let (begin, end) = time_of(foreign);
    let first = steps.partition_point(|(time, _)| *time < begin);
    let mut steps: Vec<_> = steps[first..]
        .iter()
        .take_while(|(time, _)| *time <= end)
        .map(|(_, step)| *step)
        .collect();
    // In the order in which the way meets them.
    steps.sort_by_key(|step| step.after.wrapping_sub(foreign.from));
    let reached = steps.iter().fold(foreign.from, |reached, step| {
        match (is_between(*step, reached), is_between(*step, foreign.to)) {
            (true, true) => foreign.to,
            (true, false) => step.after,
            (false, _) => reached,
        }
    });
    reached == foreign.to
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::line::Event;
    use crate::ledger::run_id::RunId;
    use crate::ledger::sample::entry;
    use crate::ledger::serials;
    use crate::testkit::MemoryLedger;
    use crate::txt::Action;

    /// A ledger with these steps, each of a change that was read back.
    async fn ledger(steps: &[(u32, u32)]) -> MemoryLedger {
        let ledger = MemoryLedger::default();
        let run = RunId::new(Timestamp::UNIX_EPOCH);
        for (before, after) in steps {
            let mut verified = entry(Event::Verified, Action::Add, "v");
            verified.serial = Some(SerialStep {
                before: *before,
                after: *after,
            });
            let intent = entry(Event::Intent, Action::Add, "v");
            ledger.record(&run, vec![intent, verified]).await.unwrap();
        }
        ledger
    }

    /// The movements that nobody explains, the last of them to `current`.
    async fn foreign(
        ours: &[(u32, u32)],
        others: &[&[(u32, u32)]],
        current: u32,
    ) -> Vec<(u32, u32)> {
        let mut ledgers = Vec::new();
        for steps in others {
            ledgers.push(ledger(steps).await);
        }
        let ledgers = ledgers.iter().map(|ledger| ledger as &dyn Ledger);
        let (zone, mut found) = serials(&ledger(ours).await)
            .await
            .unwrap()
            .pop_first()
            .unwrap();
        found.compare(current);
        let others = OtherHosts::read(ledgers, [(&zone, &found)]).await.unwrap();
        others.explain(&zone, &mut found);
        let foreign = found.foreign.iter();
        foreign.map(|foreign| (foreign.from, foreign.to)).collect()
    }

    #[tokio::test]
    async fn changes_of_other_hosts_are_not_foreign() {
        let ours = [(7, 8), (10, 11)];
        assert_eq!(foreign(&ours, &[], 11).await, [(8, 10)]);
        assert_eq!(foreign(&ours, &[&[(8, 9), (9, 10)]], 11).await, []);
        assert_eq!(foreign(&ours, &[&[(9, 10)], &[(8, 9)]], 11).await, []);
        assert_eq!(foreign(&ours, &[&[(8, 10)], &[(11, 12)]], 12).await, []);
    }

    #[tokio::test]
    async fn only_steps_that_may_explain_a_movement_are_kept() {
        let theirs = ledger(&[(8, 9), (20, 21), (30, 31)]).await;
        let (ours, mut moved) = serials(&ledger(&[(7, 8)]).await)
            .await
            .unwrap()
            .pop_first()
            .unwrap();
        let other: DnsName = "other.example.net".parse().unwrap();
        let kept = async |zone: &DnsName, serials: &ZoneSerials| {
            let ledgers = [&theirs as &dyn Ledger];
            let others = OtherHosts::read(ledgers, [(zone, serials)]).await.unwrap();
            others.zones[zone].steps.len()
        };
        assert_eq!(kept(&ours, &moved).await, 0);
        moved.compare(9);
        assert_eq!(kept(&ours, &moved).await, 3);
        assert_eq!(kept(&other, &moved).await, 0);
        let hour = SignedDuration::from_hours(1);
        for (after, until, count) in [(-2, -1, 0), (-1, 1, 3), (1, 2, 0)] {
            moved.foreign[0].after = moved.time + hour * after;
            moved.foreign[0].until = Some(moved.time + hour * until);
            assert_eq!(kept(&ours, &moved).await, count);
        }
    }

    #[test]
    fn times_of_movements_that_overlap_are_one() {
        let at = |minutes| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
        let movement = |after, until| ForeignMovement {
            from: 1,
            to: 2,
            after: at(after),
            until: Some(at(until)),
        };
        let movements = [movement(100, 110), movement(0, 30), movement(45, 50)];
        let mut zone = Zone::new(&movements);
        assert_eq!(zone.times, [(at(-10), at(60)), (at(90), at(120))]);
        let mut add = |minutes| {
            let after = u32::try_from(minutes + 100).unwrap();
            zone.add(at(minutes), SerialStep { before: 1, after })
        };
        assert!(add(-10) && add(37) && add(60) && add(90) && add(120));
        assert!(!add(-11) && !add(61) && !add(89) && !add(121));
        assert!(!Zone::new(&[]).add(
            at(0),
            SerialStep {
                before: 1,
                after: 2
            }
        ));
    }

    #[tokio::test]
    async fn too_many_steps_are_an_error() {
        let theirs = ledger(&[(8, 9), (20, 21), (30, 31)]).await;
        let (zone, mut moved) = serials(&ledger(&[(7, 8)]).await)
            .await
            .unwrap()
            .pop_first()
            .unwrap();
        moved.compare(9);
        let read = |max| {
            let ledgers = [&theirs as &dyn Ledger];
            OtherHosts::read_at_most(ledgers, [(&zone, &moved)], max)
        };
        assert!(read(3).await.is_ok());
        let error = read(2).await.unwrap_err();
        assert!(matches!(error, LedgerError::TooManySteps { max: 2 }));
    }

    #[tokio::test]
    async fn steps_of_other_hosts_may_include_each_other_and_ours() {
        // The other one read the serial before and after a change of ours.
        assert_eq!(foreign(&[(7, 8), (9, 10)], &[&[(7, 9)]], 10).await, []);
        assert_eq!(foreign(&[(7, 8)], &[&[(8, 10)], &[(9, 11)]], 11).await, []);
        // We read the serial in the middle of a step of the other one.
        assert_eq!(foreign(&[(7, 8), (9, 11)], &[&[(8, 10)]], 11).await, []);
    }

    #[tokio::test]
    async fn a_movement_that_is_explained_in_part_is_foreign() {
        let ours = [(7, 8), (10, 11)];
        assert_eq!(foreign(&ours, &[&[(8, 9)]], 11).await, [(8, 10)]);
        assert_eq!(foreign(&ours, &[&[(9, 10)]], 11).await, [(8, 10)]);
        assert_eq!(foreign(&ours, &[&[(8, 10)]], 13).await, [(11, 13)]);
        // A zone that was created anew.
        assert_eq!(foreign(&[(7, 8), (3, 4)], &[&[(8, 9)]], 4).await, [(8, 3)]);
    }

    #[test]
    fn steps_of_another_time_explain_nothing() {
        let movement = ForeignMovement {
            from: 8,
            to: 9,
            after: "2026-11-24T12:00:00Z".parse().unwrap(),
            until: Some("2026-11-24T13:00:00Z".parse().unwrap()),
        };
        let step = SerialStep {
            before: 8,
            after: 9,
        };
        let at = |time: &str| causes(&[(time.parse().unwrap(), step)], &movement);
        assert!(at("2026-11-24T12:30:00Z"));
        // The clocks may differ by some minutes.
        assert!(at("2026-11-24T11:55:00Z") && at("2026-11-24T13:05:00Z"));
        assert!(!at("2026-11-24T11:00:00Z") && !at("2026-11-24T14:00:00Z"));
    }

    #[test]
    fn serials_may_wrap_around() {
        let movement = ForeignMovement {
            from: u32::MAX,
            to: 1,
            after: Timestamp::UNIX_EPOCH,
            until: None,
        };
        let step = |before, after| (Timestamp::UNIX_EPOCH, SerialStep { before, after });
        assert!(causes(&[step(0, 1), step(u32::MAX, 0)], &movement));
        assert!(!causes(&[step(0, 1)], &movement));
    }
}
