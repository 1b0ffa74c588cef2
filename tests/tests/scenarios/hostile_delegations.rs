//! Zones of others that are delegated to the servers of the alias zone.

use std::fs;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use acme_alias_tests::{
    ALIAS_ZONE, BELOW, HostileAnswer, HostileServer, QueryProxy, Result, Settings, SimulatedCa,
    TestBed, Validation,
};
use hickory_proto::rr::rdata::{A, CNAME, NS};
use hickory_proto::rr::{RData, RecordType};

use super::hostile_answers::renew;
use super::hostile_zones::{HOSTILE, Neighbours, name, none, soa, victims, with};
use super::metrics::{get, serving};

/// A bed with one good certificate. The CA asks the secondary of the alias zone, which has a change seconds later.
fn with_a_slow_transfer() -> Result<Neighbours> {
    let good = vec!["good.example.com".to_owned()];
    let builder = TestBed::builder().delegate_apart(&good);
    let bed = builder.notify_delay(3).start()?;
    let ca = SimulatedCa::start(Validation::At(bed.ca_resolver()))?;
    Ok(Neighbours { bed, ca, good })
}

#[test]
fn a_server_of_the_alias_zone_that_zones_of_others_name_is_waited_for() -> Result {
    const ZONES: usize = 10;
    let neighbours = with_a_slow_transfer()?;
    let secondary = QueryProxy::start_at_dns_port(neighbours.bed.secondary(), |_, answer| {
        // It is farther away than the primary.
        thread::sleep(Duration::from_millis(30));
        vec![answer]
    })?;
    let hostile: Vec<_> = (0..ZONES).map(|n| format!("h{n}.{HOSTILE}")).collect();
    let zones: Vec<_> = hostile.iter().map(|zone| name(zone)).collect();
    let server = HostileServer::start(move |asked, kind, answer| {
        let Some(zone) = zones.iter().find(|zone| zone.zone_of(asked)) else {
            return none(answer, &name(HOSTILE));
        };
        match kind {
            RecordType::SOA if asked == zone => with(answer, asked, [soa(zone)]),
            RecordType::NS if asked == zone => {
                with(answer, asked, victims(1).map(|ns| RData::NS(NS(ns))))
            }
            _ => none(answer, zone),
        }
    })?;
    let address = secondary.address().ip();
    let (resolver, _) = neighbours.resolver(move |_| match address {
        IpAddr::V4(address) => Some(A(address)),
        IpAddr::V6(_) => None,
    })?;
    let mut settings = neighbours.settings(&hostile, server.address());
    settings.resolver = resolver.address();
    settings.dns = "allow-special-addresses = true".to_owned();
    settings.alias_zones[0].servers = vec![neighbours.bed.primary(), secondary.address()];
    let outcome = neighbours.bed.program(settings)?.run(&["renew"])?;
    // It was asked about the zones of others, and does not serve them.
    outcome.assert_said(&[
        "(TXT visible on 2 of 2 name servers)",
        "is named as a server of",
    ]);
    assert_eq!(neighbours.ca.certificates(), 1, "{outcome}");
    neighbours.bed.assert_only_txt_was_touched(&[])
}

#[test]
fn an_alias_name_that_others_let_the_ca_ask_for_before_is_validated() -> Result {
    let hosts: Vec<_> = (0..20).map(|n| format!("h{n}.example.com")).collect();
    let builder = TestBed::builder().delegate_apart(&hosts);
    let bed = builder.ttl(0).negative_ttl(5).start()?;
    let ca = SimulatedCa::start(Validation::At(bed.ca_resolver()))?;
    let program = bed.program(bed.settings_with(&ca).certificates(&hosts))?;
    let ended = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        // Orders of others for names that lead to the alias names do the same.
        let asking = scope.spawn(|| -> Result {
            while !ended.load(Ordering::Relaxed) {
                for host in &hosts {
                    let name = format!("_acme-challenge.{host}");
                    bed.ask(bed.ca_resolver(), &name, "TXT")?;
                }
            }
            Ok(())
        });
        let outcome = program.run(&["renew"]);
        ended.store(true, Ordering::Relaxed);
        let asked = asking.join();
        assert!(matches!(asked, Ok(Ok(()))), "{asked:?}");
        outcome
    })?;
    outcome.assert_success();
    assert_eq!(ca.certificates(), 20, "{outcome}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_zone_that_nobody_serves_keeps_back_no_record_of_others() -> Result {
    let hosts = [format!("www.{HOSTILE}"), "example.com".to_owned()];
    let bed = TestBed::start()?;
    let dead = bed.dead_port()?;
    let mut settings = bed.settings().certificates(&hosts);
    settings
        .zones
        .push((HOSTILE.to_owned(), vec![dead.address()]));
    let program = bed.program(settings)?;
    let all = program.run(&["delegate", "--all", "--challenge-alias", ALIAS_ZONE])?;
    all.assert_failure(3, &[]);
    all.assert_said(&[&format!("_acme-challenge.{}", hosts[0]), "was not found"]);
    all.assert_printed(&["_acme-challenge.example.com. 600 IN CNAME"]);
    // Where customers remove their CNAMEs, and there are two alias zones, nobody knows which one is theirs.
    let server = HostileServer::start(|_, _, answer| none(answer, &name(HOSTILE)))?;
    let mut settings = bed.settings().certificates(&hosts);
    settings
        .zones
        .push((HOSTILE.to_owned(), vec![server.address()]));
    let all = bed.program(settings)?.run(&["delegate", "--all"])?;
    all.assert_failure(3, &[]);
    all.assert_said(&[&format!("_acme-challenge.{} is left out", hosts[0])]);
    all.assert_printed(&["_acme-challenge.example.com. 600 IN CNAME"]);
    Ok(())
}

#[test]
fn a_ca_that_does_not_tell_its_domain_keeps_back_no_caa_record_of_others() -> Result {
    let bed = TestBed::start()?;
    let mut settings = bed
        .settings()
        .certificate("good", "domains = ['example.com']\nca = 'good'")
        .certificate("bad", "domains = ['silent.example.com']");
    settings.more +=
        "[cas.good]\ndirectory = 'https://good.example/dir'\ncaa-issuer = 'good.example'\n";
    let program = bed.program(settings)?;
    let all = [
        "delegate",
        "--all",
        "--caa",
        "--challenge-alias",
        ALIAS_ZONE,
    ];
    let outcome = program.run(&all)?;
    outcome.assert_failure(3, &[]);
    outcome.assert_said(&[
        "the CAA record of silent.example.com is left out",
        "CAA records is unknown",
        "`caa-issuer` of the CA",
    ]);
    outcome.assert_printed(&[
        "example.com. 600 IN CAA 0 issue \"good.example;",
        "_acme-challenge.silent.example.com. 600 IN CNAME",
    ]);
    Ok(())
}

#[test]
fn servers_that_do_not_resolve_in_many_zones_on_the_way_do_not_fill_memory() -> Result {
    const ZONES: usize = 5;
    let server = HostileServer::start(|asked, kind, answer| {
        // `_acme-challenge.a1.hostile.example` leads to `_acme-challenge.z1.a1.hostile.example`, and so on.
        let below = usize::from(asked.num_labels()).saturating_sub(2);
        let text = asked.to_ascii();
        let is_challenge = text.starts_with("_acme-challenge.");
        if matches!(kind, RecordType::TXT | RecordType::CNAME) && is_challenge {
            let mut labels = text.trim_end_matches('.').split('.').skip(1);
            let first = labels.next().unwrap_or_default();
            let (zone, id) = match below {
                2 => (0, first),
                _ => (
                    first[1..].parse().unwrap_or(ZONES),
                    labels.next().unwrap_or_default(),
                ),
            };
            let zone = zone.min(ZONES) + 1;
            let target = format!("_acme-challenge.z{zone}.{id}.{HOSTILE}");
            return with(answer, asked, [RData::CNAME(CNAME(name(&target)))]);
        }
        let zone = if below < 2 {
            asked.trim_to(2)
        } else {
            asked.trim_to(4)
        };
        let answer = match kind {
            RecordType::SOA if *asked == zone => with(answer, asked, [soa(&zone)]),
            RecordType::NS if *asked == zone => with(
                answer,
                asked,
                victims(8).map(|server| RData::NS(NS(server))),
            ),
            _ => none(answer, &zone),
        };
        match answer {
            HostileAnswer::Now(answer) if below >= 2 => {
                HostileAnswer::Late(Duration::from_millis(900), answer)
            }
            other => other,
        }
    })?;
    renew(300, 0, &server).map(drop)
}

#[test]
fn a_hundred_broken_names_of_one_certificate_hide_none_of_another() -> Result {
    let good = "good.example.com";
    let bed = TestBed::builder().delegate(&[good]).start()?;
    let broken: Vec<_> = (0..100).map(|n| format!("a{n}.example.com")).collect();
    let settings = bed.settings().certificates(&[good]);
    let program = bed.program(settings.certificate("a", &format!("domains = {broken:?}")))?;
    program
        .run(&["renew", "good-example-com"])?
        .assert_success();
    let removed = format!("update delete _acme-challenge.{good} CNAME");
    bed.update_main_zones(&format!("zone example.com\n{removed}\nsend\n"))?;
    let port = bed.dead_port()?;
    let listen = format!("[run]\nlisten = '{}'\n", port.address());
    fs::write(program.home().join(BELOW), listen)?;
    let running = serving(&bed, &program, port.address())?;
    let page = get(port.address(), "/")?;
    running.terminate()?;
    let outcome = running.wait()?;
    let finding = format!("_acme-challenge.{good}.: there is no CNAME");
    assert!(page.contains("101 that would fail"), "{page}");
    assert!(page.contains(&finding), "{page}");
    outcome.assert_said(&[&finding]);
    Ok(())
}

#[test]
fn a_name_that_is_too_long_below_the_alias_zone_keeps_back_no_record_of_others() -> Result {
    let label = "a".repeat(60);
    // It has a challenge name, and is too long for an alias name of its own.
    let long = format!("{label}.{label}.{label}.{}.example.com", "b".repeat(42));
    let bed = TestBed::start()?;
    let settings = bed.settings().certificates(&["example.org"]);
    let settings = settings.certificate("long", &format!("domains = [\"{long}\"]"));
    let program = bed.program(settings)?;
    let all = program.run(&["delegate", "--by-domain", "--challenge-alias", ALIAS_ZONE])?;
    all.assert_failure(3, &[]);
    all.assert_said(&[&label, "is left out"]);
    let record = format!("_acme-challenge.example.org. 600 IN CNAME example.org.{ALIAS_ZONE}.");
    all.assert_printed(&[&record]);
    Ok(())
}

/// A bed with the CNAMEs of two customers and one who lists a name of another, with an alias name of his own.
fn with_a_name_of_another(alias_of_victim: &str) -> Result<(TestBed, Settings)> {
    let hosts = [
        "good.example.com",
        "hostile.example.com",
        "victim.example.com",
    ];
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let alias = format!("domain-alias = 'hostile.example.com.{ALIAS_ZONE}'");
    let listed = format!("domains = {:?}\n{alias}", &hosts[1..]);
    let victim = format!("domains = ['victim.example.com']\n{alias_of_victim}");
    let settings = bed.settings().certificates(&hosts[..1]);
    let settings = settings.certificate("hostile", &listed);
    Ok((bed, settings.certificate("victim", &victim)))
}

#[test]
fn an_alias_name_that_another_certificate_has_for_the_same_name_does_not_count() -> Result {
    let (bed, settings) = with_a_name_of_another("")?;
    let program = bed.program(settings)?;
    let outcome = program.run(&["renew"])?;
    assert!(bed.certificate("victim").is_ok(), "{outcome}");
    // Its key keeps the right to write at its alias name.
    let policy = program.run(&["key", "policy"])?;
    policy.assert_printed(&[&format!("victim.example.com.{ALIAS_ZONE}")]);
    Ok(())
}

#[test]
fn the_provider_that_another_certificate_has_for_the_same_name_does_not_count() -> Result {
    let hosts = ["victim.example.com"];
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let mut settings = bed.settings();
    let alias_zone = settings.alias_zones.remove(0);
    settings.zones.push((alias_zone.zone, alias_zone.servers));
    let (own, other) = (alias_zone.provider, settings.alias_zones[0].provider);
    for (id, provider) in [("hostile", other), ("victim", own)] {
        let lines = format!("domains = {hosts:?}\nprovider = '{provider}'");
        settings = settings.certificate(id, &lines);
    }
    let policy = bed.program(settings)?.run(&["key", "policy"])?;
    let key = &bed.key(ALIAS_ZONE)?.name;
    let grant = format!("grant {key} name victim.example.com.{ALIAS_ZONE}. TXT;");
    policy.assert_printed(&[&grant]);
    Ok(())
}

#[test]
fn two_alias_names_for_one_name_keep_no_other_name_from_being_checked() -> Result {
    let alias = format!("domain-alias = 'victim.example.com.{ALIAS_ZONE}'");
    let (bed, settings) = with_a_name_of_another(&alias)?;
    let program = bed.program(settings)?;
    let check = program.run(&["check"])?;
    check.assert_printed(&["good good.example.com", "good victim.example.com"]);
    let configured = format!("hostile.example.com.{ALIAS_ZONE}. is configured");
    check.assert_printed(&[&configured]);
    let policy = program.run(&["key", "policy"])?;
    policy.assert_printed(&[&format!("victim.example.com.{ALIAS_ZONE}")]);
    Ok(())
}

#[test]
fn an_alias_name_in_the_settings_takes_none_from_a_certificate_issued_by_flags() -> Result {
    let bed = TestBed::builder().delegate_apart(&["hostile.example.com"]);
    let bed = bed.always_valid().start()?;
    let victim = format!("victim.example.com.{ALIAS_ZONE}");
    let hostile = format!("hostile.example.com.{ALIAS_ZONE}");
    let issue = ["issue", "victim.example.com", "--domain-alias", &victim];
    let issue = [&issue[..], &["--skip-preflight"]].concat();
    bed.run(&issue)?.assert_success();
    let lines = format!(
        "domains = ['hostile.example.com', 'victim.example.com']\ndomain-alias = '{hostile}'"
    );
    let program = bed.program(bed.settings().certificate("hostile", &lines))?;
    let policy = program.run(&["key", "policy"])?;
    policy.assert_printed(&[&victim, &hostile]);
    let check = program.run(&["check"])?;
    let record = |alias: &str| format!("_acme-challenge.victim.example.com. 600 IN CNAME {alias}.");
    for outcome in [&policy, &check] {
        assert!(!outcome.stderr.contains("cannot be renewed"), "{outcome}");
    }
    // It leads to none of the alias names, and `delegate` does not choose between customers.
    let delegate = program.run(&["delegate"])?;
    delegate.assert_failure(3, &[]);
    delegate.assert_said(&[&victim, "for `victim-example-com`", "for `hostile`"]);
    assert!(!delegate.stdout.contains(&record(&hostile)), "{delegate}");
    let renew = program.run(&["renew", "--force", "victim-example-com"])?;
    renew.assert_success();
    Ok(())
}
