//! Certificates of a customer with many names, beside good ones.

use std::time::{Duration, Instant};

use acme_alias_tests::{
    ALIAS_ZONE, Builder, HostileServer, Result, Settings, SimulatedCa, Spoilt, TestBed, Validation,
};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{RData, RecordType};

use super::hostile_ca::orders;
use super::hostile_orders::refusing;
use super::hostile_zones::{GOOD_TIME, HOSTILE, Neighbours, name, none, slow_server, soa, with};

/// Adds so many certificates with so many names each in the zone of an attacker, which has this server. In the order of
/// their names, they come before others.
fn with_large(
    mut settings: Settings,
    certificates: usize,
    names: usize,
    server: &HostileServer,
) -> Settings {
    let zone = (HOSTILE.to_owned(), vec![server.address()]);
    settings.zones.push(zone);
    for n in 0..certificates {
        let names = (0..names).map(|i| format!("a{i}.b{n}.{HOSTILE}"));
        let names: Vec<_> = names.collect();
        settings = settings.certificate(&format!("a{n}"), &format!("domains = {names:?}"));
    }
    settings
}

/// All good certificates are obtained in time, however long the others take.
#[track_caller]
fn assert_in_time(neighbours: &Neighbours, settings: Settings) -> Result {
    let Neighbours { bed, good, .. } = neighbours;
    let begun = Instant::now();
    let running = bed
        .program(settings.certificates(good))?
        .spawn(&["renew"])?;
    let is_obtained = |host: &String| bed.certificate(&host.replace('.', "-")).is_ok();
    while !good.iter().all(is_obtained) && begun.elapsed() < 2 * GOOD_TIME {
        // Nothing tells when all are stored.
        std::thread::sleep(Duration::from_millis(50));
    }
    let took = begun.elapsed();
    running.kill()?;
    assert!(took < GOOD_TIME, "{took:?}");
    Ok(())
}

#[test]
fn certificates_with_a_hundred_slow_names_each_delay_no_good_certificate() -> Result {
    let neighbours = Neighbours::start()?;
    let server = slow_server()?;
    let settings = neighbours.bed.settings_with(&neighbours.ca);
    assert_in_time(&neighbours, with_large(settings, 30, 100, &server))
}

#[test]
fn many_values_of_others_at_an_alias_name_delay_no_good_certificate() -> Result {
    let good = vec!["victim.example.com".to_owned()];
    let builder = TestBed::builder().delegate_apart(&good);
    let target = name(&format!("{}.{ALIAS_ZONE}", good[0]));
    let neighbours = Neighbours {
        // The values of each certificate wait for those of the one before.
        bed: builder.ttl(1).start()?,
        ca: SimulatedCa::start(Validation::Trust)?,
        good,
    };
    let server = HostileServer::start(move |asked, kind, answer| match kind {
        RecordType::TXT | RecordType::CNAME if asked.to_ascii().starts_with("_acme") => {
            with(answer, asked, [RData::CNAME(CNAME(target.clone()))])
        }
        RecordType::SOA if *asked == name(HOSTILE) => with(answer, asked, [soa(asked)]),
        _ => none(answer, &name(HOSTILE)),
    })?;
    let settings = neighbours.bed.settings_with(&neighbours.ca);
    assert_in_time(&neighbours, with_large(settings, 50, 51, &server))
}

#[test]
fn names_of_slow_servers_that_two_cas_are_to_certify_delay_no_check() -> Result {
    let neighbours = Neighbours::start()?;
    let server = slow_server()?;
    let mut settings = neighbours.settings(&[], server.address());
    for n in 0..15 {
        let domains = format!("domains = [\"a{n}.{HOSTILE}\"]");
        settings = settings.certificate(&format!("a{n}"), &domains);
        settings = settings.certificate(&format!("b{n}"), &format!("{domains}\nca = \"other\""));
    }
    settings.more += "[cas.other]\ndirectory = \"https://ca.example/dir\"\nagree-tos = true\n\
        caa-issuer = \"ca.example\"\n";
    let program = neighbours.bed.program(settings)?;
    let program = program.before("export ACME_ALIAS_ACME__CAA_ISSUER=other.example");
    let outcome = program.run(&["check"])?;
    outcome.assert_printed(&["a14.hostile.example"]);
    assert!(outcome.usage.wall < 3 * GOOD_TIME, "{outcome}");
    Ok(())
}

/// Certificates of an attacker with these ids and so many names, all of which lead to one alias name of his own.
const LARGE: [(&str, usize); 2] = [("first", 1), ("large", 30)];

/// The names of the certificate with this id.
fn names_of(id: &str, count: usize) -> Vec<String> {
    let names = (0..count).map(|n| format!("{id}{n}.example.com"));
    names.collect()
}

/// The builder with the CNAMEs of [`LARGE`].
fn with_own_alias_name(builder: Builder) -> Builder {
    let names = LARGE.map(|(id, count)| names_of(id, count));
    let target = format!("own.{ALIAS_ZONE}");
    names.iter().flatten().fold(builder, |builder, name| {
        builder.cname(&format!("_acme-challenge.{name}"), &target)
    })
}

#[test]
fn more_values_than_a_server_accepts_at_an_alias_name_fail_nobody_at_another() -> Result {
    let (good, [first, large]) = ("good.example.com", LARGE);
    let builder = with_own_alias_name(TestBed::builder().delegate(&[good, "refused.example.com"]));
    let bed = builder.records_per_type(20).ttl(0).start()?;
    // The order of the certificate that connects the two alias names is refused, so that it is in no round.
    let proxy = refusing(&bed, "refused")?;
    let between = [
        "refused.example.com".to_owned(),
        names_of(first.0, 1).remove(0),
    ];
    let mut settings = bed.settings().certificates(&[good]);
    settings.directory = proxy.directory();
    let settings = settings
        .certificate("between", &format!("domains = {between:?}"))
        .certificate(
            "large",
            &format!("domains = {:?}", names_of(large.0, large.1)),
        );
    let outcome = bed.program(settings)?.run(&["renew"])?;
    outcome.assert_failure(5, &["between: failed"]);
    assert!(bed.certificate("good-example-com").is_ok(), "{outcome}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_server_that_drops_values_of_one_certificate_is_not_taken_to_accept_few() -> Result {
    let good: Vec<_> = (0..40).map(|n| format!("good{n}.example.com")).collect();
    let builder = with_own_alias_name(TestBed::builder().delegate(&good));
    let bed = builder.txt_quota(30).ttl(0).start()?;
    let ca = SimulatedCa::start(Validation::At(bed.ca_resolver()))?;
    let settings = bed.settings_with(&ca).certificates(&good);
    let settings = LARGE.iter().fold(settings, |settings, (id, count)| {
        settings.certificate(id, &format!("domains = {:?}", names_of(id, *count)))
    });
    let before = bed.serial(ALIAS_ZONE)?;
    let outcome = bed.program(settings)?.run(&["renew"])?;
    outcome.assert_success();
    // Two parts at each alias name.
    let changes = bed.serial(ALIAS_ZONE)? - before;
    assert!(changes <= 10, "{changes} changes: {outcome}");
    bed.assert_only_txt_was_touched(&[])
}

/// A certificate leads to two alias names: to one with more values than a server accepts, and to one with one value of
/// another certificate. Those of others that come later are written together all the same.
#[track_caller]
fn assert_written_together(limited: impl Fn(Builder) -> Builder) -> Result {
    let good = names_of("good", 40);
    let builder = [("large", 60, "own"), ("x", 2, "between")].iter().fold(
        TestBed::builder().delegate(&good),
        |builder, (id, count, target)| {
            let target = format!("{target}.{ALIAS_ZONE}");
            names_of(id, *count).iter().fold(builder, |builder, name| {
                builder.cname(&format!("_acme-challenge.{name}"), &target)
            })
        },
    );
    let bed = limited(builder).always_valid().ttl(0).start()?;
    let proxy = bed.acme_proxy(|exchange| {
        if orders(exchange, "good") {
            return Spoilt::Late(Duration::from_secs(20));
        }
        Spoilt::No
    })?;
    let large = [names_of("large", 60), vec!["x0.example.com".to_owned()]].concat();
    let mut settings = bed.settings().certificates(&good);
    settings.directory = proxy.directory();
    let settings = settings
        .certificate("large", &format!("domains = {large:?}"))
        .certificate("small", "domains = [\"x1.example.com\"]");
    let before = bed.serial(ALIAS_ZONE)?;
    let outcome = bed.program(settings)?.run(&["renew"])?;
    outcome.assert_failure(4, &["large: failed"]);
    let is_obtained = |host: &String| bed.certificate(&host.replace('.', "-")).is_ok();
    assert!(good.iter().all(is_obtained), "{outcome}");
    let changes = bed.serial(ALIAS_ZONE)? - before;
    assert!(changes <= 12, "{changes} changes: {outcome}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_certificate_with_more_values_than_a_server_accepts_limits_nobody_at_other_names() -> Result {
    assert_written_together(|builder| builder.records_per_type(50))
}

#[test]
fn a_certificate_whose_values_a_server_drops_limits_nobody_at_other_names() -> Result {
    assert_written_together(|builder| builder.txt_quota(50))
}

/// Puts as many values of another host at `full` in the alias zone as the server accepts, and lets these certificates lead
/// there, too. Good ones are obtained all the same.
#[track_caller]
fn assert_obtained_beside_full(good: &[String], full: usize, more: &str) -> Result {
    const ACCEPTED: u32 = 20;
    let mut builder = TestBed::builder().delegate_apart(good);
    let mut lines = String::new();
    for n in 0..full {
        let alias_name = format!("full{n}.{ALIAS_ZONE}");
        builder = builder.cname(&format!("_acme-challenge.a{n}.example.com"), &alias_name);
        for value in 0..ACCEPTED {
            lines += &format!("update add {alias_name}. 60 TXT value{value}\n");
        }
    }
    let shared = format!("{}.{ALIAS_ZONE}", good[0]);
    let builder = builder.cname("_acme-challenge.more.example.com", &shared);
    let bed = builder.records_per_type(ACCEPTED).ttl(0).start()?;
    bed.update_alias_zone(ALIAS_ZONE, &lines)?;
    let ca = SimulatedCa::start(Validation::Trust)?;
    let mut settings = bed.settings_with(&ca);
    for n in 0..full {
        let lines = format!("domains = [\"a{n}.example.com\"{more}]");
        settings = settings.certificate(&format!("a{n}"), &lines);
    }
    let outcome = bed.program(settings.certificates(good))?.run(&["renew"])?;
    outcome.assert_failure(4, &["SERVFAIL"]);
    let is_obtained = |host: &String| bed.certificate(&host.replace('.', "-")).is_ok();
    assert!(good.iter().all(is_obtained), "{outcome}");
    Ok(())
}

#[test]
fn alias_names_with_many_values_of_another_host_fail_nobody_at_others() -> Result {
    assert_obtained_beside_full(&names_of("good", 30), 5, "")
}

#[test]
fn an_alias_name_with_many_values_of_another_host_fails_nobody_at_another_of_the_same_certificate()
-> Result {
    assert_obtained_beside_full(&names_of("good", 1), 1, ", \"more.example.com\"")
}
