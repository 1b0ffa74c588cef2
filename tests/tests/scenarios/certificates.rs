//! Certificates that are obtained.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Algorithm, Change, MAIN_ZONES, Result, SECOND_ALIAS_ZONE, TestBed,
};

#[test]
fn one_name_takes_one_update_to_publish_and_one_to_withdraw() -> Result {
    let bed = TestBed::start()?;
    let outcome = bed.run(&["issue", "example.com", "--challenge-alias", ALIAS_ZONE])?;
    outcome.assert_success();
    assert_eq!(bed.certificate("example-com")?.names, ["example.com"]);
    assert_eq!(bed.serial(ALIAS_ZONE)?, 3);
    assert_eq!(bed.orders()?, 1);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn an_apex_and_its_wildcard_share_one_alias_name() -> Result {
    let bed = TestBed::start()?;
    let outcome = bed.run(&[
        "issue",
        "example.com",
        "*.example.com",
        "--challenge-alias",
        ALIAS_ZONE,
    ])?;
    outcome.assert_success();
    let certificate = bed.certificate("example-com")?;
    assert_eq!(certificate.names, ["*.example.com", "example.com"]);
    let updates = bed.updates()?;
    let added = updates["primary"]
        .iter()
        .filter(|u| matches!(&u.change, Change::TxtAdded { name, .. } if name == ALIAS_NAME));
    assert_eq!(added.count(), 2);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn fifty_names_take_one_update_to_publish_and_one_to_withdraw() -> Result {
    let mut names: Vec<_> = (1..=49)
        .map(|i| format!("host{i:02}.example.com"))
        .collect();
    names.insert(0, "example.com".to_owned());
    let bed = TestBed::builder().delegate_apart(&names).start()?;
    let mut arguments = vec!["issue"];
    arguments.extend(names.iter().map(String::as_str));
    bed.run(&arguments)?.assert_success();
    assert_eq!(bed.certificate("example-com")?.names, names);
    assert_eq!(bed.serial(ALIAS_ZONE)?, 3);
    assert_eq!(bed.orders()?, 1);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn names_from_five_main_zones_lead_to_one_alias() -> Result {
    let bed = TestBed::start()?;
    let mut arguments = vec!["issue", "--id", "all", "--challenge-alias", ALIAS_ZONE];
    arguments.extend(MAIN_ZONES);
    bed.run(&arguments)?.assert_success();
    let mut names = MAIN_ZONES;
    names.sort_unstable();
    assert_eq!(bed.certificate("all")?.names, names);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn two_alias_zones_with_two_keys_serve_one_order() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .cname(
            "_acme-challenge.example.org",
            "_acme-challenge.auth2.example.net",
        )
        .start()?;
    let outcome = bed.run(&[
        "issue",
        "example.com",
        "example.org",
        "--challenge-alias",
        "example.com=auth.example.net",
        "--challenge-alias",
        "example.org=auth2.example.net",
    ])?;
    outcome.assert_success();
    assert_eq!(bed.orders()?, 1);
    for update in &bed.updates()?["primary"] {
        if update.change.was_in_vain() {
            continue;
        }
        let key = bed.key(&update.zone)?;
        assert_eq!(update.key, key.name, "{update:?}");
    }
    assert_eq!(bed.serial(ALIAS_ZONE)?, 3);
    assert_eq!(bed.serial(SECOND_ALIAS_ZONE)?, 3);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_chain_of_two_cnames_is_followed_with_a_warning() -> Result {
    let bed = TestBed::builder()
        .cname("_acme-challenge.example.com", "hop.example.org")
        .cname("hop.example.org", ALIAS_NAME)
        .start()?;
    let outcome = bed.run(&["issue", "example.com", "--challenge-alias", ALIAS_ZONE])?;
    outcome.assert_success();
    outcome.assert_said(&["2 CNAMEs lead to the alias name", "hop.example.org"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_domain_alias_is_the_txt_name_itself() -> Result {
    let txt_name = "tokens.auth.example.net";
    let bed = TestBed::builder()
        .cname("_acme-challenge.example.com", txt_name)
        .start()?;
    let outcome = bed.run(&["issue", "example.com", "--domain-alias", txt_name])?;
    outcome.assert_success();
    for update in &bed.updates()?["primary"] {
        let (Change::TxtAdded { name, .. } | Change::TxtRemoved { name }) = &update.change else {
            continue;
        };
        assert_eq!(name, txt_name);
    }
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn without_an_alias_the_cname_that_is_there_is_followed() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .cname("_acme-challenge.www.example.com", "www.auth2.example.net")
        .start()?;
    bed.run(&["issue", "example.com", "www.example.com"])?
        .assert_success();
    assert_eq!(bed.serial(ALIAS_ZONE)?, 3);
    assert_eq!(bed.serial(SECOND_ALIAS_ZONE)?, 3);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_foreign_txt_at_the_alias_name_survives_and_is_reported() -> Result {
    let bed = TestBed::start()?;
    let foreign = bed.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, "somebody-elses")?;
    let outcome = bed.run(&["issue", "example.com", "--challenge-alias", ALIAS_ZONE])?;
    outcome.assert_success();
    outcome.assert_said(&[
        "a TXT value that is not ours: \"somebody-elses\"",
        "left alone",
    ]);
    bed.assert_only_txt_was_touched(&[foreign])
}

#[test]
fn a_secondary_that_is_notified_five_seconds_late_is_waited_for() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .notify_delay(5)
        .start()?;
    let program = bed.program(bed.settings())?;
    let running = program.spawn(&["issue", "example.com", "--challenge-alias", ALIAS_ZONE])?;
    bed.wait_until("the primary has the value", |bed| {
        Ok(!bed.txt()?.is_empty())
    })?;
    // The CA is not told before the secondary has the value, five seconds from now.
    assert!(bed.ask(bed.secondary(), ALIAS_NAME, "TXT")?.is_empty());
    assert!(!bed.has_validated()?);
    let outcome = running.wait()?;
    outcome.assert_success();
    assert!(outcome.usage.wall.as_secs() >= 4, "{:?}", outcome.usage);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn two_runs_at_once_do_not_disturb_each_other_at_one_alias_name() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    let runs = ["example.com", "example.org"]
        .map(|name| program.spawn(&["issue", name, "--challenge-alias", ALIAS_ZONE]));
    for run in runs {
        run?.wait()?.assert_success();
    }
    assert_eq!(bed.certificate("example-com")?.names, ["example.com"]);
    assert_eq!(bed.certificate("example-org")?.names, ["example.org"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_ca_that_refuses_every_other_nonce_is_asked_again() -> Result {
    let bed = TestBed::builder()
        .delegate(&MAIN_ZONES)
        .nonce_reject_rate(50)
        .start()?;
    let mut arguments = vec!["issue", "--challenge-alias", ALIAS_ZONE];
    arguments.extend(MAIN_ZONES);
    bed.run(&arguments)?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn every_tsig_algorithm_can_be_used() -> Result {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
        let bed = TestBed::builder()
            .delegate(&["example.com"])
            .algorithm(algorithm)
            .start()?;
        bed.run(&["issue", "example.com", "--challenge-alias", ALIAS_ZONE])?
            .assert_success();
        bed.assert_only_txt_was_touched(&[])?;
    }
    Ok(())
}

#[test]
fn a_key_file_as_tsig_keygen_prints_it_can_be_used() -> Result {
    let bed = TestBed::start()?;
    let mut settings = bed.settings();
    let key_file = bed.key(ALIAS_ZONE)?.to_string();
    settings.providers[0].secret = bed.write_secret("acme-key.conf", &key_file)?;
    bed.program(settings)?
        .run(&["issue", "example.com", "--challenge-alias", ALIAS_ZONE])?
        .assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn everything_can_be_said_by_flags_with_no_settings_at_all() -> Result {
    let bed = TestBed::start()?;
    let secret = format!("file:{}", bed.secret_file("acme-key").display());
    let state = bed.folder().join("state");
    let mut settings = bed.settings();
    // Only what concerns a closed network: which servers to ask.
    settings.providers.clear();
    settings.alias_zones.clear();
    let servers = vec![bed.primary(), bed.secondary()];
    settings.zones.push((ALIAS_ZONE.to_owned(), servers));
    let outcome = bed.program(settings)?.run(&[
        "issue",
        "example.com",
        "--challenge-alias",
        ALIAS_ZONE,
        "--provider",
        "rfc2136",
        "--rfc2136-server",
        &bed.primary().to_string(),
        "--rfc2136-tsig-key",
        "acme-key",
        "--rfc2136-tsig-secret",
        &secret,
        "--state",
        &state.display().to_string(),
    ])?;
    outcome.assert_success();
    assert_eq!(bed.certificate("example-com")?.names, ["example.com"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn keys_of_every_type_can_be_had() -> Result {
    let bed = TestBed::start()?;
    for key_type in ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-4096"] {
        let alias = ["--challenge-alias", ALIAS_ZONE, "--key-type", key_type];
        let outcome =
            bed.run(&[&["issue", "example.com", "--id", key_type], &alias[..]].concat())?;
        outcome.assert_success();
        assert_eq!(bed.certificate(key_type)?.names, ["example.com"]);
    }
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn only_the_owner_can_read_keys_and_accounts() -> Result {
    let bed = TestBed::start()?;
    bed.run(&["issue", "example.com", "--challenge-alias", ALIAS_ZONE])?
        .assert_success();
    let mut folders = vec![bed.settings().state];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        let mode = fs::metadata(&folder)?.permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", folder.display());
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file()
                && !name.starts_with('.')
                && (name.contains("key") || folder.ends_with("accounts"))
            {
                let mode = entry.metadata()?.permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{}", entry.path().display());
                files += 1;
            }
        }
    }
    assert!(files >= 2, "a key and an account were looked at");
    Ok(())
}

#[test]
fn a_dry_run_writes_and_withdraws_a_probe_and_asks_the_ca_for_nothing() -> Result {
    let bed = TestBed::start()?;
    let requests = bed.acme_requests()?;
    let outcome = bed.run(&[
        "issue",
        "example.com",
        "--challenge-alias",
        ALIAS_ZONE,
        "--dry-run",
    ])?;
    outcome.assert_success();
    assert_eq!(bed.serial(ALIAS_ZONE)?, 3);
    assert_eq!(bed.acme_requests()?, requests);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn json_is_all_that_standard_output_gets() -> Result {
    let bed = TestBed::start()?;
    let issue = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];
    let outcome = bed.run(&[&issue[..], &["--output", "json"]].concat())?;
    outcome.assert_success();
    let issued = outcome.json()?;
    assert_eq!(issued["certificate"], "example-com");
    assert_eq!(issued["domains"], serde_json::json!(["example.com"]));
    let list = bed.run(&["list", "--output", "json"])?.json()?;
    let listed = &list["certificates"][0];
    assert_eq!(listed["not_after"], issued["not_after"]);
    assert_eq!(listed["path"], issued["path"]);
    Ok(())
}

#[test]
fn no_secret_is_in_the_log_at_any_level() -> Result {
    let bed = TestBed::start()?;
    let issue = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];
    let outcome = bed.run(&[&issue[..], &["-vvv"]].concat())?;
    outcome.assert_success();
    let log = &outcome.stderr;
    assert!(log.contains("acknowledged"), "{log}");
    assert!(!log.contains(&bed.key(ALIAS_ZONE)?.secret));
    assert!(!log.contains("PRIVATE KEY"));
    Ok(())
}

#[test]
fn without_the_pre_flight_the_alias_is_taken_as_it_is_given() -> Result {
    // Split horizon: the CNAME is there for the CA, and not for this machine.
    let bed = TestBed::start()?;
    let mut settings = bed.settings();
    for zone in &mut settings.zones {
        zone.1 = vec![bed.dead_port()?.address()];
    }
    let program = bed.program(settings)?;
    let issue = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];
    program.run(&issue)?.assert_failure(3, &["example.com"]);
    program
        .run(&[&issue[..], &["--skip-preflight"]].concat())?
        .assert_success();
    bed.assert_only_txt_was_touched(&[])
}
