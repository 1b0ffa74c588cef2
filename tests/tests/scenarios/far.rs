//! Servers at a distance: the relays of the bed, and the program behind them.

use std::fs;
use std::time::{Duration, Instant};

use acme_alias_tests::{ALIAS_NAME, BedServer, Protocol, Result, TestBed};

const RTT: Duration = Duration::from_millis(40);
const CNAME: &str = "_acme-challenge.example.com";

#[test]
fn a_query_over_udp_takes_one_round_trip_and_one_over_tcp_takes_two() -> Result {
    let bed = TestBed::start()?;
    let far = bed.far(RTT)?;
    let server = far.address(BedServer::Main);

    let started = Instant::now();
    let answer = bed.ask_over_udp(server, CNAME, "CNAME")?;
    assert!(started.elapsed() >= RTT, "{:?}", started.elapsed());
    assert!(answer[0].contains(ALIAS_NAME), "{answer:?}");

    let started = Instant::now();
    assert_eq!(bed.ask(server, CNAME, "CNAME")?, answer);
    assert!(started.elapsed() >= RTT * 2, "{:?}", started.elapsed());
    Ok(())
}

#[tokio::test]
async fn the_directory_of_the_ca_takes_three_round_trips() -> Result {
    let bed = TestBed::start()?;
    let far = bed.far(RTT)?;
    // An error says that another test has chosen it already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let root = reqwest::Certificate::from_pem(&fs::read(bed.ca_file())?)?;
    let client = reqwest::Client::builder().tls_certs_only([root]).build()?;
    let started = Instant::now();
    let directory = client.get(far.settings().directory).send().await?;
    assert!(directory.status().is_success(), "{directory:?}");
    // TCP, TLS 1.3 and the request.
    assert!(started.elapsed() >= RTT * 3, "{:?}", started.elapsed());
    // The connection is kept.
    let started = Instant::now();
    client.get(far.settings().directory).send().await?;
    let elapsed = started.elapsed();
    assert!(elapsed >= RTT && elapsed < RTT * 3, "{elapsed:?}");
    Ok(())
}

#[test]
fn every_server_in_the_settings_is_far_away_and_the_resolver_of_the_ca_is_not() -> Result {
    let bed = TestBed::start()?;
    let rtt = Duration::from_millis(500);
    let far = bed.far(rtt)?;
    let settings = far.settings();
    let mut addresses = vec![settings.resolver];
    addresses.extend(settings.providers.iter().map(|provider| provider.server));
    addresses.extend(settings.zones.iter().flat_map(|(_, servers)| servers));
    let alias_zones = settings.alias_zones.iter();
    addresses.extend(alias_zones.flat_map(|zone| &zone.servers));
    let near = [bed.main_server(), bed.primary(), bed.secondary()];
    assert!(!addresses.iter().any(|address| near.contains(address)));
    assert!(!settings.directory.contains(&bed.directory()));

    let started = Instant::now();
    assert_eq!(bed.ask(bed.ca_resolver(), CNAME, "CNAME")?.len(), 1);
    assert!(started.elapsed() < rtt, "{:?}", started.elapsed());
    assert_eq!(far.dns_queries(), 0);
    Ok(())
}

#[test]
fn many_queries_at_once_take_one_round_trip_together() -> Result {
    let bed = TestBed::start()?;
    let rtt = Duration::from_secs(1);
    let far = bed.far(rtt)?;
    let server = far.address(BedServer::Primary);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| bed.ask_over_udp(server, ALIAS_NAME, "TXT").map(drop));
        }
    });
    assert_eq!(far.dns_queries(), 50);
    assert!(started.elapsed() < rtt * 3, "{:?}", started.elapsed());
    Ok(())
}

#[test]
fn relays_count_every_request_by_server_name_and_type() -> Result {
    let bed = TestBed::start()?;
    let far = bed.far(Duration::ZERO)?;
    bed.ask_over_udp(far.address(BedServer::Main), CNAME, "CNAME")?;
    let before = far.traffic();
    bed.ask(far.address(BedServer::Primary), ALIAS_NAME, "TXT")?;
    bed.ask(far.address(BedServer::Primary), ALIAS_NAME, "TXT")?;
    // This query does not pass a relay.
    bed.ask(bed.secondary(), ALIAS_NAME, "TXT")?;

    assert_eq!(far.dns_queries(), 3);
    let traffic = far.traffic().since(&before);
    let over_tcp = traffic.count(|request| {
        request.server == BedServer::Primary
            && request.protocol == Protocol::Tcp
            && request.name == ALIAS_NAME
    });
    assert_eq!(over_tcp, 2);
    assert_eq!(traffic.queries_by_type(), [("TXT".to_owned(), 2)].into());
    let volume = traffic.volume(BedServer::Primary);
    assert_eq!(volume.connections, 2);
    assert!(
        volume.sent > 0 && volume.received > volume.sent,
        "{volume:?}"
    );
    assert_eq!(traffic.volume(BedServer::Main).sent, 0);
    Ok(())
}

#[test]
fn one_certificate_waits_for_few_round_trips_and_fifty_names_for_hardly_more() -> Result {
    let hosts: Vec<_> = (1..=50)
        .map(|i| format!("host{i:02}.example.com"))
        .collect();
    // So long that the time of the program itself counts less.
    let rtt = Duration::from_millis(200);
    for (names, round_trips, queries) in [(&hosts[..1], 18, 40), (&hosts[..], 30, 300)] {
        let bed = TestBed::builder().delegate_apart(names).start()?;
        let far = bed.far(rtt)?;
        let lines = format!("domains = {names:?}");
        let program = bed.program(far.settings().certificate("measured", &lines))?;
        // The first run makes the account.
        program.run(&["renew"])?.assert_success();
        // The best of three: on a machine that is busy, servers take longer, and are asked again.
        let mut measured = Vec::new();
        for _ in 0..3 {
            let before = far.traffic();
            let outcome = program.run(&["renew", "--force"])?;
            outcome.assert_success();
            let traffic = far.traffic().since(&before);
            let sent = traffic.queries_by_type();
            let is_good =
                outcome.usage.wall < rtt * round_trips && traffic.dns_queries() <= queries;
            measured.push((is_good, outcome.usage.wall, sent));
            if is_good {
                break;
            }
        }
        let is_good = measured.iter().any(|(is_good, ..)| *is_good);
        assert!(is_good, "{} names: {measured:?}", names.len());
    }
    Ok(())
}

#[test]
fn a_certificate_is_obtained_from_servers_40_ms_away() -> Result {
    let bed = TestBed::start()?;
    let far = bed.far(RTT)?;
    let issue = [
        "issue",
        "example.com",
        "--challenge-alias",
        "auth.example.net",
    ];
    let outcome = bed.program(far.settings())?.run(&issue)?;
    outcome.assert_success();
    assert_eq!(bed.certificate("example-com")?.names, ["example.com"]);
    // Directory, order, update, validation and download cannot happen at once.
    assert!(outcome.usage.wall > RTT * 5, "{:?}", outcome.usage);
    let traffic = far.traffic();
    for server in [BedServer::Main, BedServer::Primary, BedServer::Secondary] {
        assert!(traffic.volume(server).sent > 0, "{server:?}");
    }
    assert!(traffic.volume(BedServer::Ca).connections > 0);
    assert_eq!(traffic.updates(BedServer::Primary), 2, "{traffic:?}");
    // The read before the order, both updates, and what is read back.
    assert_eq!(traffic.volume(BedServer::Primary).connections, 1);
    assert!(traffic.dns_queries() <= 40, "{traffic:?}");
    bed.assert_only_txt_was_touched(&[])
}
