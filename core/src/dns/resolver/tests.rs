//! Names that a resolver takes long for, and resolvers that are dead.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::NS;
use hickory_proto::rr::{Name, RData, Record};
use tokio::time::Instant;

use super::ResolverKind;
use crate::dns::stub::name;
use crate::dns::test_network::{Script, network};
use crate::dns::{Config, Dns, scripted};

const FIRST: [u8; 4] = [192, 0, 2, 1];
const SECOND: [u8; 4] = [192, 0, 2, 2];
const TIMEOUT: Duration = Duration::from_secs(3);
/// A search at a few servers far away.
const SEARCH: Duration = Duration::from_secs(1);
/// An answer from the cache of a resolver.
const CACHED: Duration = Duration::from_millis(10);

fn client() -> Dns {
    Dns::new(Config {
        resolvers: [FIRST, SECOND].map(|ip| SocketAddr::from((ip, 53))).into(),
        timeout: TIMEOUT,
        ..Config::default()
    })
}

/// Whether the servers of a zone are found, and how long that takes.
async fn look_up(dns: &Dns, zone: &str) -> (bool, Duration) {
    let begun = Instant::now();
    let found = dns.resolve(&name(zone), ResolverKind::Ns).await;
    (found.is_ok(), begun.elapsed())
}

/// What a resolver does that works. The servers of `hostile.test` never answer it.
fn search(query: &Query, answer: &mut Message) -> Option<Duration> {
    let hostile = Name::from_ascii("hostile.test.").unwrap();
    if hostile.zone_of(query.name()) {
        return None;
    }
    let server = Name::from_ascii("ns.example.com.").unwrap();
    let record = Record::from_rdata(query.name().clone(), 0, RData::NS(NS(server)));
    answer.answers.push(record);
    Some(if query.name().is_root() {
        CACHED
    } else {
        SEARCH
    })
}

/// Asks for a good zone when hostile names have made the first resolver wait. The second one does this.
async fn good_after_hostile(
    second: impl Fn(&Query, &mut Message) + Send + Sync + 'static,
) -> (bool, Duration) {
    let script = move |server: SocketAddr, query: &Query, answer: &mut Message| {
        if server.ip() == SocketAddr::from((FIRST, 53)).ip() {
            return search(query, answer);
        }
        second(query, answer);
        Some(CACHED)
    };
    let asked = async {
        let dns = client();
        for zone in ["one.hostile.test", "two.hostile.test", "hostile.test"] {
            look_up(&dns, zone).await;
        }
        look_up(&dns, "example.com").await
    };
    scripted::within(network(script), asked).await
}

#[tokio::test(start_paused = true)]
async fn a_name_that_takes_forever_does_not_make_the_only_resolver_that_works_dead() {
    for code in [ResponseCode::Refused, ResponseCode::NotImp] {
        let (is_found, took) = good_after_hostile(move |_, answer| {
            answer.metadata.response_code = code;
        })
        .await;
        assert!(is_found && took < SEARCH + CACHED * 2, "{code}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nor_if_the_other_one_fails_for_all_names_or_for_some() {
    let (is_found, _) = good_after_hostile(|_, answer| {
        answer.metadata.response_code = ResponseCode::ServFail;
    })
    .await;
    assert!(is_found);
    let (is_found, _) = good_after_hostile(|query, answer| {
        if query.name().to_ascii() != "hostile.test." {
            answer.metadata.response_code = ResponseCode::ServFail;
        }
    })
    .await;
    assert!(is_found);
}

/// A first resolver that is dead until this says otherwise, and a second one that answers with `code`.
fn dead_beside(code: ResponseCode, works: &Arc<AtomicBool>) -> impl Script {
    let works = Arc::clone(works);
    move |server: SocketAddr, query: &Query, answer: &mut Message| {
        if server.ip() == SocketAddr::from((FIRST, 53)).ip() {
            return search(query, answer).filter(|_| works.load(Ordering::SeqCst));
        }
        answer.metadata.response_code = code;
        Some(CACHED)
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_resolver_costs_its_time_limit_once_if_the_other_one_searches() {
    let works: Arc<AtomicBool> = Arc::default();
    let asked = async {
        let dns = client();
        let (_, first) = look_up(&dns, "one.test").await;
        let (_, second) = look_up(&dns, "two.test").await;
        assert!(first >= TIMEOUT && second < TIMEOUT / 4, "{second:?}");
        works.store(true, Ordering::SeqCst);
        // It answers at once what nobody has to search for, and has its time from then on.
        look_up(&dns, "three.test").await;
        assert!(look_up(&dns, "four.test").await.0);
    };
    let script = dead_beside(ResponseCode::ServFail, &works);
    scripted::within(network(script), asked).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_resolver_has_its_whole_time_if_the_other_one_refuses() {
    let works: Arc<AtomicBool> = Arc::default();
    let asked = async {
        let dns = client();
        let (_, took) = look_up(&dns, "one.test").await;
        assert!(took >= TIMEOUT, "{took:?}");
        works.store(true, Ordering::SeqCst);
        assert!(look_up(&dns, "two.test").await.0);
    };
    let script = dead_beside(ResponseCode::Refused, &works);
    scripted::within(network(script), asked).await;
}
