//! The walk along real zones, found by their NS sets.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail as they do")]

use std::time::Duration;

use acme_alias_core::delegation::{End, HOPS_MAX, Walk};
use acme_alias_core::dns::{Config, Dns, DnsError, ZoneServers};
use acme_alias_core::name::DnsName;
use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Result, TestBed};
use std::net::SocketAddr;

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
        ..Config::default()
    })
}

#[tokio::test]
async fn a_zone_s_servers_are_found_by_its_ns_set_and_asked_for_the_cname() -> Result {
    let bed = TestBed::start()?;
    let dns = dns(&bed, bed.main_server(), &[(ALIAS_ZONE, bed.primary())]);
    let walk = Walk::follow(&dns, &name("_acme-challenge.example.com")).await;
    assert_eq!(walk.last(), &name(ALIAS_NAME));
    assert_eq!(walk.hops.len(), 1);
    assert_eq!(walk.hops[0].server, bed.main_server().to_string());
    assert_eq!(walk.hops[0].ttl, 600);
    assert_eq!(walk.hops[0].wildcard, None);
    assert!(matches!(&walk.end, End::At { server, .. } if *server == bed.primary().to_string()));
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
async fn a_server_without_authority_is_named_with_its_answer() -> Result {
    let bed = TestBed::start()?;
    // The servers of the alias zone are looked for where the main zones are served.
    let dns = dns(&bed, bed.main_server(), &[]);
    let walk = Walk::follow(&dns, &name("_acme-challenge.example.com")).await;
    let End::Unanswered(DnsError::Unanswered { zone, attempts, .. }) = walk.end else {
        panic!("{walk:?}");
    };
    assert_eq!(zone, name(ALIAS_ZONE));
    assert!(attempts.contains("ns1.auth.example.net"), "{attempts}");
    assert!(attempts.contains("REFUSED"), "{attempts}");
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
    let walk = Walk::follow(&dns, &name("_acme-challenge.www.corp.example")).await;
    assert_eq!(walk.hops[0].wildcard, name("corp.example").child("*").ok());
    let walk = Walk::follow(&dns, &name("_acme-challenge.example.org")).await;
    assert_eq!(walk.end, End::Loop(name("_acme-challenge.example.org")));
    let walk = Walk::follow(&dns, &name("c0.shop.example")).await;
    assert_eq!((walk.end, walk.hops.len()), (End::TooLong, HOPS_MAX));
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
