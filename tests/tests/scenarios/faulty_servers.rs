//! Name servers of the alias zone that do not answer, or not always with the same data.

use std::net::SocketAddr;
use std::time::Duration;

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Fault, Outcome, Port, Program, QueryProxy, Result, Settings,
    SilentServer, SimulatedCa, TestBed, Validation,
};
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];
/// What servers that do not answer may cost a run, on a busy machine. By the settings, a single answer may take
/// longer.
const COST: Duration = Duration::from_secs(4);

fn bed(faults: &[Fault]) -> Result<TestBed> {
    let builder = TestBed::builder().delegate(&["example.com"]);
    let faults = faults.iter();
    faults
        .fold(builder, |builder, fault| builder.faulty_server(*fault))
        .start()
}

/// The program, which gives a server six seconds for an answer.
fn patient(bed: &TestBed, settings: Settings) -> Result<Program> {
    Ok(bed.program(settings)?.env("ACME_ALIAS_DNS__TIMEOUT", "6s"))
}

/// Settings with one more server of the alias zone.
fn with_server(settings: &Settings, server: &QueryProxy) -> Settings {
    let mut settings = settings.clone();
    settings.alias_zones[0].servers.push(server.address());
    settings
}

/// A server beside the secondary whose answers about TXT records are spoilt.
fn spoilt_txt(
    bed: &TestBed,
    mut spoil: impl FnMut(Message) -> Vec<Message> + Send + 'static,
) -> Result<QueryProxy> {
    QueryProxy::start(bed.secondary(), move |question, answer| {
        let mut queries = question.queries.iter();
        if queries.any(|query| query.query_type() == RecordType::TXT) {
            spoil(answer)
        } else {
            vec![answer]
        }
    })
}

/// Lines of standard error that contain both.
fn lines(outcome: &Outcome, one: &str, other: &str) -> usize {
    let lines = outcome.stderr.lines();
    lines
        .filter(|line| line.contains(one) && line.contains(other))
        .count()
}

#[test]
fn servers_that_do_not_answer_delay_no_certificate_and_are_named_once() -> Result {
    let domains: Vec<_> = (0..60).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&domains).start()?;
    let ca = SimulatedCa::start(Validation::Trust)?;
    let renew = |state: &str, servers: &[SocketAddr]| -> Result<Outcome> {
        let mut settings = bed.settings_with(&ca).certificates(&domains);
        settings.state = bed.folder().join(state);
        settings.alias_zones[0].servers.extend(servers);
        let outcome = patient(&bed, settings)?.run(&["renew"])?;
        outcome.assert_success();
        Ok(outcome)
    };
    let (dead, silent) = (Port::claim()?, SilentServer::start()?);
    let without = renew("without", &[])?.usage.wall;
    let outcome = renew("with", &[dead.address(), silent.address()])?;
    let with = outcome.usage.wall;
    assert!(with < without + COST, "{with:?} in place of {without:?}");
    for address in [dead.address(), silent.address()] {
        let named = lines(&outcome, &address.to_string(), "is named as a server");
        assert_eq!(named, 1, "{outcome}");
    }
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn of_ten_servers_three_may_be_dead() -> Result {
    let bed = bed(&[Fault::Dead, Fault::Silent, Fault::Refusing])?;
    let ca = SimulatedCa::start(Validation::Trust)?;
    let mut settings = bed.settings_with(&ca);
    for _ in 0..5 {
        let server = spoilt_txt(&bed, |answer| vec![answer])?;
        settings = with_server(&settings, &server);
    }
    assert_eq!(settings.alias_zones[0].servers.len(), 10);
    let outcome = patient(&bed, settings)?.run(&ISSUE)?;
    outcome.assert_success();
    outcome.assert_said(&["TXT visible on 7 of 10 name servers"]);
    let wall = outcome.usage.wall;
    assert!(wall < COST, "{outcome}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_server_that_dies_after_the_pre_flight_is_given_up_after_several_tries() -> Result {
    let bed = bed(&[])?;
    let ca = SimulatedCa::start(Validation::Trust)?;
    let dying = spoilt_txt(&bed, |_| Vec::new())?;
    let settings = with_server(&bed.settings_with(&ca), &dying);
    let outcome = patient(&bed, settings)?.run(&ISSUE)?;
    outcome.assert_success();
    let said = lines(&outcome, &dying.address().to_string(), "did not answer");
    assert_eq!(said, 1, "{outcome}");
    let wall = outcome.usage.wall;
    let tries = Duration::from_secs(3);
    assert!(wall >= tries && wall < tries + COST, "{outcome}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn all_servers_are_waited_for_on_request() -> Result {
    let bed = bed(&[Fault::Silent])?;
    let mut settings = bed.settings();
    settings.dns = "propagation = \"all\"".to_owned();
    settings.propagation_timeout = "3s";
    let outcome = bed.program(settings)?.run(&ISSUE)?;
    outcome.assert_failure(4, &[&bed.faulty_servers()[0].to_string(), ALIAS_NAME, "3s"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_server_with_old_data_is_named_and_the_dead_one_beside_it_is_mentioned() -> Result {
    let bed = bed(&[Fault::Stale, Fault::Dead])?;
    let mut settings = bed.settings();
    settings.propagation_timeout = "6s";
    let outcome = bed.program(settings)?.run(&ISSUE)?;
    let [stale, dead] = bed.faulty_servers()[..] else {
        panic!("two servers");
    };
    outcome.assert_failure(4, &[&format!("{stale} about {ALIAS_NAME}")]);
    outcome.assert_said(&[&format!("also: {dead} did not answer")]);
    let waiting = lines(&outcome, "waiting for ", &stale.to_string());
    assert_eq!(waiting, 1, "{outcome}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_server_that_is_dead_is_mentioned_when_the_ca_cannot_validate() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .faulty_server(Fault::Dead)
        .blind_ca()
        .start()?;
    let outcome = bed.run(&[&ISSUE[..], &["--output", "json"]].concat())?;
    let dead = bed.faulty_servers()[0].to_string();
    let error = &outcome.json()?["error"];
    assert_eq!(outcome.code, Some(5), "{outcome}");
    assert_eq!(
        error["silent_servers"],
        serde_json::json!([dead]),
        "{outcome}"
    );
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_server_that_returns_old_and_new_data_in_turns_is_not_believed() -> Result {
    let bed = bed(&[])?;
    let mut count = 0;
    let turning = spoilt_txt(&bed, move |mut answer| {
        count += 1;
        if count % 2 == 1 {
            answer.answers.clear();
        }
        vec![answer]
    })?;
    let mut settings = with_server(&bed.settings(), &turning);
    settings.propagation_timeout = "4s";
    let outcome = bed.program(settings)?.run(&ISSUE)?;
    let address = turning.address().to_string();
    outcome.assert_failure(4, &[&address, "new and old data in turns"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_resolver_may_lie_about_times_to_live() -> Result {
    let bed = bed(&[])?;
    for ttl in [0, u32::MAX] {
        let liar = QueryProxy::start(bed.resolver(), move |_, mut answer| {
            for record in answer.answers.iter_mut().chain(&mut answer.authorities) {
                record.ttl = ttl;
            }
            vec![answer]
        })?;
        let mut settings = bed.settings();
        settings.resolver = liar.address();
        settings.dns = format!("propagation-resolvers = [\"{}\"]", liar.address());
        bed.program(settings)?.run(&ISSUE)?.assert_success();
        bed.assert_only_txt_was_touched(&[])?;
    }
    Ok(())
}

#[test]
fn a_network_that_intercepts_port_53_is_reported_with_the_workaround() -> Result {
    let bed = bed(&[])?;
    // A resolver answers in place of every server.
    let intercept = |server| {
        QueryProxy::start(server, |_, mut answer| {
            answer.metadata.authoritative = false;
            answer.metadata.recursion_available = true;
            vec![answer]
        })
    };
    let (main, alias) = (intercept(bed.main_server())?, intercept(bed.secondary())?);
    let mut settings = bed.settings();
    for (_, servers) in &mut settings.zones {
        *servers = vec![main.address()];
    }
    settings.alias_zones[0].servers = vec![alias.address()];
    settings.propagation_timeout = "3s";
    let outcome = bed.program(settings.clone())?.run(&ISSUE)?;
    outcome.assert_failure(3, &["intercepts port 53", "`dns.propagation-resolvers`"]);
    assert_eq!(bed.orders()?, 0);

    let skipping = [&ISSUE[..], &["--skip-preflight"]].concat();
    let outcome = bed.program(settings.clone())?.run(&skipping)?;
    outcome.assert_failure(4, &["intercepts port 53", "`dns.propagation-resolvers`"]);

    settings.dns = format!("propagation-resolvers = [\"{}\"]", alias.address());
    bed.program(settings)?.run(&skipping)?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn an_extra_wait_follows_when_the_servers_have_the_values() -> Result {
    let bed = bed(&[])?;
    let mut settings = bed.settings();
    settings.dns = "propagation-extra-wait = \"2s\"".to_owned();
    let outcome = bed.program(settings)?.run(&ISSUE)?;
    outcome.assert_success();
    assert!(outcome.usage.wall >= Duration::from_secs(2), "{outcome}");
    outcome.assert_said(&["and then 2 s, as configured"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_secondary_that_lags_behind_our_own_update_is_no_warning() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com", "example.org"])
        .notify_delay(4)
        .start()?;
    bed.run(&["issue", "example.com"])?.assert_success();
    // The secondary has not heard of the withdrawal yet.
    let outcome = bed.run(&["issue", "example.org"])?;
    outcome.assert_success();
    assert!(!outcome.stderr.contains("serials"), "{outcome}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_dead_server_of_every_zone_on_the_way_delays_a_run_by_little() -> Result {
    let bed = bed(&[Fault::Silent])?;
    let ca = SimulatedCa::start(Validation::Trust)?;
    let mut settings = bed.settings_with(&ca);
    for (_, servers) in &mut settings.zones {
        servers.insert(0, bed.faulty_servers()[0]);
    }
    let outcome = patient(&bed, settings)?.run(&ISSUE)?;
    outcome.assert_success();
    let wall = outcome.usage.wall;
    assert!(wall < COST, "{outcome}");
    bed.assert_only_txt_was_touched(&[])
}
