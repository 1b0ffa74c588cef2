//! The SOA serials of the zones around our changes.
//!
//! If a serial moved without one of our changes, somebody else changed the zone, perhaps with our key.
//! Serials are compared as in RFC 1982 and not counted: servers increase them by one, by date or by
//! time.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::TryStreamExt;
use jiff::Timestamp;

use super::contract::Ledger;
use super::error::LedgerError;
use super::line::{Event, Line, SerialStep};
use super::run_id::RunId;
use crate::name::DnsName;

/// The most runs that are known to have requested a change of one zone and not read it back.
const OPEN_MAX: usize = 10_000;

/// How the serial of one zone moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSerials {
    /// How many of our changes have known serials.
    pub steps: usize,
    /// The serial after the last of them.
    pub last: u32,
    /// When that was.
    pub time: Timestamp,
    /// The kind of the provider that made it.
    pub provider: String,
    /// Whether a change of ours that was not read back may have moved it since.
    pub may_have_moved: bool,
    /// Movements that none of our changes explains.
    pub foreign: Vec<ForeignMovement>,
}

/// A movement that none of our changes explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignMovement {
    /// The serial after one of our changes.
    pub from: u32,
    /// The serial that was found next.
    pub to: u32,
    /// When the first was read.
    pub after: Timestamp,
    /// When the second was read; none if that is now.
    pub until: Option<Timestamp>,
}

impl ZoneSerials {
    /// Adds a movement if the serial that the zone has now is another one, and no change of ours may be the cause.
    pub fn compare(&mut self, current: u32) {
        if current != self.last && !self.may_have_moved {
            self.foreign.push(ForeignMovement {
                from: self.last,
                to: current,
                after: self.time,
                until: None,
            });
        }
    }
}

/// How the serial of each zone moved, from all lines of the ledger. Zones whose backend has no serial
/// are left out.
pub async fn serials(ledger: &dyn Ledger) -> Result<BTreeMap<DnsName, ZoneSerials>, LedgerError> {
    let ours = || Chain {
        is_ours: true,
        ..Chain::default()
    };
    let found = chains(ledger, |_| Some(ours()), |_, _, _| Ok(())).await?;
    Ok(found
        .into_iter()
        .filter_map(|(zone, chain)| Some((zone, chain.into_serials()?)))
        .collect())
}

/// Reads all lines about the zones for which `begin` returns a chain. `explained` gets each movement that a line
/// explains, with its zone and time.
pub(super) async fn chains(
    ledger: &dyn Ledger,
    begin: impl Fn(&DnsName) -> Option<Chain>,
    mut explained: impl FnMut(&DnsName, Timestamp, SerialStep) -> Result<(), LedgerError>,
) -> Result<BTreeMap<DnsName, Chain>, LedgerError> {
    let mut chains: BTreeMap<DnsName, Chain> = BTreeMap::new();
    let mut lines = ledger.lines();
    while let Some(line) = lines.try_next().await? {
        let zone = &line.entry.zone;
        let step = if let Some(chain) = chains.get_mut(zone) {
            chain.follow(&line)
        } else if let Some(mut chain) = begin(zone) {
            let step = chain.follow(&line);
            chains.insert(zone.clone(), chain);
            step
        } else {
            None
        };
        if let Some(step) = step {
            explained(zone, line.time, step)?;
        }
    }
    Ok(chains)
}

/// The serials of one zone while its lines are read.
#[derive(Default)]
pub(super) struct Chain {
    /// Whether movements that none of its changes explains matter. Those of other hosts do not.
    is_ours: bool,
    /// The last step, with the overlapping ones before it merged into it.
    last: Option<(SerialStep, Timestamp)>,
    steps: usize,
    provider: String,
    foreign: Vec<ForeignMovement>,
    /// Runs that requested a change and have not read it back yet.
    open: BTreeSet<RunId>,
    /// Whether a change was made whose serial nobody knows.
    is_broken: bool,
}

impl Chain {
    /// Adds a line; returns the movement of the serial that it explains.
    fn follow(&mut self, line: &Line) -> Option<SerialStep> {
        match (line.entry.event, line.entry.serial) {
            // With so many, it makes no difference which of them have ended.
            (Event::Intent, _) if self.open.len() >= OPEN_MAX => {
                self.open.clear();
                self.is_broken = true;
            }
            (Event::Intent, _) => {
                self.open.insert(line.run.clone());
            }
            (Event::SerialExplained, Some(step)) => {
                self.explain(line, step);
                return Some(step);
            }
            (_, Some(step)) => return Some(self.step(line, step)),
            (Event::Failed, None) => {
                self.open.remove(&line.run);
            }
            (Event::Verified | Event::Withdrawn, None) => {
                self.is_broken |= self.open.remove(&line.run);
            }
            (
                Event::Acknowledged | Event::Unknown | Event::Forgotten | Event::SerialExplained,
                None,
            ) => {}
        }
        None
    }

    /// The operator knows of every movement up to here. The step begins at the last serial that was on record then.
    fn explain(&mut self, line: &Line, step: SerialStep) {
        match self.last {
            // Changes of ours were recorded meanwhile. What they reveal beyond the step was not seen.
            Some((last, _)) if last.after != step.before => {
                self.foreign
                    .retain(|foreign| foreign.from == step.before && !is_between(step, foreign.to));
            }
            last => {
                self.foreign.clear();
                let moved = step.after != step.before;
                let time = last.filter(|_| !moved).map_or(line.time, |(_, time)| time);
                self.last = Some((step, time));
            }
        }
    }

    fn step(&mut self, line: &Line, step: SerialStep) -> SerialStep {
        self.open.remove(&line.run);
        let others_may_have_moved_it = self.is_broken || !self.open.is_empty();
        let mut explained = step;
        self.last = Some(match self.last {
            // The records of one change, or two runs at the same time.
            Some((last, time)) if overlap(last, step) => {
                let follows = step.before == last.after;
                self.steps += usize::from(follows && step.before != step.after);
                let is_earlier = later(last.before, step.before) == last.before;
                let joint = SerialStep {
                    before: if follows || is_earlier {
                        step.before
                    } else {
                        last.before
                    },
                    after: later(last.after, step.after),
                };
                let moved = joint.after != last.after;
                (joint, if moved { line.time } else { time })
            }
            last => {
                match last {
                    Some((last, _)) if others_may_have_moved_it => explained.before = last.after,
                    Some((last, time)) if self.is_ours => self.foreign.push(ForeignMovement {
                        from: last.after,
                        to: step.before,
                        after: time,
                        until: Some(line.time),
                    }),
                    _ => {}
                }
                self.steps += 1;
                (step, line.time)
            }
        });
        self.open.clear();
        self.is_broken = false;
        line.entry.provider.clone_into(&mut self.provider);
        explained
    }

    fn into_serials(self) -> Option<ZoneSerials> {
        let (step, time) = self.last?;
        Some(ZoneSerials {
            steps: self.steps,
            last: step.after,
            time,
            provider: self.provider,
            may_have_moved: self.is_broken || !self.open.is_empty(),
            foreign: self.foreign,
        })
    }
}

/// Whether `serial` is one that the zone had during the step.
pub(super) fn is_between(step: SerialStep, serial: u32) -> bool {
    let length = step.after.wrapping_sub(step.before);
    if length >= 1 << 31 {
        // A step back would contain almost every serial.
        return [step.before, step.after].contains(&serial);
    }
    serial.wrapping_sub(step.before) <= length
}

/// Whether two steps were made at the same time, or the second one follows the first.
fn overlap(first: SerialStep, second: SerialStep) -> bool {
    is_between(first, second.before) || is_between(second, first.before)
}

/// The later of two serials (RFC 1982 §3.2).
fn later(one: u32, other: u32) -> u32 {
    if other.wrapping_sub(one) < 1 << 31 {
        other
    } else {
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::sample::entry;
    use crate::testkit::MemoryLedger;
    use crate::txt::Action;

    /// The serials of one zone after lines such as `run event before-after`. The third word may be
    /// missing.
    async fn story(text: &str) -> ZoneSerials {
        let ledger = MemoryLedger::default();
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let event = match words[1] {
                "intent" => Event::Intent,
                "verified" => Event::Verified,
                "failed" => Event::Failed,
                "explained" => Event::SerialExplained,
                other => panic!("{other}"),
            };
            let step = words.get(2).and_then(|step| step.split_once('-'));
            let mut entry = entry(event, Action::Add, "v");
            entry.serial = step.map(|(before, after)| SerialStep {
                before: before.parse().unwrap(),
                after: after.parse().unwrap(),
            });
            let run = words[0].parse().unwrap();
            ledger.record(&run, vec![entry]).await.unwrap();
        }
        let mut zones = serials(&ledger).await.unwrap();
        zones.remove(&"auth.example.net".parse().unwrap()).unwrap()
    }

    async fn foreign(text: &str) -> Vec<(u32, u32)> {
        let movements = story(text).await.foreign.into_iter();
        movements
            .map(|foreign| (foreign.from, foreign.to))
            .collect()
    }

    #[tokio::test]
    async fn our_own_changes_are_not_foreign() {
        let text = "a intent\na verified 7-8\na verified 7-8\na intent\na verified 8-9\n\
                    b intent\nb verified 9-9\nb intent\nb verified 9-10";
        let serials = story(text).await;
        assert_eq!((serials.steps, serials.last), (3, 10));
        assert_eq!(serials.foreign, []);
    }

    #[tokio::test]
    async fn a_movement_between_our_changes_is_foreign() {
        assert_eq!(
            foreign("a intent\na verified 7-8\na intent\na verified 9-10").await,
            [(8, 9)]
        );
        assert_eq!(
            foreign("a intent\na verified 7-8\na intent\na verified 3-4").await,
            [(8, 3)]
        );
        let mut serials = story("a intent\na verified 7-8").await;
        serials.compare(8);
        assert_eq!(serials.foreign, []);
        serials.compare(9);
        assert_eq!((serials.foreign[0].from, serials.foreign[0].to), (8, 9));
    }

    #[tokio::test]
    async fn of_other_hosts_no_movements_are_kept() {
        let run = RunId::new(Timestamp::UNIX_EPOCH);
        let ledger = MemoryLedger::default();
        for before in [7, 20, 40] {
            let after = before + 1;
            let mut verified = entry(Event::Verified, Action::Add, "v");
            verified.serial = Some(SerialStep { before, after });
            ledger.record(&run, vec![verified]).await.unwrap();
        }
        let ours = serials(&ledger).await.unwrap();
        assert!(ours.values().all(|zone| zone.foreign.len() == 2));
        let begin = |_: &DnsName| Some(Chain::default());
        let theirs = chains(&ledger, begin, |_, _, _| Ok(())).await.unwrap();
        assert!(theirs.values().all(|zone| zone.foreign.is_empty()));
    }

    #[tokio::test]
    async fn changes_of_concurrent_runs_are_not_foreign() {
        assert_eq!(
            foreign("a intent\nb intent\na verified 7-9\nb verified 7-9").await,
            []
        );
        assert_eq!(
            foreign("a intent\nb intent\na verified 7-8\nb verified 8-9").await,
            []
        );
        // The serial of the second was read before the first began.
        assert_eq!(
            foreign(
                "b intent\na intent\na verified 7-8\nb verified 7-9\nb intent\nb verified 9-10"
            )
            .await,
            []
        );
    }

    #[tokio::test]
    async fn after_a_killed_run_or_an_unread_serial_nothing_is_foreign() {
        assert_eq!(
            foreign("a intent\na verified 7-8\na intent\nb intent\nb verified 9-10").await,
            []
        );
        assert_eq!(
            foreign("a intent\na verified 7-8\na intent\na verified\na intent\na verified 9-10")
                .await,
            []
        );
        // A change that was refused moved nothing.
        let refused = "a intent\na verified 7-8\na intent\na failed\na intent\na verified 9-10";
        assert_eq!(foreign(refused).await, [(8, 9)]);
    }

    #[tokio::test]
    async fn what_the_operator_explained_is_not_foreign() {
        let foreign_change = "a intent\na verified 7-8\na intent\na verified 9-10";
        assert_eq!(foreign(foreign_change).await, [(8, 9)]);
        let explained = format!("{foreign_change}\nb explained 10-12");
        let mut serials = story(&explained).await;
        assert_eq!((serials.last, serials.steps), (12, 2));
        assert_eq!(serials.foreign, []);
        serials.compare(12);
        assert_eq!(serials.foreign, []);
        // What follows is not explained.
        let after = format!("{explained}\nc intent\nc verified 13-14");
        assert_eq!(foreign(&after).await, [(12, 13)]);
        // The same change of ours, recorded after the explanation.
        let beside = "a intent\na verified 7-8\na intent\nb explained 8-9\na verified 8-9";
        assert_eq!(foreign(beside).await, []);
        // A movement that nobody has seen before the explanation was recorded.
        let unseen = "a intent\na verified 7-8\na intent\na verified 10-11\nb explained 8-9";
        assert_eq!(foreign(unseen).await, [(8, 10)]);
        // Nothing but what was known is explained where the server could not be read.
        let unread = "a intent\na verified 7-8\nb explained 8-8\na intent\na verified 9-10";
        assert_eq!(foreign(unread).await, [(8, 9)]);
        // A change of ours between the look at the serial and the explanation.
        let between = "a intent\na verified 7-8\na intent\na verified 9-10\nb explained 8-9\n\
                       a intent\na verified 10-11";
        assert_eq!(foreign(between).await, []);
    }

    #[tokio::test]
    async fn a_slow_run_overlaps_with_faster_ones() {
        let text = "b intent\na intent\na verified 7-8\na intent\na verified 8-10\nb verified 7-10";
        assert_eq!(foreign(text).await, []);
    }

    #[tokio::test]
    async fn a_step_back_hides_no_movement() {
        let text = "a intent\na verified 20-5\na intent\na verified 30-31";
        assert_eq!(foreign(text).await, [(5, 30)]);
    }

    #[tokio::test]
    async fn what_a_change_of_ours_may_have_moved_is_not_foreign_now() {
        let mut serials = story("a intent\na verified 7-8\na intent").await;
        serials.compare(9);
        assert_eq!(serials.foreign, []);
    }

    #[tokio::test]
    async fn serials_may_wrap_around() {
        let text = "a intent\na verified 4294967295-0\na intent\na verified 0-1";
        assert_eq!(foreign(text).await, []);
    }
}
