//! What Cloudflare's API says no to, each with its own words; and what the conformance suite does
//! not ask for.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail as they do")]

use std::sync::Arc;
use std::time::Duration;

use acme_alias_cloudflare::{Cloudflare, Config};
use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Failure, OptionValue, Options, TxtProvider};
use acme_alias_core::registry::find;
use acme_alias_core::rights::{Audit, Grade, KeyRights, MainZone, Subject, Verdict};
use acme_alias_core::txt::{Action, TxtChange};
use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, CloudflareFake, Error, Injected, Result, Token};

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

fn provider(fake: &CloudflareFake, more: &[(&str, &str)]) -> Arc<Cloudflare> {
    let kind = find("cloudflare").unwrap();
    let mut values = vec![
        ("api-token".to_owned(), OptionValue::Secret(TOKEN.into())),
        ("base-url".to_owned(), OptionValue::Text(fake.base_url())),
        ("timeout".to_owned(), OptionValue::Text("1s".to_owned())),
    ];
    for (name, text) in more {
        values.retain(|(known, _)| known != name);
        values.push(((*name).to_owned(), OptionValue::Text((*text).to_owned())));
    }
    let options = Options::new(kind.options, values).unwrap();
    let config = Config::from_options(&options).unwrap();
    Arc::new(Cloudflare::new(config).unwrap())
}

fn refusal(status: u16, code: u32, message: &str) -> Injected {
    let body = format!(
        r#"{{"success":false,"errors":[{{"code":{code},"message":"{message}"}}],"result":null}}"#
    );
    Injected::Answer(status, Vec::new(), body)
}

#[tokio::test]
async fn an_unknown_token_is_told_from_an_expired_one_and_from_one_that_may_not() -> Result {
    let fake = CloudflareFake::start()?;
    let zone = fake.add_zone(ALIAS_ZONE);
    let provider = provider(&fake, &[]);
    refused(
        &*provider,
        Failure::Denied,
        &["does not know the token", "`api-token`"],
    )
    .await;

    let expired = Token {
        status: "expired",
        ..may_edit(&[&zone])
    };
    fake.add_token(TOKEN, expired);
    refused(&*provider, Failure::Denied, &["it is expired", "new token"]).await;

    let read_only = Token {
        dns_read: vec![zone.clone()],
        dns_edit: Vec::new(),
        ..may_edit(&[])
    };
    fake.add_token(TOKEN, read_only);
    let with_id = self::provider(&fake, &[("zone-id", &zone)]);
    refused(
        &*with_id,
        Failure::Denied,
        &["edit the zone", "DNS:Edit", ALIAS_ZONE],
    )
    .await;
    assert_eq!(fake.records(&zone), []);
    Ok(())
}

#[tokio::test]
async fn a_zone_that_the_token_does_not_see_is_told() -> Result {
    let (fake, _) = start()?;
    fake.add_token(TOKEN, may_edit(&[]));
    let provider = provider(&fake, &[]);
    refused(
        &*provider,
        Failure::Rejected,
        &["sees no zone auth.example.net", "`zone-id`"],
    )
    .await;
    Ok(())
}

#[tokio::test]
async fn two_zones_of_one_name_are_not_guessed_between() -> Result {
    let (fake, one) = start()?;
    let other = fake.add_zone(ALIAS_ZONE);
    fake.add_token(TOKEN, may_edit(&[&one, &other]));
    let provider = provider(&fake, &[]);
    refused(
        &*provider,
        Failure::Rejected,
        &["2 zones", &one, &other, "`zone-id`"],
    )
    .await;
    Ok(())
}

#[tokio::test]
async fn a_zone_id_that_is_wrong_writes_nothing() -> Result {
    let (fake, zone) = start()?;
    let nowhere = provider(&fake, &[("zone-id", &"f".repeat(32))]);
    refused(&*nowhere, Failure::Denied, &["`zone-id`", "10000"]).await;

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
        let provider = provider(&fake, &[("zone-id", &other)]);
        let there = fake.records(&other);
        let words = ["`zone-id` is not that of", &format!("there is {found}")];
        refused(&*provider, Failure::Rejected, &words).await;
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
async fn an_id_that_leads_nowhere_is_told() -> Result {
    let (fake, zone) = start()?;
    fake.inject(|_, path| {
        let gone = refusal(404, 7_003, "Could not route");
        path.contains("/dns_records").then_some(gone)
    });
    let provider = provider(&fake, &[("zone-id", &zone)]);
    refused(&*provider, Failure::Rejected, &["7003", "`zone-id`"]).await;
    Ok(())
}

#[tokio::test]
async fn an_accounts_token_is_not_asked_for_among_the_users() -> Result {
    let fake = CloudflareFake::start()?;
    let token = "cfat_nobody-shall-see";
    let kind = find("cloudflare").unwrap();
    let values = vec![
        ("api-token".to_owned(), OptionValue::Secret(token.into())),
        ("base-url".to_owned(), OptionValue::Text(fake.base_url())),
    ];
    let options = Options::new(kind.options, values).unwrap();
    let config = Config::from_options(&options).unwrap();
    let provider = Arc::new(Cloudflare::new(config).unwrap());
    let words = ["refused the token", "9109", "from this address"];
    refused(&*provider, Failure::Denied, &words).await;
    assert!(
        !fake
            .requests()
            .iter()
            .any(|(_, path)| path.ends_with("/verify"))
    );
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_refused_while_it_is_active_is_told_with_the_reason() -> Result {
    let (fake, zone) = start()?;
    let provider = provider(&fake, &[("zone-id", &zone)]);
    for status in [401, 403] {
        fake.inject(move |_, path| {
            let elsewhere = "Cannot use the access token from location: 192.0.2.1";
            path.contains("/zones/")
                .then(|| refusal(status, 9_109, elsewhere))
        });
        let words = ["from location: 192.0.2.1", "DNS:Edit"];
        refused(&*provider, Failure::Denied, &words).await;
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
    add(&*provider(&fake, &[("zone-id", &zone)])).await.unwrap();
    assert_eq!(fake.records(&zone).len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_full_zone_and_a_cname_in_the_way_are_told() -> Result {
    let (fake, zone) = start()?;
    let provider = provider(&fake, &[]);
    fake.set_quota(0);
    refused(&*provider, Failure::Rejected, &["81045", "zone is full"]).await;
    fake.set_quota(10);
    fake.add_record(&zone, "CNAME", ALIAS_NAME, "elsewhere.example");
    refused(&*provider, Failure::Conflict, &["81054", "CNAME"]).await;
    Ok(())
}

#[tokio::test]
async fn a_long_wait_is_told_and_holds_for_all_who_have_the_token() -> Result {
    let (fake, zone) = start()?;
    fake.inject(|method, _| {
        let headers = vec![
            ("retry-after", "240"),
            ("ratelimit", "\"default\";r=0;t=240"),
        ];
        (method == "POST").then(|| Injected::Answer(429, headers, String::new()))
    });
    let first = provider(&fake, &[]);
    let error = add(&*first).await.unwrap_err();
    let throttled = Failure::Throttled {
        retry_after: Some(Duration::from_mins(4)),
    };
    assert_eq!(error.failure, throttled, "{error}");
    assert!(error.to_string().contains("240 s"), "{error}");

    // Nothing more is asked for, by another provider either, until the time has come.
    let asked = fake.requests().len();
    let second = provider(&fake, &[("zone-id", &zone)]);
    let error = add(&*second).await.unwrap_err();
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
async fn a_short_wait_is_waited() -> Result {
    let (fake, zone) = start()?;
    let times = std::sync::atomic::AtomicUsize::new(0);
    fake.inject(move |method, _| {
        let first =
            method == "POST" && times.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        first.then(|| Injected::Answer(429, vec![("retry-after", "0")], String::new()))
    });
    add(&*provider(&fake, &[])).await.unwrap();
    assert_eq!(fake.records(&zone).len(), 1);
    Ok(())
}

#[tokio::test]
async fn answers_that_are_not_the_api_s_leave_the_outcome_open() -> Result {
    let (fake, _) = start()?;
    let provider = provider(&fake, &[]);
    for (status, words) in [(502, "answered 502"), (200, "not the API's")] {
        fake.inject(move |method, _| {
            let html = "<html><h1>Bad gateway</h1></html>".to_owned();
            (method == "POST").then_some(Injected::Answer(status, Vec::new(), html))
        });
        refused(&*provider, Failure::UnknownOutcome, &[words]).await;
    }
    fake.inject(|method, _| (method == "POST").then_some(Injected::Silence));
    refused(
        &*provider,
        Failure::UnknownOutcome,
        &["no answer within 1s"],
    )
    .await;
    // Reading changes nothing: whatever goes wrong there, the outcome is known.
    fake.inject(|_, _| Some(refusal(500, 1, "oops")));
    refused(&*provider, Failure::Unavailable, &["answered 500", "oops"]).await;
    Ok(())
}

#[tokio::test]
async fn a_dead_endpoint_is_told_with_its_host() -> Result {
    let (fake, _) = start()?;
    let url = "http://127.0.0.1:1/client/v4";
    let provider = provider(&fake, &[("base-url", url)]);
    refused(
        &*provider,
        Failure::Unavailable,
        &["127.0.0.1", "could not be reached"],
    )
    .await;
    Ok(())
}

#[tokio::test]
async fn a_record_that_somebody_else_made_meanwhile_is_a_success() -> Result {
    let (fake, zone) = start()?;
    let provider = provider(&fake, &[]);
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
    add(&*provider).await.unwrap();
    assert_eq!(shared.records(&zone).len(), 1);
    Ok(())
}

#[tokio::test]
async fn pages_are_turned_and_both_ways_to_write_a_value_are_known() -> Result {
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
    let provider = provider(&fake, &[]);
    let names: Vec<DnsName> = (0..5).map(|i| name(i).parse().unwrap()).collect();
    let sets = provider.values(&zone_name(), &names).await.unwrap();
    let values: Vec<_> = sets.values().flatten().map(ToString::to_string).collect();
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
    let provider = provider(&fake, &[]);
    let adds: Vec<_> = (0..201)
        .map(|i| change(Action::Add, &format!("h{i}.{ALIAS_ZONE}"), "v"))
        .collect();
    let applied = provider.apply(&zone_name(), &adds[..200]).await.unwrap();
    assert_eq!(applied.requests, 1);
    let applied = provider.apply(&zone_name(), &adds).await.unwrap();
    assert_eq!(applied.requests, 1, "only what is missing is sent");
    assert_eq!(fake.records(&zone).len(), 201);
    let small = self::provider(&fake, &[("batch-size", "50")]);
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

#[tokio::test]
async fn an_audit_tells_which_zones_a_token_can_change_and_changes_none() -> Result {
    let (fake, zone) = start()?;
    let (other, main) = (fake.add_zone("example.org"), fake.add_zone("example.com"));
    let subject = Subject {
        zone: zone_name(),
        alias_names: vec![ALIAS_NAME.parse().unwrap()],
        main_zones: vec![MainZone {
            zone: "example.com".parse().unwrap(),
            challenge_names: vec!["_acme-challenge.example.com".parse().unwrap()],
            servers: Ok(Vec::new()),
        }],
    };
    let provider = provider(&fake, &[("zone-id", &zone)]);
    for (may, grade) in [
        (may_edit(&[&zone]), Grade::Wide),
        (may_edit(&[&zone, &other]), Grade::Dangerous),
        (may_edit(&[&zone, &other, &main]), Grade::Fatal),
    ] {
        fake.add_token(TOKEN, may);
        let written = posts(&fake);
        let rights = provider.audit(&subject).await.unwrap().rights;
        assert_eq!(posts(&fake), written, "it writes nothing");
        assert_eq!(Grade::of(&rights), grade, "{rights:?}");
        assert!(
            rights[0].evidence.contains("the token is active"),
            "{rights:?}"
        );
        for (id, name, in_words) in [
            (&zone, ALIAS_ZONE, "every other record of auth.example.net"),
            (&other, "example.org", "every record of example.org"),
            (&main, "example.com", "every record of example.com"),
        ] {
            let said = rights.iter().find(|right| right.right == in_words);
            let said = said.is_some_and(|right| right.verdict == Verdict::Allowed);
            assert_eq!(may_create(&fake, id, name).await?, said, "{rights:?}");
        }
    }
    // What is seen and cannot be changed is no right, and a date is told.
    let sees_more = Token {
        dns_read: vec![zone.clone(), other.clone()],
        expires_on: Some("2027-01-01T00:00:00Z"),
        ..may_edit(&[&zone])
    };
    fake.add_token(TOKEN, sees_more);
    let audit = provider.audit(&subject).await.unwrap();
    assert_eq!(
        (audit.grade(), audit.advice.len()),
        (Grade::Wide, 0),
        "{audit:?}"
    );
    assert_eq!(audit.rights[2].verdict, Verdict::Denied, "{audit:?}");
    assert!(
        audit.rights[0].evidence.contains("until 2027-01-01"),
        "{audit:?}"
    );

    // What it may not list is not known.
    let blind = Token {
        zone_read: false,
        ..may_edit(&[&zone, &main])
    };
    fake.add_token(TOKEN, blind);
    let audit = provider.audit(&subject).await.unwrap();
    assert_eq!(audit.grade(), Grade::CannotTell, "{audit:?}");
    assert!(
        audit.advice[0].text.contains("Zone, Zone, Read"),
        "{audit:?}"
    );

    let read_only = Token {
        dns_edit: Vec::new(),
        ..may_edit(&[&zone])
    };
    fake.add_token(TOKEN, read_only);
    let Audit { rights, .. } = provider.audit(&subject).await.unwrap();
    assert_eq!(rights[0].verdict, Verdict::CannotTell, "{rights:?}");
    assert!(
        rights[0].evidence.contains("deleting a record is refused"),
        "{rights:?}"
    );
    assert_eq!(Grade::of(&rights), Grade::CannotTell);
    assert!(!may_create(&fake, &zone, ALIAS_ZONE).await?);
    Ok(())
}

fn posts(fake: &CloudflareFake) -> usize {
    let requests = fake.requests();
    let posts = requests.iter().filter(|(method, _)| method == "POST");
    posts.count()
}

/// Whether the token may make a record, found out by making it.
async fn may_create(fake: &CloudflareFake, zone: &str, name: &str) -> Result<bool> {
    let content = posts(fake);
    let body =
        format!(r#"{{"type":"TXT","name":"tried.{name}","content":"\"{content}\"","ttl":60}}"#);
    let url = format!("{}/zones/{zone}/dns_records", fake.base_url());
    let request = reqwest::Client::new().post(url).bearer_auth(TOKEN);
    let answer = request
        .header("Content-Type", "application/json")
        .body(body)
        .send()
        .await?;
    match answer.status().as_u16() {
        200 => Ok(true),
        403 => Ok(false),
        _ => Err(Error::new(answer.text().await?)),
    }
}
