//! TXT values that were removed a short time ago: a CA's resolver may have them in its cache.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, MutexGuard};

use super::existing::cache_time;
use crate::clock::Clock;
use crate::ledger::{Ledger, LedgerError, Line};
use crate::name::DnsName;
use crate::txt::Action;

/// How old a removal may be that is read. No cache of a CA keeps anything that long.
const READ_BACK: SignedDuration = SignedDuration::from_mins(2);

/// The values that any process with this ledger removed a short time ago. Lines are read once.
pub(super) struct RecentSets {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The time of the newest line that is known.
    newest: Option<Timestamp>,
    /// Until when the values that were removed at a name may be cached.
    cached_until: HashMap<DnsName, Timestamp>,
}

impl RecentSets {
    pub(super) fn new(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Self {
        RecentSets {
            ledger,
            clock,
            state: Mutex::default(),
        }
    }

    /// The names whose withdrawn values may still be in a cache, and until when.
    pub(super) async fn cached_until(
        &self,
        names: &[DnsName],
    ) -> Result<Vec<(DnsName, Timestamp)>, LedgerError> {
        let now = self.clock.now();
        let state = self.read(now).await?;
        let until = |name: &DnsName| Some((name.clone(), *state.cached_until.get(name)?));
        Ok(names.iter().filter_map(until).collect())
    }

    /// What may be cached now, after the newest lines were read.
    async fn read(&self, now: Timestamp) -> Result<MutexGuard<'_, State>, LedgerError> {
        let mut state = self.state.lock().await;
        // Another line may have been written at the time of the newest one.
        let since = state.newest.unwrap_or_default().max(now - READ_BACK);
        let mut lines = self.ledger.newest_lines(since);
        while let Some(line) = lines.next().await {
            state.add(line?, now);
        }
        state.cached_until.retain(|_, until| *until > now);
        drop(lines);
        Ok(state)
    }
}

impl State {
    fn add(&mut self, line: Line, now: Timestamp) {
        // The clock may have been ahead when the line was written.
        let time = line.time.min(now);
        self.newest = self.newest.max(Some(time));
        let entry = line.entry;
        // Until its removal a value is found in the zone itself.
        if entry.action == Action::Remove {
            let cached = SignedDuration::try_from(cache_time(entry.ttl.unwrap_or_default()));
            let until = time + cached.unwrap_or_default();
            let known = self.cached_until.entry(entry.name).or_insert(until);
            *known = until.max(*known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Entry, Event, Origin, RunId};
    use crate::testkit::{ManualClock, MemoryLedger};

    struct Fixture {
        clock: Arc<ManualClock>,
        ledger: Arc<MemoryLedger>,
        recent: RecentSets,
    }

    impl Fixture {
        fn new() -> Self {
            let now = Timestamp::from_second(1_800_000_000).unwrap();
            let clock = Arc::new(ManualClock::new(now));
            let ledger = Arc::new(MemoryLedger::new(Arc::clone(&clock) as Arc<dyn Clock>));
            let recent = RecentSets::new(
                Arc::clone(&ledger) as Arc<dyn Ledger>,
                Arc::clone(&clock) as Arc<dyn Clock>,
            );
            Fixture {
                clock,
                ledger,
                recent,
            }
        }

        async fn withdraw(&self, name: &str, ttl: Option<u32>) {
            let name: DnsName = name.parse().unwrap();
            let entry = Entry {
                event: Event::Withdrawn,
                action: Action::Remove,
                origin: Origin::default(),
                zone: name.clone(),
                provider: "memory".to_owned(),
                provider_id: None,
                credentials: None,
                key: None,
                name,
                value: "value".parse().unwrap(),
                ttl,
                server: None,
                response: None,
                serial: None,
            };
            let run = RunId::new(self.clock.now());
            self.ledger.record(&run, vec![entry]).await.unwrap();
        }

        /// For how many seconds a name may still be in a cache.
        async fn cached(&self, name: &str) -> Option<i64> {
            let names = [name.parse().unwrap()];
            let cached = self.recent.cached_until(&names).await.unwrap();
            let (_, until) = cached.first()?;
            Some(self.clock.now().duration_until(*until).as_secs())
        }
    }

    #[tokio::test]
    async fn a_withdrawn_set_may_be_cached_for_its_ttl_and_about_a_minute_at_most() {
        let fixture = Fixture::new();
        fixture.withdraw("short.example", Some(30)).await;
        fixture.withdraw("long.example", Some(3600)).await;
        fixture.withdraw("uncached.example", Some(0)).await;
        fixture.withdraw("old.example", None).await;
        for (name, rest) in [
            ("short.example", Some(31)),
            ("long.example", Some(61)),
            ("uncached.example", None),
            ("old.example", None),
            ("other.example", None),
        ] {
            assert_eq!(fixture.cached(name).await, rest, "{name}");
        }
        fixture.clock.advance(SignedDuration::from_secs(30));
        assert_eq!(fixture.cached("short.example").await, Some(1));
        fixture.clock.advance(SignedDuration::from_secs(1));
        assert_eq!(fixture.cached("short.example").await, None);
        assert_eq!(fixture.cached("long.example").await, Some(30));
    }

    #[tokio::test]
    async fn sets_that_are_withdrawn_later_count_as_well() {
        let fixture = Fixture::new();
        assert_eq!(fixture.cached("a.example").await, None);
        fixture.withdraw("a.example", Some(60)).await;
        assert_eq!(fixture.cached("a.example").await, Some(61));
        fixture.clock.advance(SignedDuration::from_secs(10));
        fixture.withdraw("a.example", Some(60)).await;
        assert_eq!(fixture.cached("a.example").await, Some(61));
    }

    #[tokio::test]
    async fn a_clock_that_was_ahead_causes_no_long_wait() {
        let fixture = Fixture::new();
        let ahead = SignedDuration::from_hours(10);
        fixture.clock.advance(ahead);
        fixture.withdraw("a.example", Some(60)).await;
        fixture.clock.advance(-ahead);
        let rest = fixture.cached("a.example").await;
        assert!(rest.is_none_or(|seconds| seconds <= 61), "{rest:?}");
    }
}
