//! Route 53: which zone is meant, what stays as it is, and what moto does not do.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail as they do")]

mod audits;

use std::net::SocketAddr;
use std::time::Duration;

use acme_alias_core::provider::{Failure, TxtProvider};
use acme_alias_core::txt::Action;
use acme_alias_route53::Route53;
use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Moto, Reply, Result, Stub};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_route53::config::{Credentials, SharedCredentialsProvider};

use crate::backend::{add, change, refused, zone_name};

pub(crate) const SECRET_KEY: &str = "a-key-that-nobody-shall-see";

/// A provider with credentials of its own, at this address.
pub(crate) fn provider_at(address: SocketAddr) -> Route53 {
    let endpoint = format!("http://{address}");
    let credentials = Credentials::new("AKIDEXAMPLE", SECRET_KEY, None, None, "test");
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    Route53::new()
        .with_sdk_config(sdk.build())
        .with_endpoint_url(endpoint.parse().unwrap())
}

/// The same, with the zone's id.
fn provider_of(address: SocketAddr, zone_id: &str) -> Route53 {
    provider_at(address).with_hosted_zone_id(zone_id.parse().unwrap())
}

#[tokio::test]
async fn the_public_zone_of_the_name_is_found_and_two_are_an_error_until_one_is_chosen() -> Result {
    let moto = Moto::start()?;
    let none = provider_at(moto.address());
    refused(
        &none,
        Failure::Rejected,
        &["no hosted zone auth.example.net", "`profile`"],
    )
    .await;
    moto.add_zone(ALIAS_ZONE, true)?;
    refused(
        &none,
        Failure::Rejected,
        &["is private", "public hosted zone"],
    )
    .await;
    let public = moto.add_zone(ALIAS_ZONE, false)?;
    add(&none).await.unwrap();
    assert!(moto.sets(&public)?.contains("<Value>\"v\"</Value>"));

    let other = moto.add_zone(ALIAS_ZONE, false)?;
    let provider = provider_at(moto.address());
    refused(
        &provider,
        Failure::Rejected,
        &["2 public", &public, &other, "`hosted-zone-id`"],
    )
    .await;
    let chosen = provider_of(moto.address(), &other);
    add(&chosen).await.unwrap();
    assert!(moto.sets(&other)?.contains("<Value>\"v\"</Value>"));

    moto.put_set(&other, ALIAS_ZONE, "NS", 60, &["ns.example.org."])?;
    let error = provider.values(&zone_name(), &[]).await.unwrap_err();
    let shown = format!("{other} (at ns.example.org)");
    assert!(error.what.contains(&shown), "{error}");
    let chosen = error.zones.iter().find(|zone| zone.id == other);
    provider.choose(&zone_name(), chosen.unwrap()).await;
    let servers = provider.name_servers(&zone_name()).await.unwrap();
    assert_eq!(servers, Some(vec!["ns.example.org".parse().unwrap()]));
    let names = [ALIAS_NAME.parse().unwrap()];
    let there = provider.values(&zone_name(), &names).await.unwrap();
    assert_eq!(there.len(), 1);

    let nowhere = provider_of(moto.address(), "Z00000000000000000000");
    refused(
        &nowhere,
        Failure::Rejected,
        &["NoSuchHostedZone", "`hosted-zone-id`"],
    )
    .await;
    Ok(())
}

#[tokio::test]
async fn nothing_is_written_in_a_private_zone_whose_id_is_configured() -> Result {
    let moto = Moto::start()?;
    let private = moto.add_zone(ALIAS_ZONE, true)?;
    let before = moto.sets(&private)?;
    let words = ["`hosted-zone-id`", "private hosted zone"];
    refused(
        &provider_of(moto.address(), &private),
        Failure::Rejected,
        &words,
    )
    .await;
    let public = moto.add_zone(ALIAS_ZONE, false)?;
    let words = ["private hosted zone", "the public one", &public];
    refused(
        &provider_of(moto.address(), &private),
        Failure::Rejected,
        &words,
    )
    .await;
    assert_eq!(moto.sets(&private)?, before);
    add(&provider_of(moto.address(), &public)).await.unwrap();
    Ok(())
}

#[tokio::test]
async fn foreign_values_and_the_ttl_survive() -> Result {
    let moto = Moto::start()?;
    let zone = moto.add_zone(ALIAS_ZONE, false)?;
    moto.put_set(
        &zone,
        ALIAS_NAME,
        "TXT",
        3600,
        &["\"fo\" \"reign\"", "\"\\073\""],
    )?;
    let provider = provider_at(moto.address());
    add(&provider).await.unwrap();
    let sets = moto.sets(&zone)?;
    for part in ["<TTL>3600</TTL>", "\"fo\" \"reign\"", "\"\\073\"", "\"v\""] {
        assert!(sets.contains(part), "{part}: {sets}");
    }
    let names = [ALIAS_NAME.parse().unwrap()];
    let there = provider.values(&zone_name(), &names).await.unwrap();
    let there: Vec<_> = there
        .values()
        .flat_map(|set| &set.values)
        .map(ToString::to_string)
        .collect();
    assert_eq!(there, [";", "foreign", "v"]);
    let removal = [change(Action::Remove, ALIAS_NAME, "v")];
    provider.apply(&zone_name(), &removal).await.unwrap();
    let sets = moto.sets(&zone)?;
    assert!(
        sets.contains("\"fo\" \"reign\"") && !sets.contains("\"v\""),
        "{sets}"
    );
    Ok(())
}

/// The provider at a stub; the id saves it from looking for the zone.
fn provider_at_stub(stub: &Stub) -> Route53 {
    provider_of(stub.address(), "Z1").with_timeout(Duration::from_millis(500))
}

fn is_change(method: &str) -> bool {
    method == "POST"
}

/// The apex, and the alias name with these values, as `ListResourceRecordSets` answers.
fn listed(values: &[&str]) -> Reply {
    let records = values
        .iter()
        .map(|value| format!("<ResourceRecord><Value>\"{value}\"</Value></ResourceRecord>"));
    let records = records.collect::<Vec<_>>().concat();
    let set = format!(
        "<ResourceRecordSet><Name>{ALIAS_NAME}.</Name><Type>TXT</Type><TTL>60</TTL>\
         <ResourceRecords>{records}</ResourceRecords></ResourceRecordSet>"
    );
    let set = if values.is_empty() { "" } else { &set };
    let body = format!(
        "<ListResourceRecordSetsResponse><ResourceRecordSets><ResourceRecordSet>\
         <Name>{ALIAS_ZONE}.</Name><Type>NS</Type></ResourceRecordSet>{set}</ResourceRecordSets>\
         <IsTruncated>false</IsTruncated><MaxItems>1</MaxItems></ListResourceRecordSetsResponse>"
    );
    Reply::Answer(200, body)
}

fn changed(tag: &str, status: &str) -> Reply {
    let body = format!(
        "<{tag}><ChangeInfo><Id>/change/C1</Id><Status>{status}</Status>\
         <SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo></{tag}>"
    );
    Reply::Answer(200, body)
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>0</RequestId></ErrorResponse>"
    );
    Reply::Answer(status, body)
}

const CHANGED: &str = "ChangeResourceRecordSetsResponse";

#[tokio::test]
async fn settle_waits_until_a_change_is_in_sync() -> Result {
    let mut asked_for = 0;
    let stub = Stub::start(move |asked| {
        if is_change(&asked.method) {
            return changed(CHANGED, "PENDING");
        }
        if !asked.path.contains("/change/C1") {
            return listed(&[]);
        }
        asked_for += 1;
        changed(
            "GetChangeResponse",
            if asked_for < 3 { "PENDING" } else { "INSYNC" },
        )
    })?;
    let provider = provider_at_stub(&stub);
    let add = [change(Action::Add, ALIAS_NAME, "v")];
    let applied = provider.apply(&zone_name(), &add).await.unwrap();
    assert_eq!(applied.pending, ["/change/C1"]);
    let began = std::time::Instant::now();
    provider.settle(&zone_name(), &applied).await.unwrap();
    assert!(began.elapsed().as_millis() > 500, "it was pending twice");
    Ok(())
}

#[tokio::test]
async fn throttled_requests_are_sent_again() -> Result {
    for code in ["Throttling", "PriorRequestNotComplete"] {
        let mut refusals = 2;
        let stub = Stub::start(move |asked| {
            if !is_change(&asked.method) {
                return listed(&[]);
            }
            if refusals > 0 {
                refusals -= 1;
                return error(400, code, "Rate exceeded");
            }
            changed(CHANGED, "INSYNC")
        })?;
        add(&provider_at_stub(&stub)).await.unwrap();
    }
    Ok(())
}

#[tokio::test]
async fn a_set_that_changed_between_reading_and_swapping_is_read_again() -> Result {
    let (mut there, mut refused) = (vec!["old"], false);
    let stub = Stub::start(move |asked| {
        if !is_change(&asked.method) {
            return listed(&there);
        }
        if refused {
            // What was read the second time, and no more.
            let all = ["\"old\"", "\"theirs\"", "\"v\""].map(|v| v.replace('"', "&quot;"));
            assert!(
                all.iter().all(|value| asked.body.contains(value)),
                "{asked:?}"
            );
            return changed(CHANGED, "INSYNC");
        }
        refused = true;
        there.push("theirs");
        let message = "Tried to delete resource record set but the values provided do not match";
        let body = format!(
            "<?xml version=\"1.0\"?><InvalidChangeBatch><Messages><Message>{message}</Message>\
             </Messages></InvalidChangeBatch>"
        );
        Reply::Answer(400, body)
    })?;
    add(&provider_at_stub(&stub)).await.unwrap();
    Ok(())
}

#[tokio::test]
async fn after_a_lost_reply_the_sets_are_read_again() -> Result {
    let mut committed = false;
    let stub = Stub::start(move |asked| {
        if is_change(&asked.method) {
            committed = true;
            return Reply::Silence;
        }
        listed(if committed { &["v"] } else { &[] })
    })?;
    add(&provider_at_stub(&stub)).await.unwrap();

    let stub = Stub::start(|asked| {
        if is_change(&asked.method) {
            Reply::Silence
        } else {
            listed(&[])
        }
    })?;
    let provider = provider_at_stub(&stub);
    refused(&provider, Failure::UnknownOutcome, &["no answer in time"]).await;
    Ok(())
}

#[tokio::test]
async fn every_refusal_has_its_own_error() -> Result {
    for (status, code, failure, words) in [
        (
            403,
            "AccessDenied",
            Failure::Denied,
            "ChangeResourceRecordSets",
        ),
        (403, "ExpiredToken", Failure::Denied, "have expired"),
        (
            403,
            "InvalidClientTokenId",
            Failure::Denied,
            "credentials are wrong",
        ),
        (
            403,
            "SignatureDoesNotMatch",
            Failure::Denied,
            "credentials are wrong",
        ),
        (
            404,
            "NoSuchHostedZone",
            Failure::Rejected,
            "`hosted-zone-id`",
        ),
        (
            500,
            "InternalFailure",
            Failure::UnknownOutcome,
            "try again later",
        ),
    ] {
        let stub = Stub::start(move |asked| {
            if is_change(&asked.method) {
                error(status, code, "no")
            } else {
                listed(&[])
            }
        })?;
        refused(&provider_at_stub(&stub), failure, &[code, words]).await;
    }
    let message =
        "RRSet with DNS name x is not permitted because a conflicting RRSet of type CNAME";
    let stub = Stub::start(move |asked| {
        if is_change(&asked.method) {
            error(400, "InvalidChangeBatch", message)
        } else {
            listed(&[])
        }
    })?;
    refused(&provider_at_stub(&stub), Failure::Conflict, &["CNAME"]).await;
    Ok(())
}

#[tokio::test]
async fn a_dead_endpoint_is_an_error_that_names_the_option() -> Result {
    let provider = provider_of(SocketAddr::from(([127, 0, 0, 1], 1)), "Z1");
    refused(
        &provider,
        Failure::Unavailable,
        &["could not be reached", "`endpoint-url`"],
    )
    .await;
    Ok(())
}
