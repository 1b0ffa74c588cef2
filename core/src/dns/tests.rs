//! What is cached and what is not, and servers that hang.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use hickory_proto::rr::RecordType;
use tokio::time::Instant;

use super::client::Dns;
use super::config::{Config, ZoneServers};
use super::error::{DnsError, ServerError};
use super::infrastructure::InfrastructureKind;
use super::resolver::ResolverKind;
use super::server::Server;
use super::stub::{ALIAS_NAME, CHALLENGE_NAME, StubServer, TTL, ZONE, name, pass};

/// Longer than any query takes, so that a time limit that passes is noticed.
const LONG: Duration = Duration::from_secs(30);

fn client(server: &StubServer) -> Dns {
    server.client(&[server.address], LONG)
}

#[tokio::test]
async fn records_about_a_zone_are_queried_again_when_they_have_expired() {
    let server = StubServer::start();
    let dns = client(&server);
    let zone = name(ZONE);
    let kinds = [RecordType::NS, RecordType::A, RecordType::SOA];
    let counts = || kinds.map(|kind| server.count(kind));
    let ask = async || {
        let soa = dns.ask_infrastructure(&zone, InfrastructureKind::Soa).await;
        assert!(soa.unwrap().value.is_apex());
        dns.servers(&zone).await.unwrap();
    };
    ask().await;
    let once = counts();
    pass(Duration::from_secs(u64::from(TTL) - 2)).await;
    ask().await;
    assert_eq!(counts(), once);
    pass(Duration::from_secs(2)).await;
    ask().await;
    assert_eq!(counts(), once.map(|count| 2 * count));
}

#[tokio::test]
async fn challenge_names_and_alias_names_are_queried_each_time() {
    let server = StubServer::start();
    let dns = client(&server);
    let names = [CHALLENGE_NAME, ALIAS_NAME].map(name);
    for round in 1..=3 {
        for name in &names {
            for kind in [RecordType::CNAME, RecordType::TXT, RecordType::SOA] {
                dns.ask(name, kind).await.unwrap();
            }
        }
        for kind in [RecordType::CNAME, RecordType::TXT, RecordType::SOA] {
            assert_eq!(server.count(kind), 2 * round, "{kind}");
        }
    }
}

#[tokio::test]
async fn the_zone_of_an_alias_name_is_found_anew_and_the_zones_above_are_cached() {
    let server = StubServer::start();
    let dns = client(&server);
    for round in 1..=3 {
        assert_eq!(dns.apex(&name(ALIAS_NAME)).await.unwrap(), name(ZONE));
        // One query for the alias name each time, and one for the apex.
        assert_eq!(server.count(RecordType::SOA), round + 1);
    }
}

#[tokio::test]
async fn concurrent_callers_share_the_queries_about_a_zone() {
    let server = StubServer::start();
    let dns = client(&server);
    let zone = name(ZONE);
    let servers = join_all((0..50).map(|_| dns.servers(&zone))).await;
    assert!(servers.iter().all(Result::is_ok));
    // The NS set of the zone, and that of the zone above.
    let counts = [RecordType::NS, RecordType::A, RecordType::AAAA].map(|kind| server.count(kind));
    assert_eq!((counts, server.total()), ([2, 1, 1], 4));
}

#[tokio::test]
async fn a_failed_lookup_is_an_error_and_is_repeated_next_time() {
    let server = StubServer::start();
    let dns = client(&server);
    let zone = name(ZONE);
    server.fail(Some(RecordType::NS));
    for round in 1..=2 {
        let error = dns.servers(&zone).await.unwrap_err();
        assert!(matches!(error, DnsError::Resolver { .. }), "{error:?}");
        assert_eq!(server.count(RecordType::NS), round);
    }
    server.fail(None);
    assert_eq!(dns.servers(&zone).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_address_that_could_not_be_looked_up_is_not_taken_for_missing() {
    let server = StubServer::start();
    let dns = client(&server);
    let zone = name(ZONE);
    // Known before the lookups fail.
    dns.ask_infrastructure(&zone, InfrastructureKind::Ns)
        .await
        .unwrap();
    pass(Duration::from_secs(u64::from(TTL) - 5)).await;
    dns.ask_infrastructure(&zone, InfrastructureKind::Ns)
        .await
        .unwrap();
    dns.answers.remove(|key| key.kind == RecordType::A);
    server.fail(Some(RecordType::A));
    let servers = dns.servers(&zone).await.unwrap();
    assert_eq!(servers[0].addresses, []);
    let error = dns.ask_server(&servers[0], &zone, RecordType::SOA).await;
    assert!(matches!(error, Err(ServerError::Lookup(_))), "{error:?}");
    server.fail(None);
    let answer = dns.ask_server(&servers[0], &zone, RecordType::SOA).await;
    assert!(answer.unwrap().is_apex());
    let servers = dns.servers(&zone).await.unwrap();
    assert_eq!(servers[0].addresses, [server.address]);
}

#[tokio::test]
async fn a_resolver_that_hangs_costs_its_head_start() {
    let server = StubServer::start();
    let silent = StubServer::silent_beside(&server);
    let dns = server.client(&[silent.address, server.address], LONG);
    let began = Instant::now();
    assert_eq!(dns.servers(&name(ZONE)).await.unwrap().len(), 1);
    assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    // It is asked last from then on.
    let asked = silent.total();
    dns.clear_cache();
    dns.servers(&name(ZONE)).await.unwrap();
    assert_eq!(silent.total(), asked);
}

#[tokio::test]
async fn a_dead_resolver_costs_its_time_limit_once_whatever_the_others_answer() {
    let server = StubServer::start();
    let silent = StubServer::silent_beside(&server);
    let limit = Duration::from_secs(2);
    let dns = server.client(&[silent.address, server.address], limit);
    server.fail(Some(RecordType::NS));
    let began = Instant::now();
    let zone = name(ZONE);
    let ask = || dns.resolve(&zone, ResolverKind::Ns);
    for _ in 0..3 {
        assert!(ask().await.is_err());
    }
    let took = began.elapsed();
    assert!(took >= limit && took < limit * 2, "{took:?}");
    // Once it answers, it is used.
    silent.set_silent(false);
    assert_eq!(ask().await.unwrap().value.server, silent.address);
}

#[tokio::test]
async fn a_port_that_refuses_queries_is_not_waited_for() {
    let server = StubServer::start();
    // Nothing else binds this address and port.
    let refusing = SocketAddr::from(([127, 0, 0, 3], server.address.port()));
    let began = Instant::now();
    let dns = server.client(&[refusing], LONG);
    let error = dns.servers(&name(ZONE)).await.unwrap_err().to_string();
    assert!(error.contains("connection refused"), "{error}");
    let dns = server.client(&[refusing, server.address], LONG);
    assert_eq!(dns.servers(&name(ZONE)).await.unwrap().len(), 1);
    assert!(began.elapsed() < dns.head_start(), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_address_of_an_authoritative_server_that_hangs_costs_its_head_start() {
    let server = StubServer::start();
    server.set_addresses(&[[127, 0, 0, 2], [127, 0, 0, 1]]);
    let silent = StubServer::silent_beside(&server);
    let dns = client(&server);
    let began = Instant::now();
    let answer = dns.ask(&name(CHALLENGE_NAME), RecordType::CNAME).await;
    assert!(answer.unwrap().cname().is_some());
    assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    assert!(silent.total() > 0, "it comes first");
}

#[tokio::test]
async fn the_check_of_one_server_tries_all_its_addresses_within_its_time_limit() {
    let server = StubServer::start();
    let silent = StubServer::silent_beside(&server);
    let dns = client(&server);
    let with_both = Server {
        addresses: vec![silent.address, server.address],
        ..Server::default()
    };
    let began = Instant::now();
    let alias_name = name(ALIAS_NAME);
    let answer = dns.ask_server(&with_both, &alias_name, RecordType::TXT);
    // As the propagation check does, which has a time limit of its own.
    let answer = tokio::time::timeout(LONG / 2, answer).await.unwrap();
    assert_eq!(answer.unwrap().txt(), ["value"]);
    assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn servers_that_all_hang_take_one_time_limit() {
    let server = StubServer::start();
    let silent = StubServer::silent_beside(&server);
    let dns = server.client(&[], Duration::from_secs(1));
    let with_both = Server {
        addresses: vec![silent.address, silent.address],
        ..Server::default()
    };
    let began = Instant::now();
    let zone = name(ZONE);
    let answer = dns.ask_server(&with_both, &zone, RecordType::SOA);
    let Err(ServerError::NoAnswer(attempts)) = answer.await else {
        panic!("an answer from a server that is silent");
    };
    assert_eq!(attempts.len(), 2);
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn queries_are_counted_by_type() {
    let server = StubServer::start();
    let dns = client(&server);
    dns.ask(&name(CHALLENGE_NAME), RecordType::TXT)
        .await
        .unwrap();
    let queries = dns.queries();
    assert_eq!(queries.get("TXT"), Some(&1));
    assert_eq!(queries.values().sum::<u64>(), server.total() as u64);
}

#[tokio::test]
async fn servers_at_one_address_are_asked_once_for_the_check_of_a_name() {
    let server = StubServer::start();
    let dns = client(&server);
    let zone = name(ZONE);
    let servers = (0..20).map(|n| Server {
        name: Some(name(&format!("ns{n}.example.com"))),
        addresses: vec![server.address],
        ..Server::default()
    });
    let servers: Vec<_> = servers.collect();
    let asked = servers
        .iter()
        .map(|server| dns.ask_server(server, &zone, RecordType::SOA));
    let answers = dns.name_limits().scope(join_all(asked)).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(server.count(RecordType::SOA), 1);
}

#[tokio::test]
async fn of_thousands_of_servers_sixteen_are_looked_up_those_with_glue_first() {
    let server = StubServer::start();
    let dns = client(&server);
    let names = (0..3_000).map(|n| {
        let glue = (n % 1_000 == 999).then(|| [192, 0, 2, 1].into());
        (
            name(&format!("n{n}.example.com")),
            glue.into_iter().collect(),
        )
    });
    let servers = dns.servers_of(&name(ZONE), names).await.value;
    let first: Vec<_> = servers
        .iter()
        .take(4)
        .map(|server| server.name.as_ref().unwrap().to_string())
        .collect();
    let expected = ["n999", "n1999", "n2999", "n0"].map(|host| format!("{host}.example.com"));
    assert_eq!((servers.len(), first), (16, expected.to_vec()));
    assert_eq!(server.total(), 32);
}

#[test]
fn special_addresses_in_zones_are_refused_unless_they_are_allowed_or_configured() {
    let addresses = ["127.0.0.1", "10.0.0.1", "9.9.9.9"].map(|text| text.parse().unwrap());
    let usable = |config: Config| {
        let found = Dns::new(config).usable(addresses);
        let refused = found.refused.map(|(address, _)| address);
        (found.usable, refused)
    };
    let at = |numbers: &[usize]| {
        let addresses = numbers.iter().map(|number| addresses[*number]);
        let sockets = addresses.map(|address| SocketAddr::new(address, 53));
        sockets.collect::<Vec<_>>()
    };
    let default = Config::default;
    assert_eq!(usable(default()), (at(&[1, 2]), Some(addresses[0])));
    let public_only = Config {
        allow_private_addresses: false,
        ..default()
    };
    assert_eq!(usable(public_only), (at(&[2]), Some(addresses[0])));
    let all = Config {
        allow_special_addresses: true,
        ..default()
    };
    assert_eq!(usable(all), (at(&[0, 1, 2]), None));
    let configured = Config {
        zones: vec![ZoneServers {
            zone: name(ZONE),
            servers: at(&[0]),
        }],
        ..default()
    };
    assert_eq!(usable(configured), (at(&[0, 1, 2]), None));
}
