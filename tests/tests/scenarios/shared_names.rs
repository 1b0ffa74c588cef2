//! Certificates that share one alias name, before a CA whose resolver caches.

use std::time::Duration;

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Builder, MAIN_ZONES, Outcome, Program, QueryProxy, Result, Running,
    SECOND_ALIAS_ZONE, Settings, SimulatedCa, TestBed, Validation,
};
use hickory_proto::rr::{Record, RecordType};

use crate::clouds::Clouds;

/// How long a run may take in which nothing has to be waited for.
const AT_ONCE: Duration = Duration::from_secs(2);
/// What a run says that waits.
const WAITING: &str = "the CA may have cached older TXT records of this name";

fn hosts(number: usize) -> Vec<String> {
    (1..=number).map(|i| format!("h{i}.example.com")).collect()
}

/// Adds a certificate for each domain and its wildcard, which have one challenge name and two values.
fn with_wildcards(settings: Settings, domains: &[String]) -> Settings {
    domains.iter().fold(settings, |settings, domain| {
        let lines = format!("domains = [\"{domain}\", \"*.{domain}\"]");
        settings.certificate(&domain.replace('.', "-"), &lines)
    })
}

/// A bed on which all these domains share [`ALIAS_NAME`].
fn bed(domains: &[String], build: impl FnOnce(Builder) -> Builder) -> Result<TestBed> {
    build(TestBed::builder().delegate(domains)).start()
}

/// Checks that each certificate is in a state folder of the bed, and no value is left.
#[track_caller]
fn assert_obtained(bed: &TestBed, state: &str, domains: &[String]) -> Result {
    for domain in domains {
        let certificate = bed.certificate_in(state, &domain.replace('.', "-"))?;
        assert!(certificate.names.contains(domain), "{certificate:?}");
    }
    bed.assert_only_txt_was_touched(&[])
}

fn assert_all_succeed(runs: impl IntoIterator<Item = Running>) -> Result<Vec<Outcome>> {
    let outcomes = runs.into_iter().map(Running::wait);
    let outcomes = outcomes.collect::<Result<Vec<_>>>()?;
    for outcome in &outcomes {
        outcome.assert_success();
    }
    Ok(outcomes)
}

#[test]
fn certificates_that_failed_before_are_validated_after_the_others() -> Result {
    let bed = TestBed::builder().delegate(&["example.com"]);
    let bed = bed.ttl(0).negative_ttl(1).start()?;
    let certificate = |settings: Settings, id: &str, domain: &str| {
        let lines = format!(
            "domains = [\"{domain}\"]\nchallenge-alias = \"{ALIAS_ZONE}\"\nskip-preflight = true\n"
        );
        settings.certificate(id, &lines)
    };
    // No CNAME leads from there.
    let bad = certificate(bed.settings(), "bad", "bad.example.com");
    bed.program(bad.clone())?
        .run(&["renew"])?
        .assert_failure(5, &["could not validate"]);
    let both = bed.program(certificate(bad, "good", "example.com"))?;
    let outcome = both.clock("+61s").run(&["renew"])?;
    outcome.assert_failure(5, &["bad: failed"]);
    let at = |words: &str| outcome.stderr.find(words);
    let (stored, next) = (at("good: stored in"), at("bad: opening an order"));
    assert!(stored.is_some() && stored < next, "{outcome}");
    Ok(())
}

#[test]
fn three_runs_in_a_row_wait_for_nothing_with_a_ttl_of_zero() -> Result {
    let bed = TestBed::builder().delegate(&MAIN_ZONES).ttl(0).start()?;
    let program = bed.program(bed.settings())?;
    for domain in &MAIN_ZONES[..3] {
        let outcome = program.run(&["issue", domain])?;
        outcome.assert_success();
        let usage = outcome.usage;
        assert!(usage.wall < AT_ONCE, "{domain}: {usage:?}");
    }
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn processes_at_once_succeed_with_a_ttl_of_zero() -> Result {
    let hosts = hosts(6);
    let bed = bed(&hosts, |builder| builder.ttl(0))?;
    let program = bed.program(bed.settings())?;
    let issue = |host: &String| program.spawn(&["issue", host, &format!("*.{host}")]);
    let runs = hosts.iter().map(issue).collect::<Result<Vec<_>>>()?;
    assert_all_succeed(runs)?;
    assert_obtained(&bed, "state", &hosts)
}

#[test]
fn two_hosts_at_once_succeed_with_a_ttl_of_zero() -> Result {
    let hosts = hosts(8);
    let bed = bed(&hosts, |builder| builder.ttl(0))?;
    let (ours, theirs) = hosts.split_at(4);
    let host = |settings, domains| bed.program(with_wildcards(settings, domains));
    let programs = [
        host(bed.settings(), ours)?,
        host(bed.second_host(), theirs)?,
    ];
    let runs = programs.iter().map(|program| program.spawn(&["renew"]));
    assert_all_succeed(runs.collect::<Result<Vec<_>>>()?)?;
    assert_obtained(&bed, "state", ours)?;
    assert_obtained(&bed, "second-host", theirs)
}

/// Kills a `renew` over all certificates when the primary has values of it.
fn kill_in_the_middle(bed: &TestBed, program: &Program) -> Result {
    let running = program.spawn(&["renew"])?;
    bed.wait_until("the primary has values", |bed| Ok(!bed.txt()?.is_empty()))?;
    running.kill()?;
    assert!(!bed.txt()?.is_empty(), "the run was killed in the middle");
    Ok(())
}

#[test]
fn renew_recovers_from_a_run_that_was_killed_in_the_middle() -> Result {
    let hosts = hosts(10);
    // The secondary, and so the CA, has the values of the run that is killed when the next one begins.
    let bed = bed(&hosts, |builder| builder.ttl(0).notify_delay(1))?;
    let program = bed.program(with_wildcards(bed.settings(), &hosts))?;
    kill_in_the_middle(&bed, &program)?;
    program.run(&["renew"])?.assert_success();
    assert_obtained(&bed, "state", &hosts)
}

#[test]
fn renew_recovers_although_the_ca_has_cached_that_the_killed_run_left_nothing() -> Result {
    let hosts = hosts(3);
    let builder = TestBed::builder().delegate_apart(&hosts);
    let bed = builder.ttl(0).negative_ttl(5).start()?;
    let stuck = bed.stuck_server()?;
    let mut settings = bed.settings().certificates(&hosts);
    let program = bed.program(settings.clone())?;
    settings.alias_zones[0].servers.push(stuck.address());
    let running = bed.program(settings)?.spawn(&["renew"])?;
    bed.wait_until("all values are there", |bed| {
        Ok(bed.txt()?.len() == hosts.len())
    })?;
    running.kill()?;
    program.run(&["ledger", "reconcile"])?.assert_success();
    // The CA looks again at what it was asked to validate before the kill.
    for host in &hosts {
        let name = format!("_acme-challenge.{host}");
        bed.wait_until("the CA sees nothing", |bed| {
            let seen = bed.ask(bed.ca_resolver(), &name, "TXT")?;
            Ok(!seen.iter().any(|record| record.contains(" TXT ")))
        })?;
    }
    program.run(&["renew"])?.assert_success();
    assert_obtained(&bed, "state", &hosts)
}

#[test]
fn values_of_others_at_the_name_do_not_disturb_with_a_ttl_of_zero() -> Result {
    let bed = TestBed::builder().delegate(&MAIN_ZONES).ttl(0).start()?;
    let lines = |ttl| format!("update add {ALIAS_NAME} {ttl} TXT somebody-elses\n");
    bed.update_alias_zone(ALIAS_ZONE, &lines(0))?;
    bed.ask(bed.ca_resolver(), ALIAS_NAME, "TXT")?;
    let program = bed.program(bed.settings())?;
    for domain in &MAIN_ZONES[..2] {
        program.run(&["issue", domain])?.assert_success();
    }
    assert_eq!(bed.txt()?.len(), 1);
    Ok(())
}

/// The UPDATE messages that changed the alias zone since it had this serial.
fn changes(bed: &TestBed, before: u32) -> Result<u32> {
    Ok(bed.serial(ALIAS_ZONE)? - before)
}

#[test]
fn thirty_certificates_in_one_renew_take_two_updates() -> Result {
    for ttl in [0, 60] {
        let hosts = hosts(30);
        let bed = bed(&hosts, |builder| builder.ttl(ttl))?;
        let before = bed.serial(ALIAS_ZONE)?;
        let program = bed.program(with_wildcards(bed.settings(), &hosts))?;
        let outcome = program.run(&["renew"])?;
        outcome.assert_success();
        assert!(outcome.usage.wall.as_secs() < 30, "nothing was cached");
        assert_eq!(changes(&bed, before)?, 2, "TTL {ttl}: {outcome}");
        assert_obtained(&bed, "state", &hosts)?;
    }
    Ok(())
}

#[test]
fn more_certificates_than_a_name_has_room_for_are_split() -> Result {
    let hosts = hosts(250);
    let bed = bed(&hosts, |builder| builder.ttl(0))?;
    let before = bed.serial(ALIAS_ZONE)?;
    // Pebble locks itself up when a hundred orders are opened while others are finalized.
    let ca = SimulatedCa::start(Validation::At(bed.ca_resolver()))?;
    let program = bed.program(bed.settings_with(&ca).certificates(&hosts))?;
    let outcome = program.run(&["renew"])?;
    outcome.assert_success();
    // BIND takes 100 records at a name, and a round has 50 certificates.
    assert_eq!(changes(&bed, before)?, 10, "{outcome}");
    assert_obtained(&bed, "state", &hosts)
}

#[test]
fn a_quota_of_the_policy_is_learned_and_kept() -> Result {
    let hosts = hosts(8);
    let bed = bed(&hosts, |builder| builder.ttl(0).txt_quota(6))?;
    let program = bed.program(with_wildcards(bed.settings(), &hosts))?;
    program.run(&["renew"])?.assert_success();
    assert_obtained(&bed, "state", &hosts)
}

#[test]
fn a_batch_that_is_too_large_fails_no_other_certificate() -> Result {
    let hosts = hosts(6);
    let (large, other) = hosts.split_at(5);
    let bed = bed(large, |builder| {
        builder.records_per_type(4).delegate_apart(other)
    })?;
    let names: Vec<_> = large.iter().map(|host| format!("\"{host}\"")).collect();
    let settings = bed.settings().certificates(other);
    let settings = settings.certificate("large", &format!("domains = [{}]", names.join(", ")));
    let outcome = bed.program(settings)?.run(&["renew"])?;
    // Whether five values can be validated in several steps is not said here.
    assert!(matches!(outcome.code, Some(0 | 4)), "{outcome}");
    assert_obtained(&bed, "state", other)
}

#[test]
fn a_certificate_that_fails_leaves_its_round() -> Result {
    let hosts = hosts(3);
    let (wrong, good) = hosts.split_at(1);
    let bed = bed(good, |builder| builder.ttl(0))?;
    let before = bed.serial(ALIAS_ZONE)?;
    let program = bed.program(with_wildcards(bed.settings(), &hosts))?;
    let outcome = program.run(&["renew"])?;
    outcome.assert_failure(3, &[&format!("_acme-challenge.{}", wrong[0])]);
    assert_eq!(changes(&bed, before)?, 2, "{outcome}");
    assert_obtained(&bed, "state", good)
}

#[test]
fn runs_in_a_row_wait_for_the_rest_of_the_ttl_and_say_why() -> Result {
    let bed = TestBed::builder().delegate(&MAIN_ZONES).ttl(5).start()?;
    let program = bed.program(bed.settings())?;
    let first = program.run(&["issue", MAIN_ZONES[0]])?;
    first.assert_success();
    assert!(first.usage.wall < AT_ONCE, "{:?}", first.usage);
    for domain in &MAIN_ZONES[1..3] {
        let outcome = program.run(&["issue", domain])?;
        outcome.assert_success();
        outcome.assert_said(&[WAITING]);
        let wall = outcome.usage.wall;
        assert!(wall < Duration::from_secs(5) + AT_ONCE, "{wall:?}");
    }
    // One order each: the CA was not told too early.
    assert_eq!(bed.orders()?, 3);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn values_of_others_that_the_ca_may_have_cached_are_waited_for_and_keep_their_ttl() -> Result {
    let bed = TestBed::builder().delegate(&MAIN_ZONES).ttl(0).start()?;
    let line = format!("update add {ALIAS_NAME} 5 TXT somebody-elses\n");
    bed.update_alias_zone(ALIAS_ZONE, &line)?;
    // Asked too early, the CA would cache that there is nothing.
    bed.wait_until("the secondary has the value", |bed| {
        Ok(!bed.ask(bed.secondary(), ALIAS_NAME, "TXT")?.is_empty())
    })?;
    bed.wait_until("the CA has cached the value", |bed| {
        let seen = bed.ask(bed.ca_resolver(), ALIAS_NAME, "TXT")?;
        Ok(!seen.is_empty())
    })?;
    let outcome = bed.run(&["issue", MAIN_ZONES[0]])?;
    outcome.assert_success();
    outcome.assert_said(&[WAITING]);
    assert_eq!(bed.orders()?, 1);
    let there = bed.ask(bed.primary(), ALIAS_NAME, "TXT")?;
    assert_eq!(there, [format!("{ALIAS_NAME}. 5 IN TXT somebody-elses")]);
    Ok(())
}

#[test]
fn two_processes_at_once_succeed_with_a_ttl() -> Result {
    let bed = TestBed::builder().delegate(&MAIN_ZONES).ttl(5).start()?;
    let program = bed.program(bed.settings())?;
    let issue = |domain: &&str| program.spawn(&["issue", domain]);
    let runs = MAIN_ZONES[..2].iter().map(issue);
    assert_all_succeed(runs.collect::<Result<Vec<_>>>()?)?;
    // At most one retry each.
    assert!(bed.orders()? <= 4);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn two_hosts_one_after_the_other_succeed_with_a_ttl_by_one_retry() -> Result {
    let bed = TestBed::builder().delegate(&MAIN_ZONES).ttl(5).start()?;
    bed.run(&["issue", MAIN_ZONES[0]])?.assert_success();
    // The ledger of the other host knows nothing of the values that the CA has cached.
    let other = bed.program(bed.second_host())?;
    other.run(&["issue", MAIN_ZONES[1]])?.assert_success();
    assert_eq!(bed.orders()?, 3, "one that failed, and one more");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn two_hosts_at_once_succeed_with_a_ttl() -> Result {
    let hosts = hosts(4);
    let bed = bed(&hosts, |builder| builder.ttl(5))?;
    let (ours, theirs) = hosts.split_at(2);
    let ours_on = bed.program(bed.settings().certificates(ours))?;
    let theirs_on = bed.program(bed.second_host().certificates(theirs))?;
    let runs = [ours_on.spawn(&["renew"])?, theirs_on.spawn(&["renew"])?];
    assert_all_succeed(runs)?;
    assert_obtained(&bed, "state", ours)?;
    assert_obtained(&bed, "second-host", theirs)
}

#[test]
fn renew_waits_for_the_values_of_a_run_that_was_killed_in_the_middle() -> Result {
    let hosts = hosts(10);
    let bed = bed(&hosts, |builder| builder.ttl(5))?;
    let program = bed.program(with_wildcards(bed.settings(), &hosts))?;
    kill_in_the_middle(&bed, &program)?;
    bed.wait_until("the CA has cached the values", |bed| {
        let seen = bed.ask(bed.ca_resolver(), ALIAS_NAME, "TXT")?;
        Ok(!seen.is_empty())
    })?;
    program.run(&["renew"])?.assert_success();
    assert_obtained(&bed, "state", &hosts)
}

#[test]
fn a_ca_that_sees_the_values_of_others_only_is_asked_twice_and_the_cause_is_named() -> Result {
    let bed = TestBed::builder().delegate(&MAIN_ZONES).start()?;
    let line = format!("update add {ALIAS_NAME} 5 TXT somebody-elses\n");
    bed.update_alias_zone(ALIAS_ZONE, &line)?;
    let others_only = QueryProxy::start(bed.ca_resolver(), |_, mut answer| {
        let is_theirs = |record: &Record| !record.data.to_string().contains("somebody-elses");
        let is_txt = |record: &Record| record.record_type() == RecordType::TXT;
        let answers = &mut answer.answers;
        answers.retain(|record| !(is_txt(record) && is_theirs(record)));
        vec![answer]
    })?;
    let ca = SimulatedCa::start(Validation::At(others_only.address()))?;
    let outcome = bed
        .program(bed.settings_with(&ca))?
        .run(&["issue", MAIN_ZONES[0]])?;
    outcome.assert_failure(5, &[ALIAS_NAME, "one alias name per domain"]);
    assert_eq!(ca.orders(), 2);
    assert_eq!(bed.txt()?.len(), 1);
    Ok(())
}

#[test]
fn certificates_share_a_name_at_cloudflare() -> Result {
    let hosts = hosts(32);
    let target = format!("_acme-challenge.{SECOND_ALIAS_ZONE}");
    let clouds = Clouds::start_with_ttl(60, |builder| {
        let cname = |builder: Builder, host: &String| {
            builder.cname(&format!("_acme-challenge.{host}"), &target)
        };
        hosts.iter().fold(builder, cname)
    })?;
    let mut program = clouds.signed_in("", "")?;
    let (in_one_run, later) = hosts.split_at(30);
    program.settings = with_wildcards(program.settings, in_one_run);
    let outcome = program.run(&["renew"])?;
    outcome.assert_success();
    assert!(outcome.usage.wall.as_secs() < 60, "nothing was cached");
    assert_obtained(&clouds.bed, "state", in_one_run)?;
    // The next ones wait for a minute, and not for two.
    program.settings = with_wildcards(program.settings, later);
    let outcome = program.run(&["renew"])?;
    outcome.assert_success();
    outcome.assert_said(&[WAITING]);
    assert!(outcome.usage.wall.as_secs() < 75, "{:?}", outcome.usage);
    assert_obtained(&clouds.bed, "state", later)?;
    assert_eq!(clouds.cloudflare.records(&clouds.cloudflare_zone), []);
    Ok(())
}
