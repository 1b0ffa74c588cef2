//! The RFC 2136 provider against a real BIND, without the rest of the program.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail as they do")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{change, zone_name};
use acme_alias_core::clock::{Clock, SystemClock};
use acme_alias_core::provider::{Failure, ProviderError, TxtProvider};
use acme_alias_core::rights::{Grade, KeyRights, Subject, Verdict};
use acme_alias_core::testkit::ManualClock;
use acme_alias_core::txt::{Action, TxtChange, TxtValue};
use acme_alias_rfc2136::{Rfc2136, ServerAddress, TsigKey};
use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Algorithm, Key, Result, SECOND_ALIAS_ZONE, SilentServer, TestBed,
};

fn provider(servers: &[SocketAddr], key: &Key) -> Rfc2136 {
    provider_with(servers, &key.name, &key.algorithm.to_string(), &key.secret)
}

fn provider_with(servers: &[SocketAddr], name: &str, algorithm: &str, secret: &str) -> Rfc2136 {
    let key = TsigKey::new(name, algorithm.parse().unwrap(), secret).unwrap();
    let (first, others) = servers.split_first().unwrap();
    let others = others.iter().copied().map(ServerAddress::from);
    let provider = Rfc2136::new((*first).into(), key).with_timeout(Duration::from_secs(2));
    others.fold(provider, Rfc2136::with_server)
}

fn add(value: &str) -> TxtChange {
    change(Action::Add, ALIAS_NAME, value)
}

fn remove(value: &str) -> TxtChange {
    change(Action::Remove, ALIAS_NAME, value)
}

async fn values(provider: &dyn TxtProvider) -> Vec<String> {
    let name = ALIAS_NAME.parse().unwrap();
    let sets = provider.values(&zone_name(), &[name]).await.unwrap();
    let values = sets.values().flat_map(|set| &set.values);
    values.map(TxtValue::to_string).collect()
}

async fn refused(provider: &dyn TxtProvider, zone: &str, change: TxtChange) -> ProviderError {
    provider
        .apply(&zone.parse().unwrap(), &[change])
        .await
        .unwrap_err()
}

#[tokio::test]
async fn values_come_and_go_one_by_one_and_a_foreign_one_stays() -> Result {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
        let bed = TestBed::builder().algorithm(algorithm).start()?;
        let provider = provider(&[bed.primary()], bed.key(ALIAS_ZONE)?);
        bed.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, "foreign")?;
        for _ in 0..2 {
            provider
                .apply(&zone_name(), &[add("one"), add("two")])
                .await
                .unwrap();
            assert_eq!(values(&provider).await, ["foreign", "one", "two"]);
        }
        for _ in 0..2 {
            provider
                .apply(&zone_name(), &[remove("one")])
                .await
                .unwrap();
            assert_eq!(values(&provider).await, ["foreign", "two"]);
        }
        provider
            .apply(
                &zone_name(),
                &[add("three"), remove("two"), remove("three")],
            )
            .await
            .unwrap();
        assert_eq!(values(&provider).await, ["foreign"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_hundred_names_are_one_message_and_two_thousand_are_few() -> Result {
    let bed = TestBed::start()?;
    let provider = provider(&[bed.primary()], bed.key(ALIAS_ZONE)?);
    let value = "x".repeat(43);
    let changes = |count: usize, action| -> Vec<_> {
        (0..count)
            .map(|i| change(action, &format!("h{i}.{ALIAS_ZONE}"), &value))
            .collect()
    };
    let before = bed.serial(ALIAS_ZONE)?;
    let applied = provider
        .apply(&zone_name(), &changes(100, Action::Add))
        .await
        .unwrap();
    assert_eq!(applied.requests, 1);
    assert_eq!(bed.serial(ALIAS_ZONE)?, before + 1);
    assert_eq!(bed.txt()?.len(), 100);
    let applied = provider
        .apply(&zone_name(), &changes(2000, Action::Add))
        .await
        .unwrap();
    assert_eq!(applied.requests, 3);
    assert_eq!(bed.txt()?.len(), 2000);
    let names: Vec<_> = changes(2000, Action::Add)
        .into_iter()
        .map(|change| change.name)
        .collect();
    let sets = provider.values(&zone_name(), &names).await.unwrap();
    assert_eq!(sets.len(), 2000);
    provider
        .apply(&zone_name(), &changes(2000, Action::Remove))
        .await
        .unwrap();
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[tokio::test]
async fn the_longest_value_and_upper_case_names_are_read_back() -> Result {
    let bed = TestBed::start()?;
    let provider = provider(&[bed.primary()], bed.key(ALIAS_ZONE)?);
    let long = format!("{}\"\\; {}", "y".repeat(200), "z".repeat(51));
    let name = ALIAS_NAME.to_ascii_uppercase();
    provider
        .apply(&zone_name(), &[change(Action::Add, &name, &long)])
        .await
        .unwrap();
    assert_eq!(values(&provider).await, [long]);
    Ok(())
}

#[tokio::test]
async fn every_refusal_of_a_real_server_has_its_own_error() -> Result {
    let bed = TestBed::start()?;
    let key = bed.key(ALIAS_ZONE)?;
    let servers = [bed.primary()];
    let other = Key::generate(&key.name, key.algorithm);
    for (provider, zone, change, failure, words) in [
        (
            provider(&servers, &other),
            ALIAS_ZONE,
            add("x"),
            Failure::Denied,
            "BADSIG",
        ),
        (
            provider(&servers, &Key::generate("no-such-key", Algorithm::Sha256)),
            ALIAS_ZONE,
            add("x"),
            Failure::Denied,
            "BADKEY",
        ),
        (
            provider_with(&servers, &key.name, "hmac-sha512", &key.secret),
            ALIAS_ZONE,
            add("x"),
            Failure::Denied,
            "BADKEY",
        ),
        (
            provider(&servers, bed.key(SECOND_ALIAS_ZONE)?),
            ALIAS_ZONE,
            add("x"),
            Failure::Denied,
            "REFUSED",
        ),
        (
            provider(&servers, key),
            "example.com",
            change(Action::Add, "a.example.com", "x"),
            Failure::Rejected,
            "NOTAUTH",
        ),
        (
            provider(&servers, key),
            ALIAS_ZONE,
            change(Action::Add, "a.example.com", "x"),
            Failure::Rejected,
            "is outside the zone",
        ),
    ] {
        let error = refused(&provider, zone, change).await;
        assert_eq!(error.failure, failure, "{error}");
        assert!(error.what.contains(words), "{words}: {error}");
        assert!(!error.remedy.is_empty());
        let shown = format!("{error:?}");
        assert!(!shown.contains(&key.secret) && !shown.contains(&other.secret));
    }
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[tokio::test]
async fn a_dead_server_is_skipped_and_an_outage_names_all_servers() -> Result {
    let bed = TestBed::start()?;
    let key = bed.key(ALIAS_ZONE)?;
    let (dead, silent) = (bed.dead_port()?, SilentServer::start()?);
    let provider_of = |servers: &[SocketAddr]| provider(servers, key);
    let working = provider_of(&[dead.address(), bed.main_server(), bed.primary()]);
    let applied = working.apply(&zone_name(), &[add("x")]).await.unwrap();
    assert_eq!(applied.server, bed.primary().to_string());

    let error = refused(&provider_of(&[dead.address()]), ALIAS_ZONE, add("y")).await;
    assert_eq!(error.failure, Failure::Unavailable, "{error}");
    assert!(error.what.contains("connection refused"), "{error}");

    let both = provider_of(&[dead.address(), silent.address()]);
    let error = refused(&both, ALIAS_ZONE, add("y")).await;
    assert_eq!(error.failure, Failure::UnknownOutcome, "{error}");
    for server in [dead.address(), silent.address()] {
        assert!(error.what.contains(&server.to_string()), "{error}");
    }
    Ok(())
}

/// A server that answers every request with its own first octets: the id, an UPDATE response,
/// NOERROR, and no signature.
fn liar() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut request = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut request).unwrap();
            let success = [request[0], request[1], 0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            stream.write_all(&[0, 12]).unwrap();
            stream.write_all(&success).unwrap();
        }
    });
    Ok(address)
}

#[tokio::test]
async fn an_unsigned_success_is_an_unknown_outcome() -> Result {
    let provider = provider(&[liar()?], &Key::generate("acme-key", Algorithm::Sha256));
    let error = refused(&provider, ALIAS_ZONE, add("x")).await;
    assert_eq!(error.failure, Failure::UnknownOutcome, "{error}");
    assert!(error.what.contains("not signed"), "{error}");
    Ok(())
}

#[tokio::test]
async fn the_injected_clock_signs() -> Result {
    let bed = TestBed::start()?;
    let key = bed.key(ALIAS_ZONE)?;
    let provider = |clock: ManualClock| {
        let algorithm = key.algorithm.to_string();
        provider_with(&[bed.primary()], &key.name, &algorithm, &key.secret)
            .with_clock(Arc::new(clock))
    };
    let clock = ManualClock::new(SystemClock.now());
    provider(clock)
        .apply(&zone_name(), &[add("x")])
        .await
        .unwrap();
    let clock = ManualClock::new(SystemClock.now() - Duration::from_mins(20));
    let error = refused(&provider(clock), ALIAS_ZONE, add("y")).await;
    assert_eq!(error.failure, Failure::Denied, "{error}");
    assert!(
        error.what.contains("BADTIME") && error.what.contains("s ahead of ours"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn an_audit_finds_a_weak_algorithm() -> Result {
    let bed = TestBed::start()?;
    bed.replace_in_primary("algorithm hmac-sha256", "algorithm hmac-sha1")?;
    let provider = provider(&[bed.primary()], bed.key(ALIAS_ZONE)?);
    let subject = Subject {
        zone: zone_name(),
        alias_names: vec![ALIAS_NAME.parse().unwrap()],
        main_zones: Vec::new(),
    };
    let rights = provider.audit(&subject).await.unwrap().rights;
    let weak = rights
        .iter()
        .find(|right| right.right == "signatures with a weak algorithm")
        .unwrap();
    assert_eq!(weak.verdict, Verdict::Allowed, "{rights:?}");
    assert!(weak.evidence.contains("hmac-sha1: BADSIG"), "{weak:?}");
    assert!(weak.evidence.contains("BADKEY"), "{weak:?}");
    assert_eq!(Grade::of(&rights), Grade::CannotTell, "{rights:?}");
    Ok(())
}
