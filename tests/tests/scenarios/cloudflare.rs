//! What Cloudflare's API says no to, each with its own words; and what the conformance suite does
//! not ask for.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail as they do")]

mod audits;

use std::sync::Arc;
use std::time::Duration;

use acme_alias_cloudflare::{ApiToken, Cloudflare};
use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Failure, TxtProvider};
use acme_alias_core::txt::{Action, TxtChange};
use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, CloudflareFake, Injected, Result, Token};

use crate::backend::{add, change, refused, zone_name};

const TOKEN: &str = "a-token-that-nobody-shall-see";

fn may_edit(zones: &[&String]) -> Token {
    let zones: Vec<_> = zones.iter().copied().cloned().collect();
    Token {
        status: "active",
        dns_read: zones.clone(),
        dns_edit: zones,
        zone_read: true,
        expires_on: None,
    }
}

/// The fake with the alias zone and a token for it; returns the zone's id as well.
fn start() -> Result<(CloudflareFake, String)> {
    let fake = CloudflareFake::start()?;
    let zone = fake.add_zone(ALIAS_ZONE);
    fake.add_token(TOKEN, may_edit(&[&zone]));
    Ok((fake, zone))
}

fn provider(fake: &CloudflareFake) -> Cloudflare {
    Cloudflare::new(ApiToken::new(TOKEN).unwrap())
        .with_base_url(fake.base_url().parse().unwrap())
        .with_timeout(Duration::from_secs(1))
}

/// A provider that is given the zone's id.
fn provider_of(fake: &CloudflareFake, zone_id: &str) -> Cloudflare {
    provider(fake).with_zone_id(zone_id.parse().unwrap())
}

fn refusal(status: u16, code: u32, message: &str) -> Injected {
    let body = format!(
        r#"{{"success":false,"errors":[{{"code":{code},"message":"{message}"}}],"result":null}}"#
    );
    Injected::Answer(status, Vec::new(), body)
}

#[tokio::test]
async fn unknown_expired_and_read_only_tokens_have_different_errors() -> Result {
    let fake = CloudflareFake::start()?;
    let zone = fake.add_zone(ALIAS_ZONE);
    let provider = provider(&fake);
    refused(
        &provider,
        Failure::Denied,
        &["does not know the token", "`api-token`"],
    )
    .await;

    let expired = Token {
        status: "expired",
        ..may_edit(&[&zone])
    };
    fake.add_token(TOKEN, expired);
    refused(&provider, Failure::Denied, &["it is expired", "new token"]).await;

    let read_only = Token {
        dns_read: vec![zone.clone()],
        dns_edit: Vec::new(),
        ..may_edit(&[])
    };
    fake.add_token(TOKEN, read_only);
    let with_id = provider_of(&fake, &zone);
    refused(
        &with_id,
        Failure::Denied,
        &["edit the zone", "DNS:Edit", ALIAS_ZONE],
    )
    .await;
    assert_eq!(fake.records(&zone), []);
    Ok(())
}

#[tokio::test]
async fn a_zone_that_the_token_does_not_see_is_an_error() -> Result {
    let (fake, _) = start()?;
    fake.add_token(TOKEN, may_edit(&[]));
    let provider = provider(&fake);
    refused(
        &provider,
        Failure::Rejected,
        &["sees no zone auth.example.net", "`zone-id`"],
    )
    .await;
    Ok(())
}

#[tokio::test]
async fn two_zones_of_one_name_are_an_error_that_names_both_until_one_is_chosen() -> Result {
    let (fake, one) = start()?;
    let other = fake.add_zone(ALIAS_ZONE);
    fake.set_name_servers(&other, &["carl.ns.cloudflare.com"]);
    fake.add_token(TOKEN, may_edit(&[&one, &other]));
    let provider = provider(&fake);
    let words = [
        "2 zones",
        &format!("{one} (at anna.ns.cloudflare.com and bob.ns.cloudflare.com)"),
        &format!("{other} (at carl.ns.cloudflare.com)"),
        "`zone-id`",
    ];
    refused(&provider, Failure::Rejected, &words).await;
    let error = provider.values(&zone_name(), &[]).await.unwrap_err();
    let chosen = error.zones.iter().find(|zone| zone.id == other);
    provider.choose(&zone_name(), chosen.unwrap()).await;
    add(&provider).await.unwrap();
    let written = [&one, &other].map(|zone| fake.records(zone).len());
    assert_eq!(written, [0, 1]);
    Ok(())
}

#[tokio::test]
async fn the_servers_of_a_zone_are_known_to_a_token_that_may_read_it() -> Result {
    let (fake, zone) = start()?;
    let servers = |provider: Cloudflare| async move {
        let servers = provider.name_servers(&zone_name()).await.unwrap();
        servers.map(|servers| servers.iter().map(DnsName::to_string).collect::<Vec<_>>())
    };
    let both = ["anna.ns.cloudflare.com", "bob.ns.cloudflare.com"].map(str::to_owned);
    for provider in [provider(&fake), provider_of(&fake, &zone)] {
        assert_eq!(servers(provider).await, Some(both.to_vec()));
    }
    // The lookup and the check of the id had them.
    assert_eq!(fake.requests().len(), 2);
    let zone_read = false;
    let may = may_edit(&[&zone]);
    fake.add_token(TOKEN, Token { zone_read, ..may });
    assert_eq!(servers(provider_of(&fake, &zone)).await, None);
    Ok(())
}

#[tokio::test]
async fn of_two_zones_of_one_name_the_active_one_is_written() -> Result {
    let (fake, pending) = start()?;
    let active = fake.add_zone(ALIAS_ZONE);
    fake.set_status(&pending, "pending");
    fake.add_token(TOKEN, may_edit(&[&pending, &active]));
    add(&provider(&fake)).await.unwrap();
    assert_eq!(fake.records(&pending).len(), 0);
    assert_eq!(fake.records(&active).len(), 1);
    Ok(())
}

#[tokio::test]
async fn nothing_is_written_in_a_zone_that_is_not_active() -> Result {
    for status in ["pending", "moved", "initializing", "deactivated"] {
        let (fake, zone) = start()?;
        fake.set_status(&zone, status);
        for provider in [provider(&fake), provider_of(&fake, &zone)] {
            let words = ["is not active", status, &zone, "anna.ns.cloudflare.com"];
            refused(&provider, Failure::Rejected, &words).await;
            let reading = provider.values(&zone_name(), &[]).await.unwrap_err();
            assert_eq!(reading.failure, Failure::Rejected, "{reading}");
        }
        assert!(!fake.requests().iter().any(|(method, _)| method == "POST"));
    }
    Ok(())
}

#[tokio::test]
async fn with_a_wrong_zone_id_nothing_is_written() -> Result {
    let (fake, zone) = start()?;
    let nowhere = provider_of(&fake, &"f".repeat(32));
    refused(&nowhere, Failure::Denied, &["`zone-id`", "10000"]).await;

    // The zone of another name, without a record and with one: the token may ask for it, or not.
    let other = fake.add_zone("example.org");
    for (zone_read, found) in [
        (true, "example.org"),
        (false, "example.org"),
        (true, "example.org"),
        (false, "www.example.org"),
    ] {
        let may = may_edit(&[&zone, &other]);
        fake.add_token(TOKEN, Token { zone_read, ..may });
        let provider = provider_of(&fake, &other);
        let there = fake.records(&other);
        let words = ["`zone-id` is not that of", &format!("contains {found}")];
        refused(&provider, Failure::Rejected, &words).await;
        let reading = provider.values(&zone_name(), &[]).await.unwrap_err();
        assert_eq!(reading.failure, Failure::Rejected, "{reading}");
        assert_eq!(fake.records(&other), there);
        assert!(!fake.requests().iter().any(|(method, _)| method == "POST"));
        if !zone_read {
            fake.add_record(&other, "A", "www.example.org", "192.0.2.1");
        }
    }
    Ok(())
}

/// What stands before the zone's id in a path may change; then the id is all that can be wrong.
#[tokio::test]
async fn a_zone_id_without_a_zone_is_an_error() -> Result {
    let (fake, zone) = start()?;
    fake.inject(|_, path| {
        let gone = refusal(404, 7_003, "Could not route");
        path.contains("/dns_records").then_some(gone)
    });
    let provider = provider_of(&fake, &zone);
    refused(&provider, Failure::Rejected, &["7003", "`zone-id`"]).await;
    Ok(())
}

#[tokio::test]
async fn an_account_token_is_not_verified_as_a_user_token() -> Result {
    let fake = CloudflareFake::start()?;
    let token = "cfat_nobody-shall-see";
    let token = ApiToken::new(token).unwrap();
    let provider = Cloudflare::new(token).with_base_url(fake.base_url().parse().unwrap());
    let words = ["refused the token", "9109", "from this address"];
    refused(&provider, Failure::Denied, &words).await;
    assert!(
        !fake
            .requests()
            .iter()
            .any(|(_, path)| path.ends_with("/verify"))
    );
    Ok(())
}

#[tokio::test]
async fn the_refusal_of_an_active_token_has_the_reason() -> Result {
    let (fake, zone) = start()?;
    let provider = provider_of(&fake, &zone);
    for status in [401, 403] {
        fake.inject(move |_, path| {
            let elsewhere = "Cannot use the access token from location: 192.0.2.1";
            path.contains("/zones/")
                .then(|| refusal(status, 9_109, elsewhere))
        });
        let words = ["from location: 192.0.2.1", "DNS:Edit"];
        refused(&provider, Failure::Denied, &words).await;
    }
    assert_eq!(fake.records(&zone), []);
    Ok(())
}

#[tokio::test]
async fn with_a_zone_id_the_token_needs_no_more_than_dns_edit() -> Result {
    let (fake, zone) = start()?;
    let may = may_edit(&[&zone]);
    fake.add_token(
        TOKEN,
        Token {
            zone_read: false,
            expires_on: None,
            ..may
        },
    );
    add(&provider_of(&fake, &zone)).await.unwrap();
    assert_eq!(fake.records(&zone).len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_full_zone_and_a_cname_have_their_own_errors() -> Result {
    let (fake, zone) = start()?;
    let provider = provider(&fake);
    fake.set_quota(0);
    refused(&provider, Failure::Rejected, &["81045", "zone is full"]).await;
    fake.set_quota(10);
    fake.add_record(&zone, "CNAME", ALIAS_NAME, "elsewhere.example");
    refused(&provider, Failure::Conflict, &["81054", "CNAME"]).await;
    Ok(())
}

#[tokio::test]
async fn a_long_pause_is_an_error_for_all_providers_with_the_token() -> Result {
    let (fake, zone) = start()?;
    fake.inject(|method, _| {
        let headers = vec![
            ("retry-after", "240"),
            ("ratelimit", "\"default\";r=0;t=240"),
        ];
        (method == "POST").then(|| Injected::Answer(429, headers, String::new()))
    });
    let first = provider(&fake);
    let error = add(&first).await.unwrap_err();
    let throttled = Failure::Throttled {
        retry_after: Some(Duration::from_mins(4)),
    };
    assert_eq!(error.failure, throttled, "{error}");
    assert!(error.to_string().contains("240 s"), "{error}");

    // Nothing more is asked for, by another provider either, until the time has come.
    let asked = fake.requests().len();
    let second = provider_of(&fake, &zone);
    let error = add(&second).await.unwrap_err();
    let Failure::Throttled {
        retry_after: Some(rest),
    } = error.failure
    else {
        panic!("{error}");
    };
    assert!(rest > Duration::from_mins(3), "{rest:?}");
    assert_eq!(fake.requests().len(), asked);
    Ok(())
}

#[tokio::test]
async fn a_short_pause_is_waited() -> Result {
    let (fake, zone) = start()?;
    let times = std::sync::atomic::AtomicUsize::new(0);
    fake.inject(move |method, _| {
        let first =
            method == "POST" && times.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        first.then(|| Injected::Answer(429, vec![("retry-after", "0")], String::new()))
    });
    add(&provider(&fake)).await.unwrap();
    assert_eq!(fake.records(&zone).len(), 1);
    Ok(())
}

#[tokio::test]
async fn after_an_answer_that_is_not_the_api_s_the_outcome_is_unknown() -> Result {
    let (fake, _) = start()?;
    let provider = provider(&fake);
    for (status, words) in [(502, "answered 502"), (200, "not the API's")] {
        fake.inject(move |method, _| {
            let html = "<html><h1>Bad gateway</h1></html>".to_owned();
            (method == "POST").then_some(Injected::Answer(status, Vec::new(), html))
        });
        refused(&provider, Failure::UnknownOutcome, &[words]).await;
    }
    fake.inject(|method, _| (method == "POST").then_some(Injected::Silence));
    refused(&provider, Failure::UnknownOutcome, &["no answer within 1s"]).await;
    // Reading changes nothing: whatever goes wrong there, the outcome is known.
    fake.inject(|_, _| Some(refusal(500, 1, "oops")));
    refused(&provider, Failure::Unavailable, &["answered 500", "oops"]).await;
    Ok(())
}

#[tokio::test]
async fn a_dead_endpoint_is_an_error_with_its_host() -> Result {
    let (fake, _) = start()?;
    let url = "http://127.0.0.1:1/client/v4".parse().unwrap();
    let provider = provider(&fake).with_base_url(url);
    refused(
        &provider,
        Failure::Unavailable,
        &["127.0.0.1", "could not be reached"],
    )
    .await;
    Ok(())
}

#[tokio::test]
async fn a_record_that_another_program_made_meanwhile_is_a_success() -> Result {
    let (fake, zone) = start()?;
    let provider = provider(&fake);
    let shared = Arc::new(fake);
    let (hand, zone_id) = (Arc::downgrade(&shared), zone.clone());
    // Between the reading and the first write, another hand makes the very record.
    let done = std::sync::atomic::AtomicBool::new(false);
    shared.inject(move |method, _| {
        let first = method == "POST" && !done.swap(true, std::sync::atomic::Ordering::SeqCst);
        if first {
            hand.upgrade()?
                .add_record(&zone_id, "TXT", ALIAS_NAME, "\"v\"");
        }
        None
    });
    add(&provider).await.unwrap();
    assert_eq!(shared.records(&zone).len(), 1);
    Ok(())
}

#[tokio::test]
async fn all_pages_are_read_and_values_may_be_quoted_or_not() -> Result {
    let (fake, zone) = start()?;
    for i in 0..250 {
        fake.add_record(
            &zone,
            "TXT",
            &format!("other{i}.{ALIAS_ZONE}"),
            "\"foreign\"",
        );
    }
    let name = |i: usize| format!("n{i}.{ALIAS_ZONE}");
    fake.add_record(&zone, "TXT", &name(0), "bare");
    fake.add_record(&zone, "TXT", &name(1), "\"spl\" \"it\"");
    fake.add_record(&zone, "A", &name(2), "192.0.2.1");
    let provider = provider(&fake);
    let names: Vec<DnsName> = (0..5).map(|i| name(i).parse().unwrap()).collect();
    let sets = provider.values(&zone_name(), &names).await.unwrap();
    let values: Vec<_> = sets
        .values()
        .flat_map(|set| &set.values)
        .map(ToString::to_string)
        .collect();
    assert_eq!(values, ["bare", "split"]);

    let removals = [
        change(Action::Remove, &name(0), "bare"),
        change(Action::Remove, &name(1), "split"),
        change(Action::Remove, &name(2), "192.0.2.1"),
        change(Action::Remove, &name(3), "not there"),
    ];
    provider.apply(&zone_name(), &removals).await.unwrap();
    let left = fake.records(&zone);
    assert_eq!(left.len(), 251, "the foreign ones, and the address");
    Ok(())
}

#[tokio::test]
async fn two_hundred_changes_are_one_batch_and_more_are_two() -> Result {
    let (fake, zone) = start()?;
    let provider = provider(&fake);
    let adds: Vec<_> = (0..201)
        .map(|i| change(Action::Add, &format!("h{i}.{ALIAS_ZONE}"), "v"))
        .collect();
    let applied = provider.apply(&zone_name(), &adds[..200]).await.unwrap();
    assert_eq!(applied.requests, 1);
    let applied = provider.apply(&zone_name(), &adds).await.unwrap();
    assert_eq!(applied.requests, 1, "only what is missing is sent");
    assert_eq!(fake.records(&zone).len(), 201);
    let small = self::provider(&fake).with_batch_size(50);
    let removals: Vec<_> = adds
        .iter()
        .map(|add| TxtChange {
            action: Action::Remove,
            ..add.clone()
        })
        .collect();
    let applied = small.apply(&zone_name(), &removals).await.unwrap();
    assert_eq!(applied.requests, 5);
    Ok(())
}
