//! What a run does with values that earlier jobs left, without a CA.

mod many_left;
mod stopped_store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::acme::CaConfig;
use crate::clock::{Clock, SystemClock};
use crate::issue::CertificateRequest;
use crate::lease::{JobName, LeaseId};
use crate::ledger::{Entry, Event, Ledger, Origin, RunId};
use crate::name::DnsName;
use crate::provider::{Applied, Failure, Identity, Limits, ProviderError, TxtProvider};
use crate::store::{CertificateId, Lease, Store};
use crate::testkit::memory_provider::{Behaviour, MemoryProvider};
use crate::testkit::{MemoryLedger, MemoryStore};
use crate::txt::{Action, TxtChange, TxtSets, TxtValue};
use crate::zone::{AliasZone, ConfiguredProvider};

const ZONE: &str = "auth.example.net";
const OTHER_ZONE: &str = "auth.example.org";

fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

/// An engine on a store, a ledger and a backend in memory.
struct Fixture {
    store: Arc<MemoryStore>,
    ledger: Arc<MemoryLedger>,
    backend: MemoryProvider,
}

impl Fixture {
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Fixture {
            store: Arc::new(MemoryStore::new(Arc::clone(&clock))),
            ledger: Arc::new(MemoryLedger::new(clock)),
            backend: MemoryProvider::new([name(ZONE), name(OTHER_ZONE)]),
        }
    }

    fn engine(&self, providers: impl IntoIterator<Item = ConfiguredProvider>) -> Engine {
        let (store, ledger) = (Arc::clone(&self.store), Arc::clone(&self.ledger));
        Engine::builder(store, ledger)
            .providers(providers.into_iter().map(Arc::new))
            .build()
            .unwrap()
    }

    /// The backend as a provider with this id and these credentials.
    fn provider(&self, id: &str, credentials: &str) -> ConfiguredProvider {
        provider(id, credentials, self.backend.clone())
    }

    /// Leaves a value in a zone, as the job with this lease did through this provider.
    async fn leave(
        &self,
        zone: &str,
        value: &str,
        lease: Option<&LeaseId>,
        provider: (&str, &str),
    ) {
        let challenge_name = name(zone).challenge_name().unwrap();
        self.leave_at(&challenge_name, zone, value, lease, provider)
            .await;
    }

    async fn leave_at(
        &self,
        at: &DnsName,
        zone: &str,
        value: &str,
        lease: Option<&LeaseId>,
        provider: (&str, &str),
    ) {
        let zone = name(zone);
        let change = TxtChange {
            name: at.clone(),
            value: challenge(value),
            action: Action::Add,
            ttl: None,
        };
        let entry = Entry {
            event: Event::Intent,
            action: Action::Add,
            origin: Origin {
                certificate: Some("web".to_owned()),
                order: None,
                lease: lease.cloned(),
            },
            zone: zone.clone(),
            provider: "memory".to_owned(),
            provider_id: Some(provider.0.to_owned()),
            credentials: Some(provider.1.to_owned()),
            key: None,
            name: change.name.clone(),
            value: change.value.clone(),
            ttl: None,
            server: None,
            response: None,
            serial: None,
        };
        let run = RunId::new(SystemClock.now());
        self.ledger.record(&run, vec![entry]).await.unwrap();
        self.backend.apply(&zone, &[change]).await.unwrap();
    }

    async fn lease(&self) -> Lease {
        let job = JobName::certificate(&"web".parse().unwrap());
        let minute = jiff::SignedDuration::from_mins(1);
        self.store.acquire_lease(&job, minute).await.unwrap()
    }

    async fn values(&self, zone: &str) -> usize {
        let zone = name(zone);
        let names = [zone.challenge_name().unwrap()];
        let values = self.backend.values(&zone, &names).await.unwrap();
        values.values().map(|set| set.values.len()).sum()
    }
}

fn provider(
    id: &str,
    credentials: &str,
    provider: impl TxtProvider + Clone + 'static,
) -> ConfiguredProvider {
    struct Source<P>(P);

    #[async_trait]
    impl<P: TxtProvider + Clone + 'static> crate::zone::ProviderSource for Source<P> {
        async fn open(&self) -> Result<crate::registry::Provider, crate::zone::OpenError> {
            Ok(crate::registry::Provider::write_only(self.0.clone()))
        }
    }
    ConfiguredProvider::new(id, "memory", credentials, Source(provider))
}

async fn reconcile(engine: &Engine) -> Reconciliation {
    let run = engine.begin().await.unwrap();
    let done = run.reconcile().await.unwrap();
    run.end(&CancellationToken::new()).await;
    done
}

/// A value of a challenge that begins like this. One that has a space is taken as it is.
fn challenge(begin: &str) -> TxtValue {
    let value = if begin.contains(' ') {
        begin.to_owned()
    } else {
        format!("{begin:-<43}")
    };
    value.parse().unwrap()
}

#[tokio::test]
async fn a_value_that_no_job_writes_is_reported_and_stays() {
    let fixture = Fixture::new();
    let provider_of_a = ("a", "key-a");
    fixture
        .leave(ZONE, "v=spf1 -all", None, provider_of_a)
        .await;
    let engine = fixture.engine([provider("a", "key-a", fixture.backend.clone())]);
    let done = reconcile(&engine).await;
    assert_eq!((done.removed.len(), done.gone), (0, 0), "{done:?}");
    assert!(matches!(done.left.first()[0].reason, LeftReason::Foreign));
    assert_eq!(fixture.values(ZONE).await, 1);
}

#[tokio::test]
async fn values_of_a_job_under_way_stay_and_those_of_an_ended_one_are_removed() {
    let fixture = Fixture::new();
    let engine = fixture.engine([fixture.provider("a", "key-a")]);
    let lease = fixture.lease().await;
    fixture
        .leave(ZONE, "one", Some(&lease.id), ("a", "key-a"))
        .await;
    assert!(reconcile(&engine).await.removed.is_empty());
    assert_eq!(fixture.values(ZONE).await, 1);
    fixture.store.release_lease(&lease).await.unwrap();
    assert_eq!(reconcile(&engine).await.removed.len(), 1);
    assert_eq!(fixture.values(ZONE).await, 0);
    assert!(fixture.ledger.open_values().await.unwrap().is_empty());
}

#[tokio::test]
async fn another_account_never_touches_the_values_of_a_provider() {
    let fixture = Fixture::new();
    // Of the same kind, and the zone would be there.
    let engine = fixture.engine([fixture.provider("a", "key-a")]);
    fixture.leave(ZONE, "one", None, ("b", "key-b")).await;
    let done = reconcile(&engine).await;
    assert!(
        matches!(done.left.first()[0].reason, LeftReason::NoProvider),
        "{done:?}"
    );
    assert_eq!(fixture.values(ZONE).await, 1);
    assert_eq!(fixture.ledger.open_values().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_provider_with_new_credentials_removes_what_it_wrote_with_the_old_ones() {
    let fixture = Fixture::new();
    let engine = fixture.engine([fixture.provider("a", "new-key")]);
    fixture.leave(ZONE, "one", None, ("a", "old-key")).await;
    assert_eq!(reconcile(&engine).await.removed.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_does_not_answer_is_reported_and_the_others_are_cleaned() {
    let fixture = Fixture::new();
    let dead = MemoryProvider::new([name(OTHER_ZONE)]);
    dead.set_behaviour(&name(OTHER_ZONE), Behaviour::Hang);
    let silent = provider("dead", "dead", dead);
    let engine = fixture.engine([fixture.provider("a", "key-a"), silent]);
    fixture
        .leave(OTHER_ZONE, "one", None, ("dead", "dead"))
        .await;
    fixture.leave(ZONE, "two", None, ("a", "key-a")).await;
    let done = reconcile(&engine).await;
    assert_eq!(done.removed.len(), 1, "{done:?}");
    assert!(
        matches!(done.left.first()[0].reason, LeftReason::Timeout { .. }),
        "{done:?}"
    );
    assert_eq!(fixture.values(ZONE).await, 0);
}

#[tokio::test]
async fn a_value_that_nobody_can_remove_is_dropped_on_request_only() {
    let fixture = Fixture::new();
    let engine = fixture.engine([]);
    fixture.leave(ZONE, "one", None, ("b", "key-b")).await;
    let name = name(ZONE).challenge_name().unwrap();
    for _ in 0..2 {
        assert_eq!(
            reconcile(&engine).await.left.count(),
            1,
            "reported every time"
        );
    }
    let run = engine.begin().await.unwrap();
    let other = "another".parse().unwrap();
    assert!(run.forget(&name, Some(&other)).await.unwrap().is_empty());
    assert_eq!(run.forget(&name, None).await.unwrap().len(), 1);
    run.end(&CancellationToken::new()).await;
    assert!(reconcile(&engine).await.left.is_empty());
}

#[tokio::test]
async fn a_run_that_is_dropped_gives_its_lease_back() {
    let fixture = Fixture::new();
    let engine = fixture.engine([]);
    drop(engine.begin().await.unwrap());
    for _ in 0..100 {
        if fixture.store.live_leases().await.unwrap().is_empty() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the lease is still held");
}

#[tokio::test]
async fn a_provider_that_fails_does_not_keep_the_reason_from_the_reader() {
    let fixture = Fixture::new();
    let gone = provider("a", "key-a", MemoryProvider::new([]));
    let engine = fixture.engine([gone]);
    fixture.leave(ZONE, "one", None, ("a", "key-a")).await;
    let done = reconcile(&engine).await;
    let LeftReason::Write(crate::zone::WriteError::Provider(error)) = &done.left.first()[0].reason
    else {
        panic!("{done:?}");
    };
    assert_eq!(error.failure, Failure::Rejected);
}

/// Certificates whose settings are stored: each has one alias zone, with a provider of its own.
struct Stored(BTreeMap<CertificateId, Arc<ConfiguredProvider>>);

#[async_trait]
impl SettingsReader for Stored {
    fn shared(&self) -> u64 {
        0
    }

    fn shared_targets(&self) -> u64 {
        0
    }

    async fn read(
        &self,
        id: &CertificateId,
        _: &str,
    ) -> Result<Arc<CertificateConfig>, UnreadableSettings> {
        let mut config = EnvironmentConfig::new(CaConfig::lets_encrypt_staging());
        config.alias_zones = vec![AliasZone {
            zone: name(ZONE),
            provider: Arc::clone(&self.0[id]),
        }];
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let environment = Environment::new(config, &clock).unwrap();
        let names = ["example.com".parse().unwrap()];
        let request = CertificateRequest::new(id.clone(), names);
        Ok(Arc::new(CertificateConfig::new(
            request,
            Arc::new(environment),
        )))
    }
}

#[tokio::test]
async fn providers_of_stored_certificates_with_one_id_are_told_apart() {
    let fixture = Fixture::new();
    let backend = || MemoryProvider::new([name(ZONE)]);
    let backends = [backend(), backend()];
    let mut stored = BTreeMap::new();
    for (id, backend) in ["first", "web"].into_iter().zip(&backends) {
        let id: CertificateId = id.parse().unwrap();
        fixture.store.put_settings(&id, "any").await.unwrap();
        // Without a name of its own a provider is called by its kind. The key was replaced since.
        let credentials = format!("new key of {id}");
        let provider = provider("memory", &credentials, backend.clone());
        stored.insert(id, Arc::new(provider));
    }
    let (store, ledger) = (Arc::clone(&fixture.store), Arc::clone(&fixture.ledger));
    let engine = Engine::builder(store, ledger)
        .settings_reader(Arc::new(Stored(stored)))
        .build()
        .unwrap();
    engine.certificate(&"first".parse().unwrap()).await.unwrap();
    fixture
        .leave(ZONE, "one", None, ("memory", "old key of web"))
        .await;
    let change = TxtChange {
        name: name(ZONE).challenge_name().unwrap(),
        value: challenge("one"),
        action: Action::Add,
        ttl: None,
    };
    backends[1].apply(&name(ZONE), &[change]).await.unwrap();
    let done = reconcile(&engine).await;
    assert_eq!((done.removed.len(), done.gone), (1, 0), "{done:?}");
    assert!(backends[1].records(&name(ZONE)).is_empty());
}

/// A server that refuses every change at one name.
#[derive(Clone, Debug)]
struct Refusing {
    name: DnsName,
    backend: MemoryProvider,
}

#[async_trait]
impl TxtProvider for Refusing {
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        if changes.iter().any(|change| change.name == self.name) {
            return Err(ProviderError::new(Failure::Denied, "refused", "ask"));
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

#[tokio::test]
async fn a_value_that_the_server_keeps_does_not_keep_the_others_of_its_zone() {
    let fixture = Fixture::new();
    let names = ["a", "b", "c"].map(|label| name(&format!("{label}.{ZONE}")));
    for name in &names {
        fixture
            .leave_at(name, ZONE, "one", None, ("a", "key-a"))
            .await;
    }
    let refusing = Refusing {
        name: names[1].clone(),
        backend: fixture.backend.clone(),
    };
    let engine = fixture.engine([provider("a", "key-a", refusing)]);
    let done = reconcile(&engine).await;
    let left: Vec<_> = done
        .left
        .first()
        .iter()
        .map(|left| &left.value.name)
        .collect();
    assert_eq!((done.removed.len(), left), (2, vec![&names[1]]), "{done:?}");
    let there = fixture.backend.values(&name(ZONE), &names).await.unwrap();
    let there = there.iter().filter(|(_, set)| !set.is_empty());
    assert_eq!(there.map(|(name, _)| name).collect::<Vec<_>>(), [&names[1]]);
}
