//! A provider that keeps its zones in memory: the contract in its shortest honest form, and the
//! example to begin a new provider from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::name::DnsName;
use crate::provider::{
    Applied, Failure, Guarantees, Identity, Limits, ProviderError, TxtProvider, ValueChanges,
    check_within,
};
use crate::txt::{Action, TxtChange, TxtSets, TxtValue};

/// What one request carries: few enough for the conformance suite to need several.
const CHANGES_PER_REQUEST: usize = 40;

/// What a backend in memory promises.
pub const GUARANTEES: Guarantees = Guarantees {
    atomic: true,
    values: ValueChanges::PerValue,
    tells_propagation: false,
    narrowest_key: "none: whoever holds the zones may write them",
};

/// A backend: its zones, and what is in them. Clones share it, as processes share a server.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    zones: Arc<Mutex<BTreeMap<DnsName, TxtSets>>>,
}

impl Memory {
    /// A backend with these zones, empty.
    pub fn new(zones: impl IntoIterator<Item = DnsName>) -> Self {
        let zones = zones.into_iter().map(|zone| (zone, TxtSets::new()));
        Memory {
            zones: Arc::new(Mutex::new(zones.collect())),
        }
    }

    /// Does something with a zone while nobody else can.
    fn with_zone<T>(
        &self,
        zone: &DnsName,
        work: impl FnOnce(&mut TxtSets) -> T,
    ) -> Result<T, ProviderError> {
        let mut zones: MutexGuard<'_, _> =
            self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        match zones.get_mut(zone) {
            Some(sets) => Ok(work(sets)),
            None => Err(ProviderError::new(
                Failure::Rejected,
                format!("there is no zone {zone} in memory"),
                "correct `zone` under `[[alias-zones]]`",
            )),
        }
    }
}

#[async_trait]
impl TxtProvider for Memory {
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        check_within(zone, changes)?;
        let mut applied = Applied {
            server: "memory".to_owned(),
            response: "done".to_owned(),
            ..Applied::default()
        };
        for request in changes.chunks(CHANGES_PER_REQUEST) {
            self.with_zone(zone, |sets| {
                for TxtChange {
                    name,
                    value,
                    action,
                } in request
                {
                    let values: &mut BTreeSet<TxtValue> = sets.entry(name.clone()).or_default();
                    match action {
                        Action::Add => values.insert(value.clone()),
                        Action::Remove => values.remove(value),
                    };
                }
            })?;
            applied.requests += 1;
        }
        Ok(applied)
    }

    async fn values(&self, zone: &DnsName, names: &[DnsName]) -> Result<TxtSets, ProviderError> {
        self.with_zone(zone, |sets| {
            let known = names.iter().filter_map(|name| sets.get_key_value(name));
            known
                .map(|(name, set)| (name.clone(), set.clone()))
                .collect()
        })
    }

    async fn settle(&self, _: &DnsName, _: &Applied) -> Result<(), ProviderError> {
        Ok(())
    }

    fn limits(&self) -> Limits {
        Limits {
            changes_per_request: CHANGES_PER_REQUEST,
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            kind: "memory",
            key: None,
            ttl: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::super::provider::{self as suite, Fault, Fixture};
    use super::*;

    /// Carries out the first write, and then does what the fault says.
    #[derive(Debug)]
    struct Faulty {
        memory: Memory,
        fault: Fault,
        writes: Mutex<usize>,
    }

    #[async_trait]
    impl TxtProvider for Faulty {
        async fn apply(
            &self,
            zone: &DnsName,
            changes: &[TxtChange],
        ) -> Result<Applied, ProviderError> {
            let mut applied = Applied::default();
            for request in changes.chunks(CHANGES_PER_REQUEST) {
                *self.writes.lock().unwrap() += 1;
                let first = *self.writes.lock().unwrap() == 1;
                if !first && self.fault == Fault::GoneAfterFirst {
                    let (what, remedy) = ("nobody is there", "start it");
                    return Err(ProviderError::new(Failure::Unavailable, what, remedy));
                }
                applied.requests += self.memory.apply(zone, request).await?.requests;
                if first && self.fault == Fault::ReplyLost {
                    let (what, remedy) = ("no reply", "look what it did");
                    return Err(ProviderError::new(Failure::UnknownOutcome, what, remedy));
                }
            }
            Ok(applied)
        }

        async fn values(
            &self,
            zone: &DnsName,
            names: &[DnsName],
        ) -> Result<TxtSets, ProviderError> {
            self.memory.values(zone, names).await
        }

        async fn settle(&self, _: &DnsName, _: &Applied) -> Result<(), ProviderError> {
            Ok(())
        }

        fn limits(&self) -> Limits {
            self.memory.limits()
        }

        fn identity(&self) -> Identity {
            self.memory.identity()
        }
    }

    struct InMemory {
        memory: Memory,
        zone: DnsName,
    }

    #[async_trait]
    impl Fixture for InMemory {
        fn guarantees(&self) -> Guarantees {
            GUARANTEES
        }

        fn zone(&self) -> DnsName {
            self.zone.clone()
        }

        fn foreign_zone(&self) -> DnsName {
            "example.org".parse().unwrap()
        }

        async fn provider(&self) -> Arc<dyn TxtProvider> {
            Arc::new(self.memory.clone())
        }

        async fn faulty_provider(&self, fault: Fault) -> Arc<dyn TxtProvider> {
            Arc::new(Faulty {
                memory: self.memory.clone(),
                fault,
                writes: Mutex::new(0),
            })
        }

        async fn put(&self, name: &DnsName, value: &TxtValue) {
            let (name, value) = (name.clone(), value.clone());
            let change = TxtChange {
                name,
                value,
                action: Action::Add,
            };
            self.memory.apply(&self.zone, &[change]).await.unwrap();
        }

        fn secrets(&self) -> Vec<SecretString> {
            Vec::new()
        }
    }

    #[tokio::test]
    async fn it_conforms() {
        let zone: DnsName = "auth.example.net".parse().unwrap();
        let stand = InMemory {
            memory: Memory::new([zone.clone()]),
            zone,
        };
        suite::run(&stand).await.unwrap();
    }
}
