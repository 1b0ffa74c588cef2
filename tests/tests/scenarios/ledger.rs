//! The record of every DNS change, and what a killed run left.

use std::fs;

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Result, Running, SECOND_ALIAS_ZONE, Settings, TestBed,
};

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];

/// A run that waits for a server which never answers, killed as soon as its value is in the zone.
fn kill_one(bed: &TestBed) -> Result {
    let stuck = bed.stuck_server()?;
    let mut settings = bed.settings();
    settings.alias_zones[0].servers.push(stuck.address());
    let running = bed.program(settings)?.spawn(&ISSUE)?;
    bed.wait_until("the primary has the value", |bed| {
        Ok(bed.txt()?.iter().any(|txt| txt.value != "foreign"))
    })?;
    Running::kill(running)
}

#[test]
fn every_change_is_on_record_with_its_certificate_and_key() -> Result {
    let bed = TestBed::start()?;
    bed.run(&ISSUE)?.assert_success();
    let changes = bed.run(&["ledger", "show", "--output", "json"])?.json()?;
    let changes = changes["changes"].as_array().cloned().unwrap_or_default();
    let story: Vec<_> = changes
        .iter()
        .map(|change| {
            assert_eq!(change["certificate"], "example-com");
            assert_eq!(change["key"], "acme-key");
            assert_eq!(change["name"], ALIAS_NAME);
            if change["event"] == "acknowledged" {
                assert_eq!(change["response"], "NOERROR");
            }
            assert!(
                change["order"]
                    .as_str()
                    .is_some_and(|url| url.starts_with("https://"))
            );
            let word = |key: &str| change[key].as_str().unwrap_or_default().to_owned();
            (word("event"), word("action"))
        })
        .collect();
    let story: Vec<_> = story
        .iter()
        .map(|(event, action)| (event.as_str(), action.as_str()))
        .collect();
    assert_eq!(
        story,
        [
            ("intent", "add"),
            ("acknowledged", "add"),
            ("verified", "add"),
            ("intent", "remove"),
            ("acknowledged", "remove"),
            ("withdrawn", "remove"),
        ]
    );
    let last = changes.last().cloned().unwrap_or_default();
    assert_eq!(
        last["serial"],
        serde_json::json!({ "before": 2, "after": 3 })
    );
    let verified = bed.run(&["ledger", "verify", "--output", "json"])?.json()?;
    assert_eq!(
        (&verified["lines"], &verified["open"]),
        (&6.into(), &0.into())
    );
    let none = bed.run(&["ledger", "show", "--certificate", "other"])?;
    assert!(none.stdout.contains("No DNS change"), "{none}");
    Ok(())
}

#[test]
fn a_change_by_somebody_else_shows_in_the_serial() -> Result {
    let bed = TestBed::start()?;
    let diff = ["ledger", "diff-serial", "--output", "json"];
    assert_eq!(bed.run(&diff)?.json()?["zones"], serde_json::json!([]));
    bed.run(&ISSUE)?.assert_success();
    let outcome = bed.run(&diff)?;
    outcome.assert_success();
    let zone = &outcome.json()?["zones"][0];
    assert_eq!(
        (&zone["zone"], &zone["changes"]),
        (&ALIAS_ZONE.into(), &2.into())
    );
    assert_eq!(
        (&zone["serial"], &zone["foreign"]),
        (&3.into(), &serde_json::json!([]))
    );

    // With our own key, as a thief would.
    bed.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, "stolen")?;
    let outcome = bed.run(&["ledger", "diff-serial"])?;
    outcome.assert_failure(1, &[]);
    assert!(outcome.stdout.contains("3 -> 4 since"), "{outcome}");
    bed.run(&["issue", "example.org"])?.assert_success();
    let outcome = bed.run(&["ledger", "diff-serial", ALIAS_ZONE])?;
    outcome.assert_failure(1, &[]);
    assert!(outcome.stdout.contains("3 -> 4 between"), "{outcome}");
    assert!(outcome.stdout.contains("4 changes of ours"), "{outcome}");
    Ok(())
}

#[test]
fn a_change_that_the_operator_acknowledges_is_not_reported_again() -> Result {
    let bed = TestBed::start()?;
    let diff = ["ledger", "diff-serial"];
    let acknowledge = [&diff[..], &["--acknowledge", "new NS records"]].concat();
    bed.run(&ISSUE)?.assert_success();
    let nothing = bed.run(&acknowledge)?;
    nothing.assert_success();
    assert!(
        nothing.stdout.contains("nothing to acknowledge"),
        "{nothing}"
    );

    let unknown = bed.run(&["ledger", "diff-serial", "auht.example.net"])?;
    unknown.assert_failure(2, &["auht.example.net is no alias zone", ALIAS_ZONE]);
    let note = ["ledger", "diff-serial", "--acknowledge", "Einträge"];
    bed.run(&note)?.assert_failure(2, &["a note has 1 to 255"]);

    bed.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, "ours")?;
    let outcome = bed.run(&diff)?;
    outcome.assert_failure(1, &[]);
    assert!(outcome.stdout.contains("--acknowledge"), "{outcome}");
    let outcome = bed.run(&acknowledge)?;
    outcome.assert_success();
    assert!(outcome.stdout.contains("3 -> 4 since"), "{outcome}");
    bed.run(&diff)?.assert_success();
    bed.run(&["ledger", "verify"])?.assert_success();
    let shown = bed.run(&["ledger", "show", "--since", "2026-01-31"])?;
    shown.assert_printed(&["serial-explained 3 -> 4", "new NS records"]);

    // The next change of ours continues from there, and the next change of others is reported.
    bed.run(&["renew", "--force"])?.assert_success();
    bed.run(&diff)?.assert_success();
    bed.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, "stolen")?;
    let outcome = bed.run(&diff)?;
    outcome.assert_failure(1, &[]);
    assert!(!outcome.stdout.contains("3 -> 4"), "{outcome}");
    Ok(())
}

#[test]
fn hosts_that_share_an_alias_zone_recognise_each_others_changes() -> Result {
    let bed = TestBed::start()?;
    let diff = ["ledger", "diff-serial"];
    let knows = |settings: Settings, other: &Settings| Settings {
        top: format!(
            "other-ledgers = ['{}']",
            other.state.join("ledger").display()
        ),
        ..settings
    };
    let first = bed.program(knows(bed.settings(), &bed.second_host()))?;
    let second = bed.program(knows(bed.second_host(), &bed.settings()))?;
    first.run(&ISSUE)?.assert_success();
    let missing = first.run(&diff)?;
    missing.assert_failure(2, &["second-host/ledger", "`other-ledgers`"]);
    // The state folder in place of the ledger in it.
    let folder = format!("other-ledgers = ['{}']", bed.folder().display());
    let wrong = bed.program(Settings {
        top: folder,
        ..bed.settings()
    })?;
    let wrong = wrong.run(&diff)?;
    wrong.assert_failure(2, &["no `.jsonl` file", "`other-ledgers`"]);

    second.run(&["issue", "example.org"])?.assert_success();
    first.run(&["renew", "--force"])?.assert_success();
    second.run(&["renew", "--force"])?.assert_success();
    let alone = bed.run(&diff)?;
    alone.assert_failure(1, &[]);
    first.run(&diff)?.assert_success();
    second.run(&diff)?.assert_success();

    bed.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, "stolen")?;
    for host in [first, second] {
        let outcome = host.run(&diff)?;
        outcome.assert_failure(1, &[]);
        assert_eq!(outcome.stdout.matches(" -> ").count(), 1, "{outcome}");
    }
    Ok(())
}

#[test]
fn serials_are_compared_although_the_secret_of_another_zone_cannot_be_read() -> Result {
    let second_name = format!("_acme-challenge.{SECOND_ALIAS_ZONE}");
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .cname("_acme-challenge.example.org", &second_name)
        .start()?;
    let mut settings = bed.settings();
    let domains = ["example.com", "example.org"];
    let program = bed.program(settings.clone().certificates(&domains))?;
    program.run(&["renew"])?.assert_success();
    bed.add_foreign_txt(SECOND_ALIAS_ZONE, &second_name, "stolen")?;

    settings.providers[0].secret = bed.folder().join("does-not-exist");
    let program = bed.program(settings)?;
    let outcome = program.run(&["ledger", "diff-serial"])?;
    outcome.assert_failure(1, &[ALIAS_ZONE, "does-not-exist"]);
    assert!(outcome.stdout.contains("3 -> 4 since"), "{outcome}");
    Ok(())
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next_and_foreign_values_stay() -> Result {
    let bed = TestBed::start()?;
    let foreign = bed.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, "foreign")?;
    kill_one(&bed)?;
    assert_eq!(bed.txt()?.len(), 2, "the value of the killed run is there");
    let outcome = bed.run(&ISSUE)?;
    outcome.assert_success();
    outcome.assert_said(&["removed a TXT value", ALIAS_NAME, "that the run"]);
    assert_eq!(
        bed.orders()?,
        1,
        "the order of the killed run was gone on with"
    );
    bed.run(&["ledger", "verify"])?.assert_success();
    bed.assert_only_txt_was_touched(&[foreign])
}

#[test]
fn what_a_killed_run_left_is_removed_on_demand() -> Result {
    let bed = TestBed::start()?;
    kill_one(&bed)?;
    let reconcile = ["ledger", "reconcile", "--output", "json"];
    let outcome = bed.run(&reconcile)?;
    outcome.assert_success();
    assert_eq!(outcome.json()?["closed"], 1);
    assert_eq!(bed.run(&reconcile)?.json()?["closed"], 0);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn what_a_killed_run_with_nothing_but_flags_left_is_removed_by_the_same_command() -> Result {
    let bed = TestBed::start()?;
    let stuck = bed.stuck_server()?;
    let secret = format!("file:{}", bed.secret_file("acme-key").display());
    let server = bed.primary().to_string();
    let issue = [
        &ISSUE[..],
        &[
            "--rfc2136-server",
            &server,
            "--rfc2136-tsig-key",
            "acme-key",
        ],
        &["--rfc2136-tsig-secret", &secret],
    ]
    .concat();
    let mut settings = bed.settings();
    settings.providers.clear();
    settings.alias_zones.clear();
    let mut servers = vec![bed.primary(), bed.secondary()];
    settings
        .zones
        .push((ALIAS_ZONE.to_owned(), servers.clone()));
    let program = bed.program(settings.clone())?;
    // The run that is to be killed waits for a server that never answers.
    servers.push(stuck.address());
    settings.zones.pop();
    settings.zones.push((ALIAS_ZONE.to_owned(), servers));
    let running = bed.program(settings)?.spawn(&issue)?;
    bed.wait_until("the primary has the value", |bed| {
        Ok(!bed.txt()?.is_empty())
    })?;
    running.kill()?;

    program.run(&issue)?.assert_success();
    let ledger = program.run(&["ledger", "verify", "--output", "json"])?;
    assert_eq!(ledger.json()?["open"], 0, "{ledger}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn the_values_of_a_run_that_lives_are_left_alone() -> Result {
    let bed = TestBed::start()?;
    let stuck = bed.stuck_server()?;
    let mut settings = bed.settings();
    settings.alias_zones[0].servers.push(stuck.address());
    let running = bed.program(settings)?.spawn(&ISSUE)?;
    bed.wait_until("the primary has the value", |bed| {
        Ok(!bed.txt()?.is_empty())
    })?;
    let outcome = bed.run(&["ledger", "reconcile", "--output", "json"])?;
    assert_eq!(outcome.json()?["closed"], 0);
    assert_eq!(bed.txt()?.len(), 1);
    running.terminate()?;
    running.wait()?.assert_failure(130, &["interrupted"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn what_was_changed_in_the_ledger_is_located() -> Result {
    let bed = TestBed::start()?;
    bed.run(&ISSUE)?.assert_success();
    let folder = bed.settings().state.join("ledger");
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            let text = fs::read_to_string(&path)?;
            fs::write(&path, text.replacen("acme-key", "other-key", 3))?;
        }
    }
    let outcome = bed.run(&["ledger", "verify"])?;
    outcome.assert_failure(6, &[".jsonl:1:", ".jsonl:3:", "hash"]);
    assert!(!outcome.stderr.contains(".jsonl:4:"), "{outcome}");
    Ok(())
}

#[test]
fn without_a_ledger_nothing_is_sent() -> Result {
    let bed = TestBed::start()?;
    let state = bed.settings().state;
    // A file stands where the folder of the ledger should be.
    bed.run(&["list"])?.assert_success();
    fs::create_dir_all(&state)?;
    fs::write(state.join("ledger"), "")?;
    let outcome = bed.run(&ISSUE)?;
    outcome.assert_failure(6, &["ledger"]);
    assert_eq!(bed.orders()?, 0);
    assert_eq!(bed.serial(ALIAS_ZONE)?, 1);
    Ok(())
}
