//! The serial of a zone beside our changes: where it moved without one, somebody else changed the
//! zone, perhaps with our key. Serials are compared as RFC 1982 has it, and not counted: servers number
//! by one, by date or by time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::line::{Event, Line, SerialStep};
use super::run::RunId;
use crate::name::DnsName;

/// How the serial of one zone moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSerials {
    /// Changes of ours whose serials are known.
    pub steps: usize,
    /// The serial after the last of them.
    pub last: u32,
    /// When that was.
    pub time: Timestamp,
    /// Movements that no change of ours explains.
    pub foreign: Vec<ForeignMovement>,
}

/// A movement that no change of ours explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignMovement {
    /// The serial after a change of ours.
    pub from: u32,
    /// The serial that was found next.
    pub to: u32,
    /// When the first was read.
    pub after: Timestamp,
    /// When the second was read; none where that is now.
    pub until: Option<Timestamp>,
}

impl ZoneSerials {
    /// With the serial that the zone has now.
    pub fn compare(&mut self, current: u32) {
        if current != self.last {
            self.foreign.push(ForeignMovement {
                from: self.last,
                to: current,
                after: self.time,
                until: None,
            });
        }
    }
}

/// What the lines tell about each zone. Zones whose backend has no serial are left out.
pub fn serials(lines: &[Line]) -> BTreeMap<DnsName, ZoneSerials> {
    let mut chains: BTreeMap<&DnsName, Chain> = BTreeMap::new();
    for line in lines {
        chains.entry(&line.entry.zone).or_default().follow(line);
    }
    let found = chains.into_iter();
    found
        .filter_map(|(zone, chain)| Some((zone.clone(), chain.into_serials()?)))
        .collect()
}

/// One zone, while its lines are walked through.
#[derive(Default)]
struct Chain {
    /// The step that was seen last, the overlapping ones before it merged into it.
    seen: Option<(SerialStep, Timestamp)>,
    steps: usize,
    foreign: Vec<ForeignMovement>,
    /// Runs that have asked for a change, and not read it back yet.
    open: BTreeSet<RunId>,
    /// Whether a change was made after which nobody knew the serial.
    is_broken: bool,
}

impl Chain {
    fn follow(&mut self, line: &Line) {
        match (line.entry.event, line.entry.serial) {
            (Event::Intent, _) => {
                self.open.insert(line.run.clone());
            }
            (_, Some(step)) => self.step(line, step),
            (Event::Failed, None) => {
                self.open.remove(&line.run);
            }
            (Event::Verified | Event::Withdrawn, None) => {
                self.is_broken |= self.open.remove(&line.run);
            }
            (Event::Acknowledged | Event::Unknown, None) => {}
        }
    }

    fn step(&mut self, line: &Line, step: SerialStep) {
        self.open.remove(&line.run);
        let others_may_have_moved_it = self.is_broken || !self.open.is_empty();
        self.seen = Some(match self.seen {
            // The records of one change, or two runs at the same time.
            Some((seen, time)) if is_between(seen, step.before) => {
                let joint = SerialStep {
                    before: if step.before == seen.after {
                        step.before
                    } else {
                        seen.before
                    },
                    after: later(seen.after, step.after),
                };
                let is_new = step.before == seen.after && step.before != step.after;
                self.steps += usize::from(is_new);
                (
                    joint,
                    if joint.after == seen.after {
                        time
                    } else {
                        line.time
                    },
                )
            }
            seen => {
                if let Some((seen, time)) = seen.filter(|_| !others_may_have_moved_it) {
                    self.foreign.push(ForeignMovement {
                        from: seen.after,
                        to: step.before,
                        after: time,
                        until: Some(line.time),
                    });
                }
                self.steps += 1;
                (step, line.time)
            }
        });
        self.open.clear();
        self.is_broken = false;
    }

    fn into_serials(self) -> Option<ZoneSerials> {
        let (step, time) = self.seen?;
        Some(ZoneSerials {
            steps: self.steps,
            last: step.after,
            time,
            foreign: self.foreign,
        })
    }
}

/// Whether `serial` is one that the zone had during the step.
fn is_between(step: SerialStep, serial: u32) -> bool {
    serial.wrapping_sub(step.before) <= step.after.wrapping_sub(step.before)
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
    use super::super::tests::entry;
    use super::*;
    use crate::txt::Action;

    /// `run event before-after`, one line each; without serials where the third word is missing.
    fn story(text: &str) -> ZoneSerials {
        let lines = text.lines().zip(1..).map(|(line, sequence)| {
            let words: Vec<_> = line.split_whitespace().collect();
            let event = match words[1] {
                "intent" => Event::Intent,
                "verified" => Event::Verified,
                "failed" => Event::Failed,
                other => panic!("{other}"),
            };
            let step = words.get(2).and_then(|step| step.split_once('-'));
            let mut entry = entry(event, Action::Add, "v");
            entry.serial = step.map(|(before, after)| SerialStep {
                before: before.parse().unwrap(),
                after: after.parse().unwrap(),
            });
            Line {
                sequence,
                time: Timestamp::from_second(i64::try_from(sequence).unwrap()).unwrap(),
                run: words[0].parse().unwrap(),
                entry,
                previous: String::new(),
                hash: String::new(),
            }
        });
        let lines: Vec<_> = lines.collect();
        let mut zones = serials(&lines);
        zones.remove(&"auth.example.net".parse().unwrap()).unwrap()
    }

    fn foreign(text: &str) -> Vec<(u32, u32)> {
        let movements = story(text).foreign.into_iter();
        movements
            .map(|foreign| (foreign.from, foreign.to))
            .collect()
    }

    #[test]
    fn changes_of_ours_explain_themselves() {
        let text = "a intent\na verified 7-8\na verified 7-8\na intent\na verified 8-9\n\
                    b intent\nb verified 9-9\nb intent\nb verified 9-10";
        let serials = story(text);
        assert_eq!((serials.steps, serials.last), (3, 10));
        assert_eq!(serials.foreign, []);
    }

    #[test]
    fn a_movement_between_ours_is_foreign_forward_and_backward() {
        assert_eq!(
            foreign("a intent\na verified 7-8\na intent\na verified 9-10"),
            [(8, 9)]
        );
        assert_eq!(
            foreign("a intent\na verified 7-8\na intent\na verified 3-4"),
            [(8, 3)]
        );
        let mut serials = story("a intent\na verified 7-8");
        serials.compare(8);
        assert_eq!(serials.foreign, []);
        serials.compare(9);
        assert_eq!((serials.foreign[0].from, serials.foreign[0].to), (8, 9));
    }

    #[test]
    fn runs_at_the_same_time_do_not_accuse_each_other() {
        assert_eq!(
            foreign("a intent\nb intent\na verified 7-9\nb verified 7-9"),
            []
        );
        assert_eq!(
            foreign("a intent\nb intent\na verified 7-8\nb verified 8-9"),
            []
        );
        // The serial of the second was read before the first had begun.
        assert_eq!(
            foreign(
                "b intent\na intent\na verified 7-8\nb verified 7-9\nb intent\nb verified 9-10"
            ),
            []
        );
    }

    #[test]
    fn what_a_dead_run_or_an_unread_serial_leaves_open_accuses_nobody() {
        assert_eq!(
            foreign("a intent\na verified 7-8\na intent\nb intent\nb verified 9-10"),
            []
        );
        assert_eq!(
            foreign("a intent\na verified 7-8\na intent\na verified\na intent\na verified 9-10"),
            []
        );
        // A change that was refused has moved nothing.
        let refused = "a intent\na verified 7-8\na intent\na failed\na intent\na verified 9-10";
        assert_eq!(foreign(refused), [(8, 9)]);
    }

    #[test]
    fn a_serial_may_go_round() {
        let text = "a intent\na verified 4294967295-0\na intent\na verified 0-1";
        assert_eq!(foreign(text), []);
    }
}
