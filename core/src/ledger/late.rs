//! Servers that had a change only some time after they had accepted it, as a secondary that forwards updates has it
//! after a zone transfer (RFC 2136 §6).

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::TryStreamExt;
use jiff::Timestamp;

use super::contract::Ledger;
use super::error::LedgerError;
use super::line::{Event, Line};
use crate::name::DnsName;
use crate::txt::{Action, TxtValue};

/// A primary has a change within the time of a query. BIND puts the NOTIFY for a secondary off by five seconds.
const LATE: Duration = Duration::from_millis(500);

/// A server that was late with the last value that was added in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateServer {
    /// The server, as its provider calls it.
    pub server: String,
    /// How long after it had accepted the value it was read there.
    pub late: Duration,
}

/// A value that a server has accepted.
struct Accepted {
    name: DnsName,
    value: TxtValue,
    time: Timestamp,
}

/// What is known of the last value that was added in a zone.
#[derive(Default)]
struct Last {
    accepted: Option<Accepted>,
    late: Option<LateServer>,
}

impl Last {
    fn follow(&mut self, line: Line) {
        let (entry, time) = (line.entry, line.time);
        if entry.action != Action::Add {
            return;
        }
        match entry.event {
            Event::Acknowledged => {
                self.accepted = Some(Accepted {
                    name: entry.name,
                    value: entry.value,
                    time,
                });
            }
            Event::Verified => {
                let is_same = |accepted: &Accepted| {
                    accepted.name == entry.name && accepted.value == entry.value
                };
                let (Some(accepted), Some(server)) = (
                    self.accepted.take_if(|accepted| is_same(accepted)),
                    entry.server,
                ) else {
                    return;
                };
                // A clock that was set back tells nothing.
                let late = time.duration_since(accepted.time);
                let late = Duration::try_from(late).unwrap_or_default();
                self.late = (late >= LATE).then_some(LateServer { server, late });
            }
            _ => {}
        }
    }
}

/// The servers that were late with the last value that was added in their zone since this time, by zone.
pub async fn late_servers(
    ledger: &dyn Ledger,
    since: Timestamp,
) -> Result<BTreeMap<DnsName, LateServer>, LedgerError> {
    let mut zones: BTreeMap<DnsName, Last> = BTreeMap::new();
    let mut lines = ledger.lines_since(since);
    while let Some(line) = lines.try_next().await? {
        let zone = line.entry.zone.clone();
        zones.entry(zone).or_default().follow(line);
    }
    let zones = zones.into_iter();
    Ok(zones
        .filter_map(|(zone, last)| Some((zone, last.late?)))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;

    use super::*;
    use crate::clock::Clock;
    use crate::ledger::sample::entry;
    use crate::ledger::{Entry, RunId};
    use crate::testkit::{ManualClock, MemoryLedger};

    fn added(event: Event, value: &str) -> Entry {
        let mut entry = entry(event, Action::Add, value);
        entry.server = Some("192.0.2.2:53".to_owned());
        entry
    }

    #[tokio::test]
    async fn the_last_value_that_was_added_tells_whether_a_server_is_late() {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let ledger = MemoryLedger::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let begin = clock.now();
        let run = RunId::new(begin);
        let add = async |value: &str, late: i64| {
            let accepted = vec![added(Event::Acknowledged, value)];
            ledger.record(&run, accepted).await.unwrap();
            clock.advance(SignedDuration::from_millis(late));
            let verified = vec![added(Event::Verified, value)];
            ledger.record(&run, verified).await.unwrap();
            let found = late_servers(&ledger, begin).await.unwrap();
            found.into_values().map(|server| server.late).collect()
        };
        let found: Vec<_> = add("first", 2_000).await;
        assert_eq!(found, [Duration::from_secs(2)]);
        let found: Vec<_> = add("second", 40).await;
        assert!(found.is_empty(), "{found:?}");
    }
}
