//! Backends of alias zones whose lists have no end, or whose answers are too large.

use std::iter;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::TxtProvider;
use acme_alias_tests::{Injected, Outcome, RecordingHook, Reply, Result, SECOND_ALIAS_ZONE, Stub};
use serde_json::json;

use crate::backend::zone_name;
use crate::clouds::Clouds;
use crate::route53::provider_at;

/// What a run takes at most.
const TIME: Duration = Duration::from_mins(1);
/// The namespace of the answers of Route 53.
const XML: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// A page of a list of Route 53 with one set; `more` if another page follows.
fn page(name: &str, kind: &str, values: impl Iterator<Item = String>, more: bool) -> String {
    let records =
        values.map(|value| format!("<ResourceRecord><Value>{value}</Value></ResourceRecord>"));
    let records: String = records.collect();
    let next = if more {
        "<NextRecordName>a.auth.example.net.</NextRecordName><NextRecordType>TXT</NextRecordType>"
    } else {
        ""
    };
    format!(
        "<ListResourceRecordSetsResponse xmlns=\"{XML}\"><ResourceRecordSets><ResourceRecordSet><Name>{name}</Name>\
         <Type>{kind}</Type><TTL>60</TTL><ResourceRecords>{records}</ResourceRecords></ResourceRecordSet>\
         </ResourceRecordSets><IsTruncated>{more}</IsTruncated>{next}<MaxItems>300</MaxItems></ListResourceRecordSetsResponse>"
    )
}

/// Runs with a good certificate that has a hook, and one whose alias zone is at a Cloudflare that answers with this
/// item on each page of a list.
fn run_with_pages_of(item: &'static str) -> Result {
    let clouds = Clouds::start()?;
    clouds.cloudflare.inject(move |method, path| {
        let page = format!(
            r#"{{"success": true, "errors": [], "messages": [], "result": [{item}],
            "result_info": {{"page": 1, "total_pages": 4294967295}}}}"#
        );
        let is_list = method == "GET" && path.ends_with("/dns_records");
        is_list.then_some(Injected::Answer(200, Vec::new(), page))
    });
    let hook = RecordingHook::new(&clouds.bed.folder().join("deployed"));
    let certificates = format!(
        "[certificates.good]\ndomains = [\"example.com\"]\n{}\n[certificates.bad]\ndomains = [\"example.org\"]\n",
        hook.setting()
    );
    let program = clouds.signed_in("", &certificates)?.limit(TIME);
    let outcome = program.run(&["renew"])?;
    assert_eq!(hook.certificates()?.len(), 1, "{outcome}");
    assert!(outcome.stderr.contains("bad: failed"), "{outcome}");
    Ok(())
}

/// The names by which a provider reads the whole zone.
fn twenty_names() -> Result<Vec<DnsName>> {
    let names = (0..20).map(|n| Ok(format!("n{n}.auth.example.net").parse()?));
    names.collect()
}

#[test]
fn a_list_of_cloudflare_without_an_end_keeps_no_certificate_of_others_from_its_hook() -> Result {
    run_with_pages_of("")?;
    run_with_pages_of(r#"{"id": "1", "name": "a.example", "content": "text"}"#)
}

#[tokio::test]
async fn a_list_of_route_53_without_an_end_is_given_up() -> Result {
    let stub = Stub::start(|_| {
        let page = page("auth.example.net.", "TXT", iter::empty(), true);
        Reply::Answer(200, page)
    })?;
    let provider = provider_at(stub.address())
        .with_hosted_zone_id("Z1".parse().unwrap())
        .with_requests_per_second(NonZeroU32::MAX);
    let (zone, names) = (zone_name(), twenty_names()?);
    let values = tokio::time::timeout(TIME, provider.values(&zone, &names));
    let error = values.await?.unwrap_err();
    assert!(error.to_string().contains("more than 200 pages"), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_answer_of_route_53_that_is_too_large_is_given_up() -> Result {
    // Without its spaces it is a good answer.
    let spaces = " ".repeat(17 << 20);
    let answer = format!(
        "<ListHostedZonesByNameResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
         <HostedZones></HostedZones>{spaces}<IsTruncated>false</IsTruncated><MaxItems>100</MaxItems>\
         </ListHostedZonesByNameResponse>"
    );
    let stub = Stub::start(move |_| Reply::Answer(200, answer.clone()))?;
    let provider = provider_at(stub.address());
    let error = provider.values(&zone_name(), &[]).await.unwrap_err();
    assert!(
        error.to_string().contains("answer 200 is unreadable"),
        "{error}"
    );
    Ok(())
}

/// Runs with 60 certificates whose alias zone is at a Cloudflare that has it so often, with this status, and each time
/// with 20,000 name servers.
fn run_with_many_servers(zones: usize, status: &str) -> Result {
    let clouds = Clouds::start()?;
    let servers = (0..20_000).map(|number| format!("n{number}.{}.example", "x".repeat(40)));
    let servers: Vec<_> = servers.collect();
    let zones = (0..zones).map(|number| {
        json!({
            "id": format!("{number:032}"), "name": SECOND_ALIAS_ZONE, "status": status, "name_servers": servers,
        })
    });
    let page = json!({
        "success": true, "errors": [], "messages": [], "result": zones.collect::<Vec<_>>(),
        "result_info": { "page": 1, "total_pages": 1 },
    });
    let page = page.to_string();
    clouds.cloudflare.inject(move |method, path| {
        let is_list = method == "GET" && path.ends_with("/zones");
        is_list.then(|| Injected::Answer(200, Vec::new(), page.clone()))
    });
    let certificates: String = (0..60)
        .map(|id| format!("[certificates.c{id}]\ndomains = [\"example.org\"]\n"))
        .collect::<Vec<_>>()
        .concat();
    let program = clouds.signed_in("", &certificates)?.limit(TIME);
    let outcome = program.run(&["renew"])?;
    outcome.assert_failure(4, &["auth2.example.net", "60 certificates failed"]);
    assert!(outcome.stderr.len() < 100_000, "{}", outcome.stderr.len());
    outcome.assert_peak_memory_below(150 << 20);
    Ok(())
}

#[test]
fn tens_of_thousands_of_name_servers_of_a_zone_at_cloudflare_are_not_kept() -> Result {
    run_with_many_servers(1, "pending")?;
    run_with_many_servers(2, "active")
}

#[tokio::test]
async fn tens_of_thousands_of_name_servers_and_zones_at_route_53_cause_few_requests() -> Result {
    let zones = (0..10_000).map(|id| {
        format!("<HostedZone><Id>/hostedzone/Z{id}</Id><Name>auth.example.net.</Name><CallerReference>a</CallerReference></HostedZone>")
    });
    let zones = format!(
        "<ListHostedZonesByNameResponse xmlns=\"{XML}\"><HostedZones>{}</HostedZones><IsTruncated>false</IsTruncated>\
         <MaxItems>100</MaxItems></ListHostedZonesByNameResponse>",
        zones.collect::<String>()
    );
    let servers = (0..20_000).map(|number| format!("n{number}.example."));
    let servers = page("auth.example.net.", "NS", servers, false);
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let stub = Stub::start(move |request| {
        counted.fetch_add(1, Ordering::Relaxed);
        let is_of_zones = request.path.starts_with("/2013-04-01/hostedzonesbyname");
        Reply::Answer(
            200,
            if is_of_zones {
                zones.clone()
            } else {
                servers.clone()
            },
        )
    })?;
    let provider = provider_at(stub.address()).with_requests_per_second(NonZeroU32::MAX);
    let zone = zone_name();
    let reading = provider.values(&zone, &[]);
    let error = tokio::time::timeout(TIME, reading).await?.unwrap_err();
    assert!(error.to_string().contains("public hosted zones"), "{error}");
    assert!(error.to_string().len() < 5_000, "{error}");
    assert!(error.zones.iter().all(|zone| zone.name_servers.len() <= 16));
    let requests = requests.load(Ordering::Relaxed);
    assert!(requests <= 17, "{requests} requests");
    Ok(())
}

#[tokio::test]
async fn sets_of_route_53_at_wanted_names_that_take_much_memory_are_not_kept() -> Result {
    let values = (0..1_000).map(|number| format!("\"{number:01000}\""));
    let large = page("n1.auth.example.net.", "TXT", values, true);
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let stub = Stub::start(move |request| {
        counted.fetch_add(1, Ordering::Relaxed);
        let is_list = request.path.contains("maxitems=300");
        let first = || page("auth.example.net.", "SOA", iter::empty(), true);
        Reply::Answer(200, if is_list { large.clone() } else { first() })
    })?;
    let provider = provider_at(stub.address())
        .with_hosted_zone_id("Z1".parse().unwrap())
        .with_requests_per_second(NonZeroU32::MAX);
    let error = provider.values(&zone_name(), &twenty_names()?).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("more than 606208 octets"), "{error}");
    assert!(requests.load(Ordering::Relaxed) < 25);
    Ok(())
}

/// A page of a list of Cloudflare, with these records and so many pages in all.
fn page_of(records: &serde_json::Value, pages: u32) -> String {
    json!({
        "success": true, "errors": [], "messages": [], "result": records,
        "result_info": { "page": 1, "total_pages": pages },
    })
    .to_string()
}

/// Runs with so many certificates whose alias zone is at a Cloudflare that answers with this page, and little memory.
fn run_with_large_pages(certificates: usize, page: String) -> Result<Outcome> {
    let clouds = Clouds::start()?;
    clouds.cloudflare.inject(move |method, path| {
        let is_list = method == "GET" && path.ends_with("/dns_records");
        is_list.then(|| Injected::Answer(200, Vec::new(), page.clone()))
    });
    let certificates: String = (0..certificates)
        .map(|id| format!("[certificates.c{id}]\ndomains = [\"example.org\"]\n"))
        .collect::<Vec<_>>()
        .concat();
    let program = clouds.signed_in("", &certificates)?.limit(2 * TIME);
    let outcome = program.run(&["renew"])?;
    outcome.assert_peak_memory_below(200 << 20);
    Ok(outcome)
}

#[test]
fn large_pages_of_a_list_of_cloudflare_are_not_kept() -> Result {
    // At the alias name, which all of them could be at, and at another one.
    for (zone, limit) in [
        (SECOND_ALIAS_ZONE, "525312 octets"),
        ("other.example", "200 pages"),
    ] {
        let records = (0..5_000).map(|number| {
            json!({ "id": format!("{number:032}"), "name": format!("_acme-challenge.{zone}"),
                "content": "x".repeat(1_000), "type": "TXT", "ttl": 60 })
        });
        let outcome = run_with_large_pages(1, page_of(&records.collect(), 4_000_000))?;
        let given_up = format!("the list has more than {limit}");
        outcome.assert_said(&[&given_up]);
    }
    Ok(())
}

#[test]
fn large_answers_of_cloudflare_to_many_certificates_do_not_fill_memory() -> Result {
    run_with_large_pages(40, " ".repeat(15 << 20)).map(drop)
}
