//! What other hosts changed in the zones that they share with us, from copies of their ledgers.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::contract::Ledger;
use super::error::LedgerError;
use super::line::SerialStep;
use super::serials::{ForeignMovement, ZoneSerials, chains, is_between};
use crate::name::DnsName;

/// How far the clocks of two hosts may differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(10);

/// The movements of serials that other hosts caused.
#[derive(Clone, Debug, Default)]
pub struct OtherHosts {
    zones: BTreeMap<DnsName, Vec<(Timestamp, SerialStep)>>,
}

impl OtherHosts {
    /// Reads what the ledgers have about these zones.
    pub async fn read<'a>(
        ledgers: impl IntoIterator<Item = &'a dyn Ledger>,
        zones: impl IntoIterator<Item = &DnsName>,
    ) -> Result<Self, LedgerError> {
        let zones = zones.into_iter();
        let mut zones: BTreeMap<_, Vec<_>> = zones.map(|zone| (zone.clone(), Vec::new())).collect();
        let wanted: BTreeSet<_> = zones.keys().cloned().collect();
        for ledger in ledgers {
            let add = |zone: &DnsName, time, step| {
                if let Some(steps) = zones.get_mut(zone)
                    // Each record of a change has the same step.
                    && steps.last().is_none_or(|(_, last)| *last != step)
                {
                    steps.push((time, step));
                }
            };
            chains(ledger, |zone| wanted.contains(zone), add).await?;
        }
        for steps in zones.values_mut() {
            steps.sort_by_key(|(time, _)| *time);
        }
        Ok(OtherHosts { zones })
    }

    /// Drops the movements that these hosts caused.
    pub fn explain(&self, zone: &DnsName, serials: &mut ZoneSerials) {
        if let Some(steps) = self.zones.get(zone) {
            serials.foreign.retain(|foreign| !causes(steps, foreign));
        }
    }
}

/// Whether these steps, together, lead from the beginning of a movement to its end. They count only if they were
/// made at about the same time: a zone that was created anew has its serials again.
fn causes(steps: &[(Timestamp, SerialStep)], foreign: &ForeignMovement) -> bool {
    let begin = foreign.after.saturating_sub(CLOCKS_DIFFER);
    let begin = begin.unwrap_or(Timestamp::MIN);
    let end = foreign
        .until
        .map(|until| until.saturating_add(CLOCKS_DIFFER));
    let end = end.and_then(Result::ok).unwrap_or(Timestamp::MAX);
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
        let others = OtherHosts::read(ledgers, [&zone]).await.unwrap();
        found.compare(current);
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
    async fn of_other_zones_nothing_is_kept() {
        let ledger = ledger(&[(7, 8)]).await;
        let other: DnsName = "other.example.net".parse().unwrap();
        let ledgers = [&ledger as &dyn Ledger];
        let others = OtherHosts::read(ledgers, [&other]).await.unwrap();
        assert_eq!(
            others.zones.into_iter().collect::<Vec<_>>(),
            [(other, Vec::new())]
        );
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
