//! What a writer does when a backend refuses a part of what waits together.

use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::clock::SystemClock;
use crate::dns::Config;
use crate::ledger::{Origin, RunId};
use crate::provider::{Failure, Identity, Limits};
use crate::registry::Provider;
use crate::testkit::MemoryLedger;
use crate::testkit::memory_provider::MemoryProvider;
use crate::zone::{OpenError, ProviderSource};

const ZONE: &str = "auth.example.net";

fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

/// A backend that takes so many changes in a request, and none at one name.
#[derive(Clone, Debug)]
struct Strict {
    changes: usize,
    refused: DnsName,
    requests: Arc<Mutex<Vec<usize>>>,
    backend: MemoryProvider,
}

#[async_trait]
impl TxtProvider for Strict {
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        self.requests.lock().unwrap().push(changes.len());
        if changes.iter().any(|change| change.name == self.refused) {
            return Err(ProviderError::new(Failure::Denied, "refused", "ask"));
        }
        if changes.len() > self.changes {
            return Err(ProviderError::new(Failure::TooMany, "SERVFAIL", "split"));
        }
        self.backend.apply(zone, changes).await
    }

    async fn values(&self, zone: &DnsName, names: &[DnsName]) -> Result<TxtSets, ProviderError> {
        self.backend.values(zone, names).await
    }

    async fn settle(&self, zone: &DnsName, applied: &Applied) -> Result<(), ProviderError> {
        self.backend.settle(zone, applied).await
    }

    fn limits(&self) -> Limits {
        self.backend.limits()
    }

    fn identity(&self) -> Identity {
        self.backend.identity()
    }
}

struct Source;

#[async_trait]
impl ProviderSource for Source {
    async fn open(&self) -> Result<Provider, OpenError> {
        unreachable!("the writer has its provider")
    }
}

/// A writer for a backend that takes `changes` in a request, and the sizes of the requests that it gets.
fn writer(changes: usize) -> (ZoneWriter, Arc<Mutex<Vec<usize>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let strict = Strict {
        changes,
        refused: name("refused.auth.example.net"),
        requests: Arc::clone(&requests),
        backend: MemoryProvider::new([name(ZONE)]),
    };
    let ledger = Arc::new(MemoryLedger::new(Arc::new(SystemClock)));
    (writer_to(strict, ledger), requests)
}

fn writer_to(backend: impl TxtProvider + 'static, ledger: Arc<MemoryLedger>) -> ZoneWriter {
    let configured = ConfiguredProvider::new("a", "memory", "key", Source);
    ZoneWriter::start(
        name(ZONE),
        Arc::new(configured),
        Arc::new(backend),
        ledger,
        Arc::new(Dns::new(Config::default())),
        Arc::default(),
    )
}

/// A backend that shows nothing of what was changed a short time ago.
#[derive(Clone, Debug)]
struct Late(MemoryProvider);

#[async_trait]
impl TxtProvider for Late {
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        self.0.apply(zone, changes).await
    }

    async fn values(&self, _: &DnsName, _: &[DnsName]) -> Result<TxtSets, ProviderError> {
        Ok(TxtSets::new())
    }

    async fn settle(&self, zone: &DnsName, applied: &Applied) -> Result<(), ProviderError> {
        self.0.settle(zone, applied).await
    }

    fn limits(&self) -> Limits {
        self.0.limits()
    }

    fn identity(&self) -> Identity {
        self.0.identity()
    }
}

/// Additions at these names below the zone.
fn additions(labels: &[&str]) -> Vec<Requested> {
    let addition = |label: &&str| Requested {
        change: TxtChange {
            name: name(&format!("{label}.{ZONE}")),
            value: "value".parse().unwrap(),
            action: Action::Add,
            ttl: None,
        },
        context: ChangeContext {
            run: RunId::new(jiff::Timestamp::UNIX_EPOCH),
            origin: Origin::default(),
        },
    };
    labels.iter().map(addition).collect()
}

async fn outcomes(writes: Vec<Write>) -> Vec<bool> {
    let outcomes = join_all(writes.into_iter().map(Write::done)).await;
    outcomes.iter().map(Result::is_ok).collect()
}

#[tokio::test]
async fn requests_that_are_too_much_together_go_out_one_after_the_other() {
    let (writer, requests) = writer(6);
    // Both wait before the task of the writer runs.
    let mut writes = writer.begin_together(vec![additions(&["a", "b", "c"]), additions(&["d"])]);
    writes.extend(writer.begin_together(vec![additions(&["e", "f", "g"])]));
    assert_eq!(outcomes(writes).await, [true, true, true]);
    assert_eq!(*requests.lock().unwrap(), [7, 4, 3]);
}

#[tokio::test]
async fn a_list_that_is_too_much_alone_fails_no_other() {
    let (writer, _) = writer(6);
    let lists = vec![
        additions(&["a", "b", "c", "x"]),
        additions(&["x", "e", "f"]),
    ];
    let mut writes = writer.begin_together(lists);
    writes.extend(writer.begin_together(vec![additions(&["h"])]));
    assert_eq!(outcomes(writes).await, [false, false, true]);
}

#[tokio::test]
async fn changes_without_a_common_name_that_are_too_much_together_go_out_apart() {
    let (writer, requests) = writer(6);
    let lists = vec![
        additions(&["a", "x"]),
        additions(&["b", "c", "d"]),
        additions(&["x", "e"]),
    ];
    assert_eq!(
        outcomes(writer.begin_together(lists)).await,
        [true, true, true]
    );
    let mut requests = requests.lock().unwrap().clone();
    requests.sort_unstable();
    assert_eq!(requests, [3, 4, 7]);
}

#[tokio::test]
async fn a_change_that_is_refused_fails_its_certificate_only() {
    let (writer, requests) = writer(100);
    let lists = vec![
        additions(&["a"]),
        additions(&["refused"]),
        additions(&["b"]),
    ];
    assert_eq!(
        outcomes(writer.begin_together(lists)).await,
        [true, false, true]
    );
    assert_eq!(*requests.lock().unwrap(), [3, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_was_learned_is_forgotten_after_an_hour() {
    let (writer, _) = writer(100);
    let usual = writer.values_per_name();
    writer.limit_values_per_name(8);
    writer.limit_values_per_name(5);
    writer.limit_values_per_name(7);
    assert_eq!(writer.values_per_name(), 5);
    tokio::time::advance(REMEMBER_LIMIT).await;
    assert_eq!(writer.values_per_name(), usual);
}

#[tokio::test(start_paused = true)]
async fn values_that_the_backend_does_not_show_yet_are_removed_in_one_request() {
    let (backend, zone) = (MemoryProvider::new([name(ZONE)]), name(ZONE));
    let ledger = Arc::new(MemoryLedger::new(Arc::new(SystemClock)));
    let killed = writer_to(Late(backend.clone()), Arc::clone(&ledger));
    let writes = killed.begin_together(vec![additions(&["a"]), additions(&["b", "c"])]);
    assert_eq!(outcomes(writes).await, [false, false]);
    assert_eq!(backend.records(&zone).len(), 3);
    let requests = backend.requests(&zone);

    let left = ledger.open_values().await.unwrap();
    let next = writer_to(Late(backend.clone()), Arc::clone(&ledger));
    let context = additions(&["a"]).remove(0).context;
    let cleaned = next.clean_up(&left, &context).await.unwrap();
    assert_eq!((cleaned.gone, cleaned.left.len()), (3, 0), "{cleaned:?}");
    assert!(backend.records(&zone).is_empty());
    assert_eq!(backend.requests(&zone), requests + 1);
    assert_eq!(ledger.open_values().await.unwrap(), []);
}
