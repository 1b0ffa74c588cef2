//! Delegations that are not in order: all of them are told before the CA is asked for anything.

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Builder, Outcome, Result, SECOND_ALIAS_ZONE, TestBed,
};

/// Runs `issue example.com` on a bed whose delegations are wrong, and checks that it ends with
/// code 3, that the server of the main zones is named, and that nothing was touched or ordered.
fn refused(builder: Builder) -> Result<Outcome> {
    let bed = builder.start()?;
    let outcome = bed.run(&["issue", "example.com", "--challenge-alias", ALIAS_ZONE])?;
    outcome.assert_failure(3, &[&bed.main_server().to_string()]);
    assert_nothing_happened(&bed)?;
    Ok(outcome)
}

fn assert_nothing_happened(bed: &TestBed) -> Result {
    assert_eq!(bed.orders()?, 0);
    assert_eq!(bed.serial(ALIAS_ZONE)?, 1);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_missing_cname_comes_with_the_line_to_add() -> Result {
    refused(TestBed::builder())?.assert_said(&[
        "NXDOMAIN",
        "_acme-challenge.example.com. 600 IN CNAME _acme-challenge.auth.example.net.",
    ]);
    Ok(())
}

#[test]
fn a_cname_that_leads_elsewhere_is_shown_beside_what_it_should_be() -> Result {
    refused(TestBed::builder().cname("_acme-challenge.example.com", "old.auth.example.net"))?
        .assert_said(&[
            "old.auth.example.net",
            "_acme-challenge.example.com. 600 IN CNAME _acme-challenge.auth.example.net.",
        ]);
    Ok(())
}

#[test]
fn a_loop_is_shown_with_its_names() -> Result {
    refused(
        TestBed::builder()
            .cname("_acme-challenge.example.com", "loop.example.org")
            .cname("loop.example.org", "_acme-challenge.example.com"),
    )?
    .assert_said(&[
        "form a loop",
        "_acme-challenge.example.com -> loop.example.org -> _acme-challenge.example.com",
    ]);
    Ok(())
}

#[test]
fn a_chain_without_an_end_is_given_up() -> Result {
    let chain = (1..=20).fold(
        TestBed::builder().cname("_acme-challenge.example.com", "hop1.example.org"),
        |builder, i| {
            let next = format!("hop{}.example.org", i + 1);
            builder.cname(&format!("hop{i}.example.org"), &next)
        },
    );
    refused(chain)?.assert_said(&["16 CNAMEs"]);
    Ok(())
}

#[test]
fn an_alias_outside_every_alias_zone_is_refused() -> Result {
    let bed = TestBed::start()?;
    let mut settings = bed.settings();
    settings.alias_zones.remove(0);
    let servers = vec![bed.primary(), bed.secondary()];
    settings.zones.push((ALIAS_ZONE.to_owned(), servers));
    let outcome = bed.program(settings)?.run(&["issue", "example.com"])?;
    outcome.assert_failure(3, &[ALIAS_NAME, SECOND_ALIAS_ZONE, "[[alias-zones]]"]);
    assert_nothing_happened(&bed)
}

#[test]
fn a_main_zone_whose_server_answers_servfail_is_reported_with_the_server() -> Result {
    let bed = TestBed::builder()
        .broken_main_zone("broken.example")
        .start()?;
    let issue = ["issue", "broken.example", "--challenge-alias", ALIAS_ZONE];
    let outcome = bed.run(&issue)?;
    outcome.assert_failure(
        3,
        &[
            "SERVFAIL",
            &bed.main_server().to_string(),
            "_acme-challenge.broken.example",
        ],
    );
    assert_nothing_happened(&bed)
}

#[test]
fn a_main_zone_whose_server_is_down_is_reported_with_the_server() -> Result {
    let bed = TestBed::start()?;
    let port = bed.dead_port()?;
    let mut settings = bed.settings();
    settings.zones[0].1 = vec![port.address()];
    let issue = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];
    let outcome = bed.program(settings)?.run(&issue)?;
    outcome.assert_failure(
        3,
        &[&port.address().to_string(), "_acme-challenge.example.com"],
    );
    assert_nothing_happened(&bed)
}

#[test]
fn a_name_that_exists_only_through_a_wildcard_is_warned_of() -> Result {
    let bed = TestBed::builder()
        .cname("*.example.com", ALIAS_NAME)
        .start()?;
    let issue = ["issue", "www.example.com", "--challenge-alias", ALIAS_ZONE];
    let outcome = bed.run(&issue)?;
    outcome.assert_success();
    outcome.assert_said(&[
        "*.example.com.",
        "_acme-challenge.www.example.com. 600 IN CNAME _acme-challenge.auth.example.net.",
    ]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn all_findings_for_all_domains_come_together_in_json_too() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .cname("_acme-challenge.example.edu", "old.auth.example.net")
        .start()?;
    let outcome = bed.run(&[
        "issue",
        "example.com",
        "example.org",
        "example.edu",
        "--challenge-alias",
        ALIAS_ZONE,
        "--output",
        "json",
    ])?;
    assert_eq!(outcome.code, Some(3), "{outcome}");
    let error = &outcome.json()?["error"];
    assert_eq!(error["code"], 3);
    assert_eq!(error["kind"], "delegation");
    let kinds: Vec<_> = error["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|finding| (&finding["domains"][0], &finding["kind"]))
        .map(|(domain, kind)| (domain.as_str().unwrap_or("?"), kind.as_str().unwrap_or("?")))
        .collect();
    assert_eq!(
        kinds,
        [
            ("example.org", "missing-cname"),
            ("example.edu", "cname-elsewhere")
        ]
    );
    assert_nothing_happened(&bed)
}
