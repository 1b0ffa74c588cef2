//! Hostile zones among good ones: every good certificate is obtained in time, and nobody is flooded.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use acme_alias_tests::{
    ALIAS_ZONE, HostileAnswer, HostileServer, Outcome, QueryProxy, Result, Settings, SilentServers,
    SimulatedCa, TestBed, Validation, referral,
};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, CAA, CNAME, NS, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Good certificates beside the hostile ones.
pub(super) const GOOD: usize = 20;
/// The zone of an attacker.
pub(super) const HOSTILE: &str = "hostile.example";
/// Packets for one name: its queries, and what is sent again of sixteen queries under way.
const PACKETS_PER_NAME: usize = 120 + 16 * 2;
/// What a run with good certificates alone takes at most, on a slow machine.
pub(super) const GOOD_TIME: Duration = Duration::from_secs(15);
pub(super) const TTL: u32 = 600;

/// Hostile certificates whose servers are slow.
const SLOW: usize = 80;
/// The most octets of output for each certificate.
const SAID_MAX: usize = 3 * 1024;

pub(super) fn name(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).unwrap_or_default()
}

/// The id of the certificate for a domain.
fn id_of(host: &str) -> String {
    host.replace('.', "-")
}

/// What was said about a domain or its certificate, without what was said about thousands of others.
fn paragraphs_about(host: &str, outcome: &Outcome) -> String {
    let said = format!("{}\n{}", outcome.stdout, outcome.stderr);
    let lines: Vec<_> = said.lines().collect();
    let is_about = |line: &str| line.contains(host) || line.contains(&id_of(host));
    let about = lines.chunk_by(|_, next| next.starts_with(' '));
    let about = about.filter(|lines| lines.iter().any(|line| is_about(line)));
    let about: Vec<_> = about.map(|lines| lines.join("\n")).collect();
    format!("{host} was harmed:\n{}", about.join("\n"))
}

/// A bed with good certificates, and a CA that is not the bottleneck.
pub(super) struct Neighbours {
    pub(super) bed: TestBed,
    pub(super) ca: SimulatedCa,
    pub(super) good: Vec<String>,
}

impl Neighbours {
    pub(super) fn start() -> Result<Neighbours> {
        Neighbours::many(GOOD)
    }

    pub(super) fn many(good: usize) -> Result<Neighbours> {
        let good = (0..good).map(|n| format!("good{n}.example.com"));
        let good: Vec<_> = good.collect();
        Ok(Neighbours {
            bed: TestBed::builder().delegate_apart(&good).start()?,
            ca: SimulatedCa::start(Validation::Trust)?,
            good,
        })
    }

    /// Settings with the good certificates and those for these hostile domains, whose zone has this server.
    pub(super) fn settings(&self, hostile: &[String], server: SocketAddr) -> Settings {
        let mut settings = self.bed.settings_with(&self.ca);
        settings.zones.push((HOSTILE.to_owned(), vec![server]));
        // In the order of their names, the hostile ones come first.
        settings.certificates(hostile).certificates(&self.good)
    }

    /// Checks and renews with few file descriptors and little memory. All good certificates are obtained in time.
    #[track_caller]
    pub(super) fn assert_unharmed(
        &self,
        settings: &Settings,
        limit: Duration,
    ) -> Result<[Outcome; 2]> {
        let program = self.bed.program(settings.clone())?;
        let program = program
            .before("ulimit -n 1024 && ulimit -d 262144")
            .limit(2 * limit);
        let check = program.run(&["check"])?;
        let rows = check
            .stdout
            .lines()
            .filter_map(|line| line.strip_prefix("good "));
        let found = rows.filter_map(|row| row.split_whitespace().next());
        let found: BTreeSet<_> = found.collect();
        for host in &self.good {
            let is_good = found.contains(host.as_str());
            assert!(is_good, "{}", paragraphs_about(host, &check));
        }
        let renew = program.run(&["renew"])?;
        let failed = |host: &&String| renew.stderr.contains(&format!("{}: failed", id_of(host)));
        let first = self.good.iter().find(failed);
        let first = first.map(|host| paragraphs_about(host, &renew));
        assert_eq!((self.ca.certificates(), first), (self.good.len(), None));
        for outcome in [&check, &renew] {
            assert!(outcome.usage.wall < limit, "{outcome}");
            let said = outcome.stdout.len() + outcome.stderr.len();
            let certificates = settings.more.matches("domains = ").count();
            assert!(said < SAID_MAX * certificates, "{said} octets: {outcome}");
            assert!(
                !outcome.to_string().contains("Too many open files"),
                "{outcome}"
            );
        }
        Ok([check, renew])
    }

    /// A resolver that answers like that of the bed, and otherwise by `addresses` about names below `victim`;
    /// with the number of such queries.
    pub(super) fn resolver(
        &self,
        addresses: impl Fn(&Name) -> Option<A> + Send + 'static,
    ) -> Result<(QueryProxy, Arc<AtomicUsize>)> {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let victim = name("victim");
        let proxy = QueryProxy::start(self.bed.resolver(), move |question, mut answer| {
            let Some(query) = question.queries.first() else {
                return Vec::new();
            };
            if victim.zone_of(query.name()) {
                counted.fetch_add(1, Ordering::Relaxed);
                let address = addresses(query.name());
                answer.metadata.response_code = match address {
                    Some(_) => ResponseCode::NoError,
                    None => ResponseCode::ServFail,
                };
                let address = address.filter(|_| query.query_type() == RecordType::A);
                answer.answers = address
                    .map(|a| Record::from_rdata(query.name().clone(), TTL, RData::A(a)))
                    .into_iter()
                    .collect();
            }
            vec![answer]
        })?;
        Ok((proxy, count))
    }
}

pub(super) fn with(
    mut answer: Message,
    owner: &Name,
    data: impl IntoIterator<Item = RData>,
) -> HostileAnswer {
    let records = data.into_iter();
    answer.answers = records
        .map(|data| Record::from_rdata(owner.clone(), TTL, data))
        .collect();
    HostileAnswer::Now(answer)
}

pub(super) fn soa(zone: &Name) -> RData {
    RData::SOA(SOA::new(zone.clone(), zone.clone(), 1, 1, 1, 1, 60))
}

/// The answer that there are no such records in `zone`.
pub(super) fn none(mut answer: Message, zone: &Name) -> HostileAnswer {
    answer.authorities = vec![Record::from_rdata(zone.clone(), TTL, soa(zone))];
    HostileAnswer::Now(answer)
}

/// Names of servers below `victim`.
pub(super) fn victims(count: usize) -> impl Iterator<Item = Name> {
    (0..count).map(|n| name(&format!("n{n}.victim")))
}

#[test]
fn a_zone_with_three_thousand_name_servers_makes_nobody_flood_a_victim() -> Result {
    let neighbours = Neighbours::start()?;
    let server = HostileServer::start(|asked, _, answer| {
        let (zone, below) = (name(HOSTILE), name(&format!("www.{HOSTILE}")));
        if below.zone_of(asked) {
            let servers = victims(3_000).map(|server| (server, None));
            return HostileAnswer::Now(referral(answer, &below, servers));
        }
        none(answer, &zone)
    })?;
    let (resolver, asked) = neighbours.resolver(|_| None)?;
    let mut settings = neighbours.settings(&[format!("www.{HOSTILE}")], server.address());
    settings.resolver = resolver.address();
    let [check, _] = neighbours.assert_unharmed(&settings, GOOD_TIME)?;
    for expected in ["stopped after 120 queries", "by one CNAME"] {
        assert!(check.stdout.contains(expected), "{expected}: {check}");
    }
    // In two runs.
    let sent = asked.load(Ordering::Relaxed) + server.queries();
    println!("{sent} queries");
    assert!(sent <= 2 * PACKETS_PER_NAME, "{sent}");
    let program = neighbours.bed.program(settings)?;
    let outcome = program.run(&["check", "good0.example.com", "-vv"])?;
    let mut lines = outcome.stderr.lines();
    let metrics = lines.find(|line| line.contains("delegation checked"));
    println!("{}", metrics.unwrap_or_default());
    assert!(
        metrics.is_some_and(|line| line.contains("queries=")),
        "{outcome}"
    );
    Ok(())
}

#[test]
fn a_long_way_through_large_zones_makes_nobody_flood_addresses() -> Result {
    const HOPS: usize = 15;
    let neighbours = Neighbours::start()?;
    let silent = SilentServers::start(500)?;
    let server = HostileServer::start(|asked, kind, answer| {
        let zone = (0..=HOPS).map(|n| name(&format!("h{n}.{HOSTILE}")));
        let Some((hop, zone)) = zone.enumerate().find(|(_, zone)| zone.zone_of(asked)) else {
            return none(answer, &name(HOSTILE));
        };
        if *asked == zone {
            return match kind {
                RecordType::SOA => with(answer, asked, [soa(&zone)]),
                RecordType::NS => with(answer, asked, victims(500).map(|ns| RData::NS(NS(ns)))),
                _ => none(answer, &zone),
            };
        }
        let is_hop = asked.num_labels() == zone.num_labels() + 1;
        if is_hop && matches!(kind, RecordType::TXT | RecordType::CNAME) {
            let next = name(&format!("_acme-challenge.h{}.{HOSTILE}", hop + 1));
            return with(answer, asked, [RData::CNAME(CNAME(next))]);
        }
        none(answer, &zone)
    })?;
    let addresses = silent.addresses();
    let (resolver, asked) = neighbours.resolver(move |server| {
        let label = server.to_ascii();
        let number = label.trim_start_matches('n').split('.').next()?;
        let address = addresses.get(number.parse::<usize>().ok()?)?;
        Some(A(*address))
    })?;
    let mut settings = neighbours.settings(&[format!("h0.{HOSTILE}")], server.address());
    settings.resolver = resolver.address();
    settings.dns = "allow-special-addresses = true".to_owned();
    neighbours.assert_unharmed(&settings, GOOD_TIME)?;
    let (packets, lookups) = (silent.packets(), asked.load(Ordering::Relaxed));
    let sent = packets + lookups + server.queries();
    println!("{packets} packets, {lookups} lookups, {sent} in all");
    assert!(sent <= 2 * PACKETS_PER_NAME, "{sent}");
    Ok(())
}

/// A zone below that of the attacker, with three hundred servers at addresses that never answer.
fn dead_zone(silent: &SilentServers) -> Result<HostileServer> {
    zone_served_at(silent.addresses())
}

/// A zone below that of the attacker, with servers at these addresses.
fn zone_served_at(addresses: Vec<Ipv4Addr>) -> Result<HostileServer> {
    HostileServer::start(move |asked, _, answer| {
        let (zone, below) = (name(HOSTILE), name(&format!("www.{HOSTILE}")));
        if !below.zone_of(asked) {
            return none(answer, &zone);
        }
        let servers = addresses.iter().enumerate();
        let servers = servers.map(|(n, address)| (name(&format!("n{n}.www.{HOSTILE}")), *address));
        let servers = servers.map(|(name, address)| (name, Some(address)));
        HostileAnswer::Now(referral(answer, &below, servers))
    })
}

#[test]
fn a_zone_of_three_hundred_dead_servers_is_given_up_within_seconds() -> Result {
    let neighbours = Neighbours::start()?;
    let silent = SilentServers::start(300)?;
    let server = dead_zone(&silent)?;
    let mut settings = neighbours.settings(&[format!("www.{HOSTILE}")], server.address());
    settings.dns = "allow-special-addresses = true".to_owned();
    neighbours.assert_unharmed(&settings, GOOD_TIME)?;
    let packets = silent.packets();
    println!("{packets} packets");
    assert!(packets <= 2 * PACKETS_PER_NAME, "{packets}");
    Ok(())
}

#[test]
fn addresses_of_this_machine_in_a_zone_are_not_queried() -> Result {
    let neighbours = Neighbours::start()?;
    let silent = SilentServers::start(300)?;
    let server = dead_zone(&silent)?;
    let settings = neighbours.settings(&[format!("www.{HOSTILE}")], server.address());
    let outcomes = neighbours.assert_unharmed(&settings, GOOD_TIME)?;
    for outcome in outcomes {
        assert!(
            outcome.to_string().contains("which is loopback"),
            "{outcome}"
        );
    }
    assert_eq!(silent.packets(), 0);
    Ok(())
}

#[test]
fn private_addresses_in_a_zone_can_be_refused() -> Result {
    let neighbours = Neighbours::start()?;
    let addresses = (1..=200).map(|number| Ipv4Addr::new(10, 255, 255, number));
    let server = zone_served_at(addresses.collect())?;
    let mut settings = neighbours.settings(&[format!("www.{HOSTILE}")], server.address());
    settings.dns = "allow-private-addresses = false".to_owned();
    for outcome in neighbours.assert_unharmed(&settings, GOOD_TIME)? {
        assert!(
            outcome.to_string().contains("which is private"),
            "{outcome}"
        );
    }
    Ok(())
}

/// A server that leads from one name to the next, each time just before it is given up.
pub(super) fn slow_server() -> Result<HostileServer> {
    HostileServer::start(|asked, kind, mut answer| {
        if matches!(kind, RecordType::TXT | RecordType::CNAME) {
            let target = asked.prepend_label("a").unwrap_or_default();
            let record = Record::from_rdata(asked.clone(), TTL, RData::CNAME(CNAME(target)));
            answer.answers = vec![record];
        }
        HostileAnswer::Late(Duration::from_millis(900), answer)
    })
}

#[test]
fn many_slow_zones_delay_no_rehearsal() -> Result {
    let neighbours = Neighbours::start()?;
    let server = slow_server()?;
    let hostile: Vec<_> = (0..SLOW).map(|n| format!("a{n}.{HOSTILE}")).collect();
    let settings = neighbours.settings(&hostile, server.address());
    let program = neighbours.bed.program(settings)?;
    let outcome = program.run(&["renew", "--dry-run", "--output", "json"])?;
    let rehearsed = outcome.json()?["dry_run"].as_array().map(Vec::len);
    assert_eq!(rehearsed, Some(GOOD), "{outcome}");
    assert!(outcome.usage.wall < 2 * GOOD_TIME, "{outcome}");
    Ok(())
}

#[test]
fn many_slow_zones_delay_no_good_certificate() -> Result {
    let neighbours = Neighbours::start()?;
    let server = slow_server()?;
    let hostile: Vec<_> = (0..SLOW).map(|n| format!("a{n}.{HOSTILE}")).collect();
    let settings = neighbours.settings(&hostile, server.address());
    let begun = Instant::now();
    let running = neighbours.bed.program(settings)?.spawn(&["renew"])?;
    while neighbours.ca.certificates() < GOOD && begun.elapsed() < 4 * GOOD_TIME {
        // Nothing tells when the CA has issued.
        std::thread::sleep(Duration::from_millis(50));
    }
    let good = begun.elapsed();
    let outcome = running.wait()?;
    println!("good {good:?}, all {:?}", outcome.usage.wall);
    assert_eq!(neighbours.ca.certificates(), GOOD, "{outcome}");
    assert!(good < GOOD_TIME, "{good:?}: {outcome}");
    assert!(outcome.usage.wall < 3 * GOOD_TIME, "{outcome}");
    Ok(())
}

#[test]
fn many_names_that_want_all_sockets_delay_no_good_certificate() -> Result {
    const NAMES: usize = 100;
    let neighbours = Neighbours::start()?;
    // CAA records are looked up at each of the many names above, all at once, and lead on.
    let server = HostileServer::start(|asked, kind, answer| {
        let zone = name(HOSTILE);
        let answer = match kind {
            RecordType::TXT | RecordType::CNAME | RecordType::CAA if *asked != zone => {
                let target = asked.prepend_label("a").unwrap_or_default();
                with(answer, asked, [RData::CNAME(CNAME(target))])
            }
            _ => none(answer, &zone),
        };
        match answer {
            HostileAnswer::Now(answer) => HostileAnswer::Late(Duration::from_millis(900), answer),
            other => other,
        }
    })?;
    let labels: Vec<_> = (0..16).map(|n| n.to_string()).collect();
    let labels = labels.join(".");
    let hostile = |id| (0..NAMES).map(move |n| (id, n));
    let mut settings = neighbours.settings(&[], server.address());
    // Some come before the good ones, and some after them.
    for (id, n) in hostile("a").chain(hostile("z")) {
        let domains = format!("domains = [\"{labels}.{id}{n}.{HOSTILE}\"]");
        settings = settings.certificate(&format!("{id}{n}"), &domains);
    }
    let program = neighbours.bed.program(settings)?;
    let program = program.before("ulimit -n 512; export ACME_ALIAS_ACME__CAA_ISSUER=ca.example");
    let outcome = program.run(&["renew"])?;
    println!("{:?}", outcome.usage);
    assert_eq!(neighbours.ca.certificates(), GOOD, "{outcome}");
    assert!(outcome.usage.wall < 4 * GOOD_TIME, "{outcome}");
    Ok(())
}

#[test]
fn cnames_to_names_of_others_harm_nobody() -> Result {
    let neighbours = Neighbours::start()?;
    // The apex, a name server, the alias name of another customer, his challenge name, and what is no name.
    let targets = [
        ("apex", ALIAS_ZONE.to_owned()),
        ("server", format!("ns1.{ALIAS_ZONE}")),
        ("other", format!("GOOD0.example.com.{ALIAS_ZONE}")),
        ("main", "_acme-challenge.good1.example.com".to_owned()),
        ("wildcard", format!("*.{ALIAS_ZONE}")),
        ("shell", format!("a$(id).{ALIAS_ZONE}")),
        ("dot", format!("a\\.b.{ALIAS_ZONE}")),
        ("itself", format!("_acme-challenge.itself.{HOSTILE}")),
    ];
    let hosts = targets.clone().map(|(host, _)| format!("{host}.{HOSTILE}"));
    let server = HostileServer::start(move |asked, kind, answer| {
        let is_asked = |host: &str| *asked == name(&format!("_acme-challenge.{host}.{HOSTILE}"));
        let target = targets.iter().find(|(host, _)| is_asked(host));
        match (target, kind) {
            (Some((_, target)), RecordType::TXT | RecordType::CNAME) => {
                with(answer, asked, [RData::CNAME(CNAME(name(target)))])
            }
            (_, RecordType::SOA) if *asked == name(HOSTILE) => with(answer, asked, [soa(asked)]),
            _ => none(answer, &name(HOSTILE)),
        }
    })?;
    let settings = neighbours.settings(&hosts, server.address());
    let outcome = neighbours.bed.program(settings)?.run(&["renew"])?;
    for host in &neighbours.good {
        assert!(outcome.stdout.contains(&format!(": {host}\n")), "{outcome}");
    }
    assert!(!outcome.stderr.contains("$("), "{outcome}");
    neighbours.bed.assert_only_txt_was_touched(&[])
}

#[test]
fn answers_of_64_kilobytes_are_shown_in_short() -> Result {
    let neighbours = Neighbours::start()?;
    let host = format!("www.{HOSTILE}");
    let challenge_name = name(&format!("_acme-challenge.{host}"));
    let server = HostileServer::start(move |asked, kind, answer| match kind {
        // Whatever it is asked for.
        RecordType::TXT | RecordType::CNAME if *asked == challenge_name => {
            let values = (0..4_000).map(|n| RData::TXT(TXT::new(vec![format!("{n:03x}")])));
            with(answer, asked, values)
        }
        RecordType::CAA => {
            let issuers = (0..2_000).map(|n| Some(name(&format!("ca{n}"))));
            let records = issuers.map(|issuer| RData::CAA(CAA::new_issue(false, issuer, vec![])));
            with(answer, asked, records)
        }
        RecordType::SOA if *asked == name(HOSTILE) => with(answer, asked, [soa(asked)]),
        _ => none(answer, &name(HOSTILE)),
    })?;
    let settings = neighbours.settings(std::slice::from_ref(&host), server.address());
    neighbours.assert_unharmed(&settings, GOOD_TIME)?;
    let program = neighbours.bed.program(settings)?;
    let check = ["check", &host, "--caa-issuer", "ca.example"];
    for arguments in [&check[..], &[&check[..], &["--output", "json"]].concat()] {
        let outcome = program.run(arguments)?;
        println!("{} octets", outcome.stdout.len());
        assert!(outcome.stdout.len() < 8 * 1024, "{outcome}");
        let words: Vec<_> = outcome.stdout.split_whitespace().collect();
        for expected in ["002", "3,997 more", "ca2", "1,997 more"] {
            assert!(words.join(" ").contains(expected), "{expected}: {outcome}");
        }
    }
    Ok(())
}
