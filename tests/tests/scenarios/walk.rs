//! The walk along real zones, found by their NS sets.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail as they do")]

use std::time::Duration;

use acme_alias_core::delegation::{
    CaaIdentity, CnameChain, DelegationCheck, DelegationChecker, End, Expectation, FindingKind,
    HOPS_MAX,
};
use acme_alias_core::dns::{Config, Dns, DnsError, ZoneServers};
use acme_alias_core::name::DnsName;
use acme_alias_core::name::Identifier;
use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Fault, QueryProxy, Result, SilentServer, TestBed};
use hickory_proto::rr::{RData, RecordType};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

/// Starts at the bed's resolver; all servers found through an NS set listen where `port` does.
fn dns(bed: &TestBed, port: SocketAddr, zones: &[(&str, SocketAddr)]) -> Dns {
    Dns::new(Config {
        resolvers: vec![bed.resolver()],
        timeout: Duration::from_secs(2),
        zones: zones
            .iter()
            .map(|(zone, server)| ZoneServers {
                zone: name(zone),
                servers: vec![*server],
            })
            .collect(),
        port: port.port(),
        allow_special_addresses: true,
        ..Config::default()
    })
}

#[tokio::test]
async fn a_zone_s_servers_are_found_by_its_ns_set_and_asked_for_the_cname() -> Result {
    let bed = TestBed::start()?;
    let dns = dns(&bed, bed.main_server(), &[(ALIAS_ZONE, bed.primary())]);
    let chain = CnameChain::follow(&dns, &name("_acme-challenge.example.com")).await;
    assert_eq!(chain.last(), &name(ALIAS_NAME));
    assert_eq!(chain.hops.len(), 1);
    assert_eq!(chain.hops[0].server, bed.main_server().to_string());
    assert_eq!(chain.hops[0].ttl, 600);
    assert_eq!(chain.hops[0].wildcard, None);
    assert!(matches!(&chain.end, End::At { server, .. } if *server == bed.primary().to_string()));
    Ok(())
}

#[tokio::test]
async fn the_alias_zone_and_its_servers_are_found_by_soa_and_ns_set() -> Result {
    let bed = TestBed::start()?;
    let dns = dns(&bed, bed.primary(), &[]);
    assert_eq!(dns.apex(&name(ALIAS_NAME)).await.unwrap(), name(ALIAS_ZONE));
    let servers = dns.servers(&name(ALIAS_ZONE)).await.unwrap();
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0].name, Some(name("ns1.auth.example.net")));
    assert_eq!(servers[0].addresses, [bed.primary()]);
    Ok(())
}

#[tokio::test]
async fn a_primary_that_is_no_name_server_is_found_by_the_soa_record() -> Result {
    let bed = TestBed::builder()
        .alias_record("hidden.auth.example.net", "A 127.0.0.1")
        .start()?;
    let hiding = QueryProxy::start(bed.primary(), |_, mut answer| {
        for record in &mut answer.answers {
            if let RData::SOA(soa) = &mut record.data {
                soa.mname = "hidden.auth.example.net.".parse().unwrap();
            }
        }
        vec![answer]
    })?;
    let found = dns(&bed, hiding.address(), &[]);
    let zone = found.apex(&name(ALIAS_NAME)).await.unwrap();
    let servers = found.servers_and_primary(&zone).await.unwrap();
    let names: Vec<_> = servers.into_iter().map(|server| server.name).collect();
    let expected = ["ns1.auth.example.net", "hidden.auth.example.net"];
    assert_eq!(names, expected.map(|server| Some(name(server))));
    // Where the settings say whom to ask, nobody else is.
    let told = dns(&bed, hiding.address(), &[(ALIAS_ZONE, hiding.address())]);
    assert_eq!(told.servers_and_primary(&zone).await.unwrap().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_server_without_authority_is_named_with_its_answer() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .faulty_server(Fault::Refusing)
        .start()?;
    // The servers of the alias zone are looked for where the zone above it is served, and where no zone is.
    for (elsewhere, answer) in [
        (bed.main_server(), "not authoritative"),
        (bed.faulty_servers()[0], "REFUSED"),
    ] {
        let dns = dns(&bed, elsewhere, &[("example.com", bed.main_server())]);
        let chain = CnameChain::follow(&dns, &name("_acme-challenge.example.com")).await;
        let End::Unanswered(DnsError::Unanswered { zone, attempts, .. }) = chain.end else {
            panic!("{chain:?}");
        };
        assert_eq!(zone, name(ALIAS_ZONE));
        assert!(attempts.contains("ns1.auth.example.net"), "{attempts}");
        assert!(attempts.contains(answer), "{attempts}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wildcard_and_a_loop_and_an_endless_chain_are_seen() -> Result {
    let mut builder = TestBed::builder()
        .record("*.corp.example", &format!("CNAME {ALIAS_NAME}."))
        .cname("_acme-challenge.example.org", "a.example.org")
        .cname("a.example.org", "_acme-challenge.example.org");
    for i in 0..20 {
        builder = builder.cname(
            &format!("c{i}.shop.example"),
            &format!("c{}.shop.example", i + 1),
        );
    }
    let bed = builder.start()?;
    let dns = dns(&bed, bed.main_server(), &[(ALIAS_ZONE, bed.primary())]);
    let chain = CnameChain::follow(&dns, &name("_acme-challenge.www.corp.example")).await;
    assert_eq!(chain.hops[0].wildcard, name("corp.example").child("*").ok());
    let chain = CnameChain::follow(&dns, &name("_acme-challenge.example.org")).await;
    assert_eq!(chain.end, End::Loop(name("_acme-challenge.example.org")));
    let chain = CnameChain::follow(&dns, &name("c0.shop.example")).await;
    assert_eq!((chain.end, chain.hops.len()), (End::TooLong, HOPS_MAX));
    Ok(())
}

#[tokio::test]
async fn without_a_resolver_that_answers_the_error_names_it() -> Result {
    let bed = TestBed::start()?;
    let dead = bed.dead_port()?;
    let dns = Dns::new(Config {
        resolvers: vec![dead.address()],
        timeout: Duration::from_millis(300),
        ..Config::default()
    });
    let error = dns
        .apex(&name("auth.example.net"))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(&dead.address().to_string()), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_dead_server_is_waited_for_once() -> Result {
    let bed = TestBed::start()?;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let dead = QueryProxy::start_raw(bed.main_server(), move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        Vec::new()
    })?;
    let dns = Dns::new(Config {
        resolvers: vec![bed.resolver()],
        timeout: Duration::from_millis(300),
        zones: vec![ZoneServers {
            zone: name("example.com"),
            servers: vec![dead.address(), bed.main_server()],
        }],
        ..Config::default()
    });
    for _ in 0..3 {
        let chain = CnameChain::follow(&dns, &name("_acme-challenge.example.com")).await;
        assert_eq!(chain.hops.len(), 1, "{chain:?}");
    }
    // The TXT records and the wildcard below are asked for at once.
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    Ok(())
}

#[tokio::test]
async fn a_look_at_silent_servers_ends() -> Result {
    let silent = (0..30)
        .map(|_| SilentServer::start())
        .collect::<Result<Vec<_>>>()?;
    let dns = Dns::new(Config {
        timeout: Duration::from_millis(100),
        zones: vec![ZoneServers {
            zone: name("example.com"),
            servers: silent.iter().map(SilentServer::address).collect(),
        }],
        ..Config::default()
    });
    let identifier: Identifier = "example.com".parse().unwrap();
    let expectation = Expectation {
        identifiers: std::slice::from_ref(&identifier),
        alias_name: None,
        alias_zones: &BTreeSet::new(),
        any_zone: true,
    };
    let checker = DelegationChecker::new(Arc::new(dns));
    let check = DelegationCheck::new(identifier.challenge_name(), expectation);
    let found = checker.check(&check).await;
    assert_eq!(found.findings.len(), 1, "{found:?}");
    assert_eq!(found.findings[0].kind, FindingKind::Unanswered);
    assert!(
        found.findings[0].answer.contains("slow or do not answer"),
        "{found:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_walk_keeps_what_it_found_before_the_servers_fell_silent() -> Result {
    let bed = TestBed::start()?;
    let silent = (0..30)
        .map(|_| SilentServer::start())
        .collect::<Result<Vec<_>>>()?;
    let dns = Dns::new(Config {
        timeout: Duration::from_millis(50),
        zones: vec![
            ZoneServers {
                zone: name("example.com"),
                servers: vec![bed.main_server()],
            },
            ZoneServers {
                zone: name(ALIAS_ZONE),
                servers: silent.iter().map(SilentServer::address).collect(),
            },
        ],
        ..Config::default()
    });
    let chain = CnameChain::follow(&dns, &name("_acme-challenge.example.com")).await;
    assert_eq!(chain.hops.len(), 1, "{chain:?}");
    assert!(
        matches!(&chain.end, End::Unanswered(DnsError::TooSlow { name, .. }) if name.as_str() == ALIAS_NAME),
        "{chain:?}"
    );
    let zone = dns.apex(&name(ALIAS_NAME)).await;
    assert!(matches!(zone, Err(DnsError::TooSlow { .. })), "{zone:?}");
    Ok(())
}

#[tokio::test]
async fn a_good_walk_is_kept_when_the_rest_is_too_slow() -> Result {
    let bed = TestBed::start()?;
    // Servers that have nothing to say of CAA, one after the other.
    let slow = (0..30).map(|_| {
        QueryProxy::start(bed.main_server(), |question, answer| {
            let mut queries = question.queries.iter();
            let about_caa = queries.any(|query| query.query_type() == RecordType::CAA);
            if about_caa { Vec::new() } else { vec![answer] }
        })
    });
    let slow = slow.collect::<Result<Vec<_>>>()?;
    let dns = Dns::new(Config {
        timeout: Duration::from_millis(100),
        zones: vec![
            ZoneServers {
                zone: name("example.com"),
                servers: slow.iter().map(QueryProxy::address).collect(),
            },
            ZoneServers {
                zone: name(ALIAS_ZONE),
                servers: vec![bed.primary()],
            },
        ],
        ..Config::default()
    });
    let identifier: Identifier = "example.com".parse().unwrap();
    let expectation = Expectation {
        identifiers: std::slice::from_ref(&identifier),
        alias_name: None,
        alias_zones: &BTreeSet::from([name(ALIAS_ZONE)]),
        any_zone: false,
    };
    let identity = CaaIdentity {
        issuer: "ca.example".to_owned(),
        others: Vec::new(),
        account: None,
    };
    let checker = DelegationChecker::new(Arc::new(dns));
    let check = DelegationCheck {
        caa: Some(&identity),
        ..DelegationCheck::new(identifier.challenge_name(), expectation)
    };
    let found = checker.check(&check).await;
    assert_eq!(found.chain.last().as_str(), ALIAS_NAME, "{found:?}");
    let kinds: Vec<_> = found.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [FindingKind::Incomplete], "{found:?}");
    assert!(!found.has_errors());
    Ok(())
}
