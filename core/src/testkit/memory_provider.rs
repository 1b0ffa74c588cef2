//! A provider that keeps its zones in memory: the shortest complete implementation of the contract, an
//! example for new providers, and a backend for tests that fails or hangs when a test wants it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::name::DnsName;
use crate::provider::{
    Applied, Failure, Guarantees, Identity, Limits, ProviderError, Reading, TxtProvider,
    ValueChanges, check_within,
};
use crate::txt::{Action, TxtChange, TxtSets};

/// Changes in one request: few, so that the conformance suite needs several.
const CHANGES_PER_REQUEST: usize = 40;
/// The time to live of records that come without one, in seconds.
const DEFAULT_TTL: u32 = 0;

/// What a backend in memory guarantees.
pub const GUARANTEES: Guarantees = Guarantees {
    atomic: true,
    values: ValueChanges::PerValue,
    reading: Reading::AtBackend,
    tells_propagation: true,
    narrowest_key: "none: everyone who has the zones may write them",
};

/// How a zone answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Every request is carried out.
    #[default]
    Work,
    /// Every request fails like this and changes nothing.
    Fail(Failure),
    /// Every request is carried out, and then fails with [`Failure::UnknownOutcome`].
    LoseReplies,
    /// No request ends before the test sets another behaviour. This breaks the contract on purpose.
    Hang,
}

/// A backend with its zones. Clones share them, as processes share a server.
///
/// ```
/// use acme_alias_core::provider::{Failure, TxtProvider};
/// use acme_alias_core::testkit::memory_provider::{Behaviour, MemoryProvider};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let zone = "auth.example.net".parse()?;
/// let provider = MemoryProvider::new([zone]);
/// let zone = "auth.example.net".parse()?;
/// provider.set_behaviour(&zone, Behaviour::Fail(Failure::Denied));
/// let error = provider.values(&zone, &[]).await.unwrap_err();
/// assert_eq!(error.failure, Failure::Denied);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryProvider {
    zones: Arc<BTreeMap<DnsName, Zone>>,
    key: Option<String>,
}

#[derive(Debug, Default)]
struct Zone {
    records: Mutex<Records>,
    behaviour: watch::Sender<Behaviour>,
}

#[derive(Debug, Default)]
struct Records {
    sets: TxtSets,
    /// Increases with every request that changes something.
    serial: u32,
    /// Requests with changes.
    requests: usize,
}

impl MemoryProvider {
    /// A backend with these zones, without records.
    pub fn new(zones: impl IntoIterator<Item = DnsName>) -> Self {
        let zones = zones.into_iter().map(|zone| (zone, Zone::default()));
        MemoryProvider {
            zones: Arc::new(zones.collect()),
            key: None,
        }
    }

    /// The same backend, written to with a key of this name.
    #[must_use]
    pub fn with_key(mut self, name: impl Into<String>) -> Self {
        self.key = Some(name.into());
        self
    }

    /// Sets how a zone answers, also to requests that hang. Does nothing if there is no such zone.
    pub fn set_behaviour(&self, zone: &DnsName, behaviour: Behaviour) {
        if let Some(zone) = self.zones.get(zone) {
            zone.behaviour.send_replace(behaviour);
        }
    }

    /// The values in a zone, however it answers. Names without values are left out.
    pub fn records(&self, zone: &DnsName) -> TxtSets {
        let Some(zone) = self.zones.get(zone) else {
            return TxtSets::new();
        };
        let mut sets = zone.records().sets.clone();
        sets.retain(|_, set| !set.values.is_empty());
        sets
    }

    /// How many requests with changes a zone has carried out.
    pub fn requests(&self, zone: &DnsName) -> usize {
        let zone = self.zones.get(zone);
        zone.map_or(0, |zone| zone.records().requests)
    }

    fn zone(&self, name: &DnsName) -> Result<&Zone, ProviderError> {
        self.zones.get(name).ok_or_else(|| {
            ProviderError::new(
                Failure::Rejected,
                format!("there is no zone {name} in memory"),
                "correct the name of the alias zone",
            )
        })
    }
}

impl Zone {
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out `request` as the zone's behaviour says.
    async fn answer<T>(&self, request: impl FnOnce(&mut Records) -> T) -> Result<T, ProviderError> {
        let mut behaviour = self.behaviour.subscribe();
        let answers = |behaviour: &Behaviour| *behaviour != Behaviour::Hang;
        // The sender is in `self`, so the wait only ends with a behaviour.
        let behaviour = behaviour.wait_for(answers).await;
        match behaviour.map(|behaviour| *behaviour).unwrap_or_default() {
            Behaviour::Work => Ok(request(&mut self.records())),
            Behaviour::Fail(failure) => Err(ProviderError::new(
                failure,
                "the zone in memory is set to fail",
                "let it work again",
            )),
            Behaviour::LoseReplies => {
                request(&mut self.records());
                Err(ProviderError::new(
                    Failure::UnknownOutcome,
                    "the zone in memory is set to lose replies",
                    "let it work again",
                ))
            }
            Behaviour::Hang => std::future::pending().await,
        }
    }
}

impl Records {
    /// Carries out one request; returns the serial after it.
    fn apply(&mut self, changes: &[TxtChange]) -> u32 {
        let mut has_changed = false;
        for change in changes {
            let set = self.sets.entry(change.name.clone()).or_default();
            has_changed |= match change.action {
                Action::Add => {
                    // A set has one time to live, and the last record that is added decides it.
                    set.ttl = change.ttl.or(Some(DEFAULT_TTL));
                    set.values.insert(change.value.clone())
                }
                Action::Remove => set.values.remove(&change.value),
            };
            if set.values.is_empty() {
                set.ttl = None;
            }
        }
        self.requests += 1;
        self.serial = self.serial.wrapping_add(u32::from(has_changed));
        self.serial
    }
}

#[async_trait]
impl TxtProvider for MemoryProvider {
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        check_within(zone, changes)?;
        let zone = self.zone(zone)?;
        let mut applied = Applied {
            server: "memory".to_owned(),
            response: "done".to_owned(),
            ..Applied::default()
        };
        for request in changes.chunks(CHANGES_PER_REQUEST) {
            let serial = zone.answer(|records| records.apply(request)).await?;
            applied.requests += 1;
            applied.pending.push(serial.to_string());
        }
        Ok(applied)
    }

    async fn values(&self, zone: &DnsName, names: &[DnsName]) -> Result<TxtSets, ProviderError> {
        let read = |records: &mut Records| {
            let sets = names
                .iter()
                .filter_map(|name| records.sets.get_key_value(name));
            sets.map(|(name, values)| (name.clone(), values.clone()))
                .collect()
        };
        self.zone(zone)?
            .answer(read)
            .await
            .map_err(ProviderError::of_reading)
    }

    /// A change is on all servers of this backend as soon as it is made.
    async fn settle(&self, zone: &DnsName, _: &Applied) -> Result<(), ProviderError> {
        let settled = self.zone(zone)?.answer(|_| ()).await;
        settled.map_err(ProviderError::of_reading)
    }

    async fn serial(&self, zone: &DnsName) -> Result<Option<u32>, ProviderError> {
        let serial = self.zone(zone)?.answer(|records| records.serial).await;
        serial.map(Some).map_err(ProviderError::of_reading)
    }

    fn limits(&self) -> Limits {
        Limits {
            changes_per_request: CHANGES_PER_REQUEST,
            values_per_name: usize::MAX,
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            kind: "memory",
            key: self.key.clone(),
            ttl: Some(DEFAULT_TTL),
            endpoint: "memory".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use secrecy::SecretString;

    use super::super::provider::{self as suite, Fault, Fixture};
    use super::*;
    use crate::txt::TxtValue;

    fn zone() -> DnsName {
        "auth.example.net".parse().unwrap()
    }

    fn add(value: &str) -> TxtChange {
        TxtChange {
            name: "_acme-challenge.auth.example.net".parse().unwrap(),
            value: value.parse().unwrap(),
            action: Action::Add,
            ttl: None,
        }
    }

    /// Carries out the first write, and then behaves as the fault says.
    #[derive(Debug)]
    struct Faulty {
        memory: MemoryProvider,
        fault: Fault,
    }

    #[async_trait]
    impl TxtProvider for Faulty {
        async fn apply(
            &self,
            zone: &DnsName,
            changes: &[TxtChange],
        ) -> Result<Applied, ProviderError> {
            let (first, rest) = changes.split_at(changes.len().min(CHANGES_PER_REQUEST));
            let (first_behaviour, later) = match self.fault {
                Fault::ReplyLost => (Behaviour::LoseReplies, Behaviour::Work),
                Fault::GoneAfterFirst => (Behaviour::Work, Behaviour::Fail(Failure::Unavailable)),
            };
            self.memory.set_behaviour(zone, first_behaviour);
            let applied = self.memory.apply(zone, first).await;
            self.memory.set_behaviour(zone, later);
            let applied = match applied {
                Ok(_) if !rest.is_empty() => self.memory.apply(zone, rest).await,
                applied => applied,
            };
            self.memory.set_behaviour(zone, Behaviour::Work);
            applied
        }

        async fn values(
            &self,
            zone: &DnsName,
            names: &[DnsName],
        ) -> Result<TxtSets, ProviderError> {
            self.memory.values(zone, names).await
        }

        async fn settle(&self, zone: &DnsName, applied: &Applied) -> Result<(), ProviderError> {
            self.memory.settle(zone, applied).await
        }

        fn limits(&self) -> Limits {
            self.memory.limits()
        }

        fn identity(&self) -> Identity {
            self.memory.identity()
        }
    }

    struct InMemory(MemoryProvider);

    #[async_trait]
    impl Fixture for InMemory {
        fn guarantees(&self) -> Guarantees {
            GUARANTEES
        }

        fn zone(&self) -> DnsName {
            zone()
        }

        fn foreign_zone(&self) -> DnsName {
            "example.org".parse().unwrap()
        }

        async fn provider(&self) -> Arc<dyn TxtProvider> {
            Arc::new(self.0.clone())
        }

        async fn faulty_provider(&self, fault: Fault) -> Arc<dyn TxtProvider> {
            let memory = self.0.clone();
            Arc::new(Faulty { memory, fault })
        }

        async fn put(&self, name: &DnsName, value: &TxtValue) {
            let change = TxtChange {
                name: name.clone(),
                value: value.clone(),
                action: Action::Add,
                ttl: None,
            };
            self.0.apply(&zone(), &[change]).await.unwrap();
        }

        fn secrets(&self) -> Vec<SecretString> {
            Vec::new()
        }
    }

    #[tokio::test]
    async fn it_conforms() {
        let fixture = InMemory(MemoryProvider::new([zone()]));
        suite::run(&fixture).await.unwrap();
        assert!(fixture.0.records(&zone()).is_empty());
    }

    #[tokio::test]
    async fn a_zone_that_fails_changes_nothing_and_the_other_works() {
        let other: DnsName = "auth.example.org".parse().unwrap();
        let memory = MemoryProvider::new([zone(), other.clone()]);
        memory.set_behaviour(
            &zone(),
            Behaviour::Fail(Failure::Throttled { retry_after: None }),
        );
        let error = memory.apply(&zone(), &[add("v")]).await.unwrap_err();
        assert_eq!(error.failure, Failure::Throttled { retry_after: None });
        assert!(memory.records(&zone()).is_empty());
        assert_eq!(memory.requests(&zone()), 0);
        assert_eq!(memory.serial(&other).await.unwrap(), Some(0));
    }

    #[tokio::test]
    async fn a_lost_reply_is_an_unknown_outcome_of_a_change_that_was_made() {
        let memory = MemoryProvider::new([zone()]);
        memory.set_behaviour(&zone(), Behaviour::LoseReplies);
        let error = memory.apply(&zone(), &[add("v")]).await.unwrap_err();
        assert_eq!(error.failure, Failure::UnknownOutcome);
        assert_eq!(memory.records(&zone()).len(), 1);
        let error = memory.serial(&zone()).await.unwrap_err();
        assert_eq!(error.failure, Failure::Unavailable);
    }

    #[tokio::test]
    async fn a_request_that_hangs_goes_on_when_the_zone_works_again() {
        let memory = MemoryProvider::new([zone()]);
        memory.set_behaviour(&zone(), Behaviour::Hang);
        let changes = [add("v")];
        let zone = zone();
        let mut apply = memory.apply(&zone, &changes);
        assert!(apply.as_mut().now_or_never().is_none());
        assert!(memory.records(&zone).is_empty());
        memory.set_behaviour(&zone, Behaviour::Work);
        assert_eq!(apply.await.unwrap().requests, 1);
        assert_eq!(memory.requests(&zone), 1);
    }

    #[test]
    fn clones_share_the_zones_and_keys_tell_them_apart() {
        let memory = MemoryProvider::new([zone()]);
        let other = memory.clone().with_key("other");
        other.set_behaviour(&zone(), Behaviour::Hang);
        assert!(Arc::ptr_eq(&memory.zones, &other.zones));
        assert_eq!(memory.identity().key, None);
        assert_eq!(other.identity().key.as_deref(), Some("other"));
    }
}
