//! TXT values that were removed a short time ago: a CA's resolver may have them, or their absence, in its cache.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, MutexGuard};

use super::existing::cache_time;
use crate::clock::Clock;
use crate::lease::LeaseId;
use crate::ledger::{Ledger, LedgerError, Line};
use crate::name::DnsName;
use crate::txt::Action;

/// For how long removals are remembered. No cache of a CA keeps anything that long.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(2);

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
    removals: HashMap<DnsName, Vec<Removal>>,
}

/// The removal of a value.
struct Removal {
    time: Timestamp,
    /// The TTL that the value had, in seconds.
    ttl: u32,
    /// The lease of the job that had written it.
    lease: Option<LeaseId>,
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
        let until = |name: &DnsName| {
            let removals = state.removals.get(name)?.iter();
            let until = removals.map(Removal::cached_until).max()?;
            (until > now).then(|| (name.clone(), until))
        };
        Ok(names.iter().filter_map(until).collect())
    }

    /// Whether values of other jobs than that with this lease were removed at one of the names: a CA that looked
    /// in between may have cached that there is nothing.
    pub(super) async fn were_removed(
        &self,
        names: &[DnsName],
        lease: &LeaseId,
    ) -> Result<bool, LedgerError> {
        let state = self.read(self.clock.now()).await?;
        let removals = names.iter().filter_map(|name| state.removals.get(name));
        let is_other = |removal: &Removal| removal.lease.as_ref() != Some(lease);
        Ok(removals.flatten().any(is_other))
    }

    /// The removals, after the newest lines were read.
    async fn read(&self, now: Timestamp) -> Result<MutexGuard<'_, State>, LedgerError> {
        let mut state = self.state.lock().await;
        // Another line may have been written at the time of the newest one.
        let since = state.newest.unwrap_or_default().max(now - REMEMBERED);
        let mut lines = self.ledger.newest_lines(since);
        while let Some(line) = lines.next().await {
            state.add(line?, now);
        }
        state.removals.retain(|_, removals| {
            removals.retain(|removal| removal.time + REMEMBERED > now);
            !removals.is_empty()
        });
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
            self.removals.entry(entry.name).or_default().push(Removal {
                time,
                ttl: entry.ttl.unwrap_or_default(),
                lease: entry.origin.lease,
            });
        }
    }
}

impl Removal {
    fn cached_until(&self) -> Timestamp {
        self.time + SignedDuration::try_from(cache_time(self.ttl)).unwrap_or_default()
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
            self.withdraw_under(name, ttl, None).await;
        }

        async fn withdraw_under(&self, name: &str, ttl: Option<u32>, lease: Option<LeaseId>) {
            let name: DnsName = name.parse().unwrap();
            let entry = Entry {
                event: Event::Withdrawn,
                action: Action::Remove,
                origin: Origin {
                    lease,
                    ..Origin::default()
                },
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
    async fn values_that_other_jobs_removed_are_remembered_for_two_minutes() {
        let fixture = Fixture::new();
        let names = ["a.example".parse().unwrap()];
        let lease = LeaseId::random();
        let removed = async || fixture.recent.were_removed(&names, &lease).await.unwrap();
        assert!(!removed().await);
        fixture.withdraw("b.example", Some(0)).await;
        fixture
            .withdraw_under("a.example", Some(0), Some(lease.clone()))
            .await;
        assert!(!removed().await, "its own values do not count");
        fixture.withdraw("a.example", Some(0)).await;
        assert!(removed().await);
        fixture.clock.advance(REMEMBERED);
        assert!(!removed().await);
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
