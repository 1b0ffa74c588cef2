//! The store in memory keeps the contract, and the suite finds what breaks it.

use jiff::Timestamp;

use super::*;
use crate::testkit::ManualClock;
use crate::testkit::store::{self as conformance, Fixture};

struct Memory {
    store: MemoryStore,
    clock: Arc<ManualClock>,
    /// Whether processes see each other's data.
    shared: bool,
}

#[async_trait]
impl Fixture for Memory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(if self.shared {
            self.store.another_process()
        } else {
            MemoryStore::new(Arc::clone(&self.clock) as Arc<dyn Clock>)
        })
    }

    async fn kill(&self, store: Arc<dyn Store>) {
        drop(store);
    }

    fn notices_dead_holders(&self) -> bool {
        true
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn keep_versions(&self) -> usize {
        KEEP_VERSIONS
    }

    async fn keys(&self, id: &CertificateId) -> BTreeMap<u32, SecretString> {
        self.store.keys(id)
    }

    async fn damage(&self, id: &CertificateId) {
        self.store.damage(id);
    }
}

impl Memory {
    fn new(shared: bool) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let clock = Arc::new(ManualClock::new(now));
        let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
        Memory {
            store,
            clock,
            shared,
        }
    }
}

#[tokio::test]
async fn the_store_in_memory_keeps_the_contract() {
    conformance::run(&Memory::new(true)).await.unwrap();
}

#[tokio::test]
async fn the_suite_reports_every_rule_that_needs_shared_data() {
    let violations = conformance::run(&Memory::new(false)).await.unwrap_err();
    let broken: Vec<_> = violations
        .0
        .iter()
        .map(|violation| violation.rule)
        .collect();
    assert!(broken.len() >= 10, "{violations}");
    for rule in [
        "accounts of two directories stay apart",
        "the index agrees with the certificates",
        "a lease has one holder",
    ] {
        assert!(broken.contains(&rule), "{violations}");
    }
    assert!(!broken.contains(&"no secret is shown"), "{violations}");
}
