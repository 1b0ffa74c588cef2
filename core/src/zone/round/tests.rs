//! Which values a round publishes together.

use async_trait::async_trait;

use super::*;
use crate::clock::SystemClock;
use crate::dns::{Config, Dns};
use crate::ledger::{Origin, RunId};
use crate::provider::ProviderError;
use crate::registry::Provider;
use crate::testkit::MemoryLedger;
use crate::testkit::memory_provider::{Behaviour, MemoryProvider};
use crate::zone::recorder::ChangeContext;
use crate::zone::{ConfiguredProvider, Existing, OpenError, ProviderSource};

const ZONE: &str = "auth.example.net";

struct Source;

#[async_trait]
impl ProviderSource for Source {
    async fn open(&self) -> Result<Provider, OpenError> {
        unreachable!("the writer has its provider")
    }
}

fn writer() -> Arc<ZoneWriter> {
    writer_that(Behaviour::Work)
}

/// The writer of a zone whose backend behaves so.
fn writer_that(behaviour: Behaviour) -> Arc<ZoneWriter> {
    let zone: DnsName = ZONE.parse().unwrap();
    let provider = MemoryProvider::new([zone.clone()]);
    provider.set_behaviour(&zone, behaviour);
    ZoneWriter::start(
        zone.clone(),
        Arc::new(ConfiguredProvider::new("a", "memory", "key", Source)),
        Arc::new(provider),
        Arc::new(MemoryLedger::new(Arc::new(SystemClock))),
        Arc::new(Dns::new(Config::default())),
        Arc::default(),
    )
    .into()
}

/// A member with one value at the zone's own name, where it found so many of others.
fn member(writer: &Arc<ZoneWriter>, number: usize, foreign: usize) -> Member {
    let record = |value: String| TxtRecord {
        name: ZONE.parse().unwrap(),
        value: value.parse().unwrap(),
    };
    let foreign = (0..foreign).map(|other| record(format!("foreign{other}")));
    let existing = Existing {
        foreign: foreign.collect(),
        ..Existing::default()
    };
    let publication = Publication {
        dns: Arc::new(Dns::new(Config::default())),
        zones: vec![(Arc::clone(writer), vec![record(format!("own{number}"))])].into(),
        context: ChangeContext {
            run: RunId::new(Timestamp::UNIX_EPOCH),
            origin: Origin::default(),
        },
        existing: existing.into(),
        propagation_timeout: Duration::ZERO,
    };
    Member {
        number,
        publication,
        progress: mpsc::unbounded_channel().0,
    }
}

/// What a backend says if it does not accept so many values.
fn too_many() -> ZoneFailure {
    let name: DnsName = ZONE.parse().unwrap();
    let source = ProviderError::new(Failure::TooMany, "SERVFAIL", "split");
    let zone = name.clone();
    let source = WriteError::Provider(source);
    ZoneFailure::at([&name], ZoneError::Write { zone, source })
}

#[tokio::test]
async fn members_that_were_refused_together_are_not_published_together_again() {
    // Values of others come and go while members look at the name one after the other.
    for foreign in [[0, 5], [5, 0]] {
        let writer = writer();
        let members = foreign.into_iter().enumerate();
        let members = members.map(|(number, foreign)| member(&writer, number, foreign));
        let mut members: Vec<_> = members.collect();
        let mut part = next_part(&mut members);
        assert_eq!(part.len(), 2);
        assert!(is_too_many(&too_many(), &part));
        limit(&part, &BTreeMap::from([(0, too_many()), (1, too_many())]));
        assert_eq!(next_part(&mut part).len(), 1, "{foreign:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_zone_of_somebody_else_when_values_are_withdrawn() {
    let writer = writer();
    let mut publications = [0, 1].map(|number| member(&writer, number, 0).publication);
    let hung = member(&writer_that(Behaviour::Hang), 1, 0).publication;
    let zones = publications[1].zones.iter().chain(hung.zones.iter());
    publications[1].zones = Arc::new(zones.cloned().collect());
    let (told, mut first) = mpsc::unbounded_channel();
    let withdrawal = joint::withdraw(&publications, |index, left_behind| {
        told.send((index, left_behind.is_empty())).unwrap();
    });
    tokio::select! {
        () = withdrawal => panic!("a backend that hangs is waited for"),
        first = first.recv() => assert_eq!(first, Some((0, true))),
    }
}
