//! `check --offboard`: what is left of a domain that leaves, and in which order it is to be removed.

use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Outcome, Result, Running, TestBed};
use serde_json::Value;

/// The steps, one after the other.
fn steps(outcome: &Outcome) -> Result<Vec<String>> {
    let json = outcome.json()?;
    let steps = json["steps"].as_array().into_iter().flatten();
    let steps = steps.filter_map(Value::as_str).map(str::to_owned);
    Ok(steps.collect())
}

fn offboard(bed: &TestBed, domain: &str) -> Result<Vec<String>> {
    let outcome = bed.run(&["check", "--offboard", domain, "--output", "json"])?;
    assert_eq!(outcome.code, Some(3), "{outcome}");
    steps(&outcome)
}

#[test]
fn a_certificate_that_was_issued_with_flags_is_among_the_steps() -> Result {
    let bed = TestBed::start()?;
    bed.run(&["issue", "*.example.com", "example.org", "--id", "web"])?
        .assert_success();
    let steps = offboard(&bed, "example.com")?;
    assert_eq!(steps.len(), 2, "{steps:?}");
    for words in [
        "issue `web` without *.example.com",
        "state/certificates/web",
    ] {
        assert!(steps[0].contains(words), "{steps:?}");
    }
    let line = format!("_acme-challenge.example.com. 600 IN CNAME {ALIAS_NAME}.");
    assert!(steps[1].contains(&line), "{steps:?}");
    Ok(())
}

#[test]
fn of_several_hops_the_domains_own_record_is_removed() -> Result {
    let bed = TestBed::builder()
        .cname("_acme-challenge.example.com", "shared.example.org")
        .cname("_acme-challenge.example.edu", "shared.example.org")
        .cname("shared.example.org", ALIAS_NAME)
        .start()?;
    let steps = offboard(&bed, "example.com")?;
    assert_eq!(steps.len(), 1, "{steps:?}");
    let own = "_acme-challenge.example.com. 600 IN CNAME shared.example.org.";
    assert!(steps[0].contains(own), "{steps:?}");
    Ok(())
}

#[test]
fn a_cname_that_is_made_from_another_record_is_no_line_to_remove() -> Result {
    let bed = TestBed::builder()
        .cname("*.wild.example.com", ALIAS_NAME)
        .record("d.example.com", &format!("DNAME {ALIAS_ZONE}."))
        .start()?;
    for (domain, maker) in [
        ("www.wild.example.com", "*.wild.example.com. makes it"),
        ("d.example.com", "the DNAME at d.example.com. makes it"),
    ] {
        let steps = offboard(&bed, domain)?;
        assert_eq!(steps.len(), 1, "{steps:?}");
        assert!(steps[0].contains(maker), "{steps:?}");
        assert!(!steps[0].contains("remove this line"), "{steps:?}");
    }
    Ok(())
}

#[test]
fn an_alias_name_that_was_made_up_and_a_value_that_was_left_are_looked_after_last() -> Result {
    let bed = TestBed::start()?;
    let unique = [
        "delegate",
        "example.com",
        "--unique",
        "--challenge-alias",
        ALIAS_ZONE,
    ];
    let printed = bed.run(&unique)?;
    let kept = printed
        .stdout
        .rsplit_once(" CNAME ")
        .map_or("", |(_, name)| name);
    let kept = kept.trim_end().trim_end_matches('.');

    let there = TestBed::builder().lines(&printed.stdout).start()?;
    let mut settings = there.settings();
    settings.state = bed.settings().state;
    let program = there.program(settings.clone())?;
    let stuck = there.stuck_server()?;
    settings.alias_zones[0].servers.push(stuck.address());
    let running = there.program(settings)?.spawn(&["issue", "example.com"])?;
    there.wait_until("the primary has the value", |there| {
        Ok(!there.txt()?.is_empty())
    })?;
    Running::kill(running)?;

    let check = ["check", "--offboard", "example.com", "--output", "json"];
    let steps = steps(&program.run(&check)?)?;
    let line = format!("_acme-challenge.example.com. 600 IN CNAME {kept}.");
    for (step, words) in [
        (0, "issue `example-com` without example.com"),
        (1, line.as_str()),
        (
            2,
            &format!("take the grant for `{kept}` out of the key's policy"),
        ),
        (3, "run `acme-alias ledger reconcile`"),
    ] {
        assert!(steps[step].contains(words), "{steps:?}");
    }
    assert_eq!(steps.len(), 4, "{steps:?}");
    Ok(())
}

#[test]
fn where_nobody_answers_nothing_is_assured() -> Result {
    let bed = TestBed::start()?;
    let dead = bed.dead_port()?;
    let mut settings = bed.settings();
    settings.zones[0].1 = vec![dead.address()];
    let program = bed.program(settings)?;
    let people = program.run(&["check", "--offboard", "example.com"])?;
    assert_eq!(people.code, Some(3), "{people}");
    for words in [
        "Whether example.com leads into an alias zone is not known",
        &dead.address().to_string(),
    ] {
        assert!(people.stdout.contains(words), "{people}");
    }
    assert!(!people.stdout.contains("Nothing leads"), "{people}");
    Ok(())
}

#[test]
fn offboarding_lists_what_still_points_here() -> Result {
    let bed = TestBed::start()?;
    let settings = bed
        .settings()
        .certificate("web", "domains = [\"example.com\", \"example.org\"]");
    let outcome = bed
        .program(settings)?
        .run(&["check", "--offboard", "example.com"])?;
    assert_eq!(outcome.code, Some(3), "{outcome}");
    let first = "1. take example.com out of `[certificates.web]`";
    let second = format!("_acme-challenge.example.com. 600 IN CNAME {ALIAS_NAME}.");
    assert!(
        outcome.stdout.contains(first) && outcome.stdout.contains(&second),
        "{outcome}"
    );
    let left = bed.run(&["check", "--offboard", "www.example.com"])?;
    left.assert_success();
    assert!(
        left.stdout.contains("Nothing leads from www.example.com"),
        "{left}"
    );
    Ok(())
}
