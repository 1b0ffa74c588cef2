//! The HTTP API of `PowerDNS`: what stays as it is, who else may write, and what is refused.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail as they do")]

mod runs;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acme_alias_core::provider::{Failure, TxtProvider};
use acme_alias_core::rights::{Audit, Grade, KeyRights, MainZone, Subject};
use acme_alias_core::txt::Action;
use acme_alias_powerdns::{ApiKey, PowerDns as Provider};
use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Port, PowerDns, PowerDnsGate, Reply, Result, Stub};
use serde_json::json;

use crate::backend::{add, change, refused, zone_name};

const KEY: &str = "a-key-that-nobody-shall-see";

/// A provider with connections of its own, at this address.
fn provider_at(address: SocketAddr) -> Provider {
    let key = ApiKey::new(KEY).unwrap();
    Provider::new(key).with_url(format!("http://{address}").parse().unwrap())
}

fn values_at(server: &PowerDns, name: &str) -> Result<Vec<String>> {
    let all = server.txt()?.into_iter();
    let mut values: Vec<_> = all
        .filter(|(owner, _)| owner == name)
        .map(|(_, v)| v)
        .collect();
    values.sort();
    Ok(values)
}

/// The id of the alias zone in the database is the first.
fn insert(content: &str, disabled: u8) -> String {
    format!(
        "insert into records (domain_id, name, type, content, ttl, disabled, auth) values \
         (1, '{ALIAS_NAME}', 'TXT', '\"{content}\"', 300, {disabled}, 1);"
    )
}

#[tokio::test]
async fn ttl_comments_and_disabled_records_of_others_stay() -> Result {
    let server = PowerDns::start_with_api(KEY)?;
    server.sql(&format!(
        "{}{}insert into comments (domain_id, name, type, modified_at, account, comment) values \
         (1, '{ALIAS_NAME}', 'TXT', 1, 'somebody', 'theirs');",
        insert("foreign", 0),
        insert("disabled", 1)
    ))?;
    let gate = PowerDnsGate::start(server.api(), true)?;
    let state = "select content, ttl, disabled from records where type = 'TXT' order by content;
                 select comment from comments;";
    let before = server.sql(state)?;
    for address in [server.api(), gate.address()] {
        let provider = provider_at(address);
        add(&provider).await.unwrap();
        assert_eq!(values_at(&server, ALIAS_NAME)?, ["foreign", "v"]);
        let with_ours = server.sql(state)?;
        assert!(with_ours.contains("\"v\"|300|0"), "{with_ours}");
        let removal = [change(Action::Remove, ALIAS_NAME, "v")];
        provider.apply(&zone_name(), &removal).await.unwrap();
        assert_eq!(server.sql(state)?, before);
    }
    Ok(())
}

#[tokio::test]
async fn a_value_that_another_writer_overwrites_is_added_again() -> Result {
    let server = PowerDns::start_with_api(KEY)?;
    for has_single_values in [false, true] {
        let gate = PowerDnsGate::start(server.api(), has_single_values)?;
        // It has read the set before ours was in it.
        gate.intrude(json!({ "rrsets": [{
            "name": format!("{ALIAS_NAME}."), "type": "TXT", "ttl": 60, "changetype": "REPLACE",
            "records": [{ "content": "\"theirs\"", "disabled": false }],
        }]}));
        let provider = provider_at(gate.address());
        add(&provider).await.unwrap();
        assert_eq!(values_at(&server, ALIAS_NAME)?, ["theirs", "v"]);
        // It brings back what is removed.
        gate.intrude(json!({ "rrsets": [{
            "name": format!("{ALIAS_NAME}."), "type": "TXT", "ttl": 60, "changetype": "REPLACE",
            "records": [{ "content": "\"theirs\"" }, { "content": "\"v\"" }],
        }]}));
        let removal = [change(Action::Remove, ALIAS_NAME, "v")];
        provider.apply(&zone_name(), &removal).await.unwrap();
        assert_eq!(values_at(&server, ALIAS_NAME)?, ["theirs"]);
    }
    Ok(())
}

#[tokio::test]
async fn writers_in_two_processes_lose_nothing() -> Result {
    let server = PowerDns::start_with_api(KEY)?;
    // Providers of one endpoint take turns. These two know nothing of each other.
    let by_name = format!("http://localhost:{}", server.api().port());
    let other = provider_at(server.api()).with_url(by_name.parse().unwrap());
    let ours = provider_at(server.api());
    for action in [Action::Add, Action::Remove] {
        for round in 0..10 {
            let [first, second] =
                ["a", "b"].map(|writer| [change(action, ALIAS_NAME, &format!("{writer}{round}"))]);
            let zone = zone_name();
            let (first, second) =
                tokio::join!(ours.apply(&zone, &first), other.apply(&zone, &second));
            first.and(second).unwrap();
        }
        let expected = if action == Action::Add { 20 } else { 0 };
        assert_eq!(values_at(&server, ALIAS_NAME)?.len(), expected);
    }
    Ok(())
}

#[tokio::test]
async fn all_values_of_many_names_go_in_one_request() -> Result {
    let server = PowerDns::start_with_api(KEY)?;
    let gate = PowerDnsGate::start(server.api(), true)?;
    let changes: Vec<_> = (0..100)
        .map(|i| {
            change(
                Action::Add,
                &format!("n{}.{ALIAS_ZONE}", i / 2),
                &format!("v{i}"),
            )
        })
        .collect();
    let provider = provider_at(gate.address());
    let applied = provider.apply(&zone_name(), &changes).await.unwrap();
    assert_eq!((applied.requests, gate.patches().len()), (1, 1));
    assert_eq!(server.txt()?.len(), 100);
    // What is as wanted is not written again.
    let applied = provider.apply(&zone_name(), &changes).await.unwrap();
    assert_eq!((applied.requests, gate.patches().len()), (0, 1));
    Ok(())
}

#[tokio::test]
async fn secondaries_are_notified() -> Result {
    let secondary = UdpSocket::bind("127.0.0.1:0")?;
    secondary.set_read_timeout(Some(Duration::from_secs(20)))?;
    let also_notify = format!("primary=yes\nalso-notify={}", secondary.local_addr()?);
    let launch = PowerDns::launch_with_api(KEY).config(&also_notify);
    let server = launch
        .command(&format!("load-zone {ALIAS_ZONE} zone"))
        .command(&format!("set-kind {ALIAS_ZONE} primary"))
        .command(&format!("set-meta {ALIAS_ZONE} SOA-EDIT-API DEFAULT"))
        .start()?;
    let provider = provider_at(server.api());
    let before = provider.serial(&zone_name()).await.unwrap();
    add(&provider).await.unwrap();
    assert_ne!(provider.serial(&zone_name()).await.unwrap(), before);
    let mut message = [0; 512];
    let length = secondary.recv(&mut message)?;
    // Opcode 4 (RFC 1996 §3).
    assert!(length > 12 && message[2] >> 3 & 0xf == 4, "{message:?}");
    Ok(())
}

#[tokio::test]
async fn a_serial_that_does_not_increase_is_not_reported() -> Result {
    let server = PowerDns::start_with_api(KEY)?;
    let provider = provider_at(server.api());
    let serial = provider.serial(&zone_name()).await.unwrap();
    assert_eq!(serial, server.serial()?);
    server.util(&["set-meta", ALIAS_ZONE, "SOA-EDIT-API"])?;
    assert_eq!(provider.serial(&zone_name()).await.unwrap(), None);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_server_zone_or_key_is_reported() -> Result {
    let server = PowerDns::start_with_api(KEY)?;
    let provider = provider_at(server.api());

    let other_key = Provider::new(ApiKey::new("another-key-nobody-shall-see").unwrap());
    let other_key = other_key.with_url(format!("http://{}", server.api()).parse().unwrap());
    refused(
        &other_key,
        Failure::Denied,
        &["refused the API key", "pdns.conf"],
    )
    .await;

    let other_server = provider_at(server.api()).with_server_id("other".parse().unwrap());
    let words = ["no API for this server", "`server-id`"];
    refused(&other_server, Failure::Rejected, &words).await;

    server.sql(
        &insert("x", 0)
            .replace("TXT", "CNAME")
            .replace("\"x\"", "x.example"),
    )?;
    refused(&provider, Failure::Conflict, &[ALIAS_NAME, "CNAME"]).await;

    server.util(&["set-kind", ALIAS_ZONE, "secondary"])?;
    refused(&provider, Failure::Rejected, &["secondary zone", "primary"]).await;

    server.util(&["delete-zone", ALIAS_ZONE])?;
    let words = ["has no zone auth.example.net", "pdnsutil create-zone"];
    refused(&provider, Failure::Rejected, &words).await;

    let dead = provider_at(Port::claim()?.address());
    refused(
        &dead,
        Failure::Unavailable,
        &["could not be reached", "webserver=yes"],
    )
    .await;

    let silent = Stub::start(|_| Reply::Silence)?;
    let silent = provider_at(silent.address()).with_timeout(Duration::from_millis(100));
    refused(
        &silent,
        Failure::Unavailable,
        &["no answer within", "webserver-allow-from"],
    )
    .await;
    Ok(())
}

/// A stub that always answers this; and how many requests it got.
fn stub(reply: Reply) -> Result<(Stub, Arc<AtomicUsize>)> {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let stub = Stub::start(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        reply.clone()
    })?;
    Ok((stub, requests))
}

#[tokio::test]
async fn a_redirect_is_not_followed() -> Result {
    let (elsewhere, requests) = stub(Reply::Answer(200, "{}".to_owned()))?;
    let url = format!("http://{}/", elsewhere.address());
    let (redirecting, _) = stub(Reply::Redirect(url))?;
    let provider = provider_at(redirecting.address());
    refused(&provider, Failure::Rejected, &["answered 302", "`url`"]).await;
    assert_eq!(requests.load(Ordering::SeqCst), 0);
    Ok(())
}

#[tokio::test]
async fn reading_is_tried_three_times_if_the_server_fails() -> Result {
    let (overloaded, requests) = stub(Reply::Answer(503, String::new()))?;
    let provider = provider_at(overloaded.address());
    refused(&provider, Failure::Unavailable, &["answered 503"]).await;
    assert_eq!(requests.load(Ordering::SeqCst), 3);
    Ok(())
}

#[tokio::test]
async fn a_write_that_cannot_be_read_back_has_an_unknown_outcome() -> Result {
    let mut is_written = false;
    let server = Stub::start(move |request| match request.method.as_str() {
        "PATCH" => {
            is_written = true;
            Reply::Answer(204, String::new())
        }
        _ if is_written => Reply::Answer(503, String::new()),
        _ => Reply::Answer(200, json!({ "kind": "Native" }).to_string()),
    })?;
    let provider = provider_at(server.address());
    refused(&provider, Failure::UnknownOutcome, &["answered 503"]).await;
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_no_json_is_none() -> Result {
    let (large, _) = stub(Reply::Answer(200, " ".repeat(33 << 20)))?;
    let words = ["more than 33554432 octets"];
    refused(&provider_at(large.address()), Failure::Unavailable, &words).await;
    let (page, _) = stub(Reply::Answer(200, "<html>".to_owned()))?;
    let words = ["not the API's"];
    refused(&provider_at(page.address()), Failure::Unavailable, &words).await;
    Ok(())
}

fn subject(main_zone: &str) -> Subject {
    Subject {
        zone: zone_name(),
        alias_names: vec![ALIAS_NAME.parse().unwrap()],
        main_zones: vec![MainZone {
            zone: main_zone.parse().unwrap(),
            challenge_names: vec![format!("_acme-challenge.{main_zone}").parse().unwrap()],
            servers: Ok(Vec::new()),
        }],
    }
}

#[tokio::test]
async fn an_audit_finds_every_zone_of_the_server_and_changes_nothing() -> Result {
    let server = PowerDns::start_with_api(KEY)?;
    let provider = provider_at(server.api());
    let state = "select count(*), max(content) from records; select count(*) from domainmetadata;";
    let before = server.sql(state)?;
    let audit = provider.audit(&subject("example.com")).await.unwrap();
    assert_eq!(audit.grade(), Grade::Dangerous, "{audit:?}");
    assert!(
        audit.advice[0].text.contains("TSIG-ALLOW-DNSUPDATE"),
        "{audit:?}"
    );
    assert_eq!(server.sql(state)?, before);

    server.util(&["create-zone", "example.com"])?;
    server.util(&["create-zone", "example.org"])?;
    let before = server.sql(state)?;
    let audit = provider.audit(&subject("example.com")).await.unwrap();
    assert_eq!(audit.grade(), Grade::Fatal, "{audit:?}");
    let Audit { rights, .. } = &audit;
    for zone in ["example.com", "example.org"] {
        let words = format!("every record of {zone}");
        assert!(
            rights.iter().any(|right| right.right == words),
            "{rights:?}"
        );
    }
    assert_eq!(server.sql(state)?, before);
    Ok(())
}
