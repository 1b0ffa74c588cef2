//! Runs over several certificates: two at once, damaged ones, hooks that fail, what is sent where.

use std::fs;
use std::path::Path;
use std::time::Duration;

use acme_alias_tests::{
    ALIAS_ZONE, BedServer, MAIN_ZONES, Outcome, Program, RecordingHook, Result, TestBed,
};

/// Two runs at once over eight certificates that are due, with every server 40 ms away.
fn two_runs_at_once(arguments: &[&str]) -> Result {
    let hosts: Vec<_> = (1..=8).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let far = bed.far(Duration::from_millis(40))?;
    let program = bed.program(far.settings().certificates(&hosts))?;
    let runs = [program.spawn(arguments)?, program.spawn(arguments)?];
    for run in runs {
        run.wait()?.assert_success();
    }
    assert_eq!(bed.orders()?, hosts.len());
    for host in &hosts {
        let certificate = bed.certificate(&host.replace('.', "-"))?;
        assert_eq!(certificate.names, [host.as_str()]);
        let versions = certificate.folder.join("versions");
        assert_eq!(fs::read_dir(versions)?.count(), 1, "{host}");
    }
    program.run(&["ledger", "verify"])?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_mistake_in_one_certificate_fails_it_and_no_other() -> Result {
    let bed = TestBed::start()?;
    let good = bed.settings().certificates(&["example.com"]);
    // A customer's name is as long as a name may be, and the alias is longer.
    let long = format!("{0}.{0}.{0}.example.com", "x".repeat(60));
    let alias = format!("{long}.{}.{ALIAS_ZONE}", "y".repeat(40));
    let lines = format!("domains = [\"{long}\"]\nchallenge-alias = \"{alias}\"\n");
    let program = bed.program(good.certificate("customer", &lines))?;
    // There is no state folder yet.
    let list = program.run(&["list", "--check"])?;
    list.assert_printed(&["customer", "its settings cannot be used"]);
    let renew = program.run(&["renew"])?;
    let words = [
        "customer: failed",
        "`certificates.customer.challenge-alias`",
    ];
    renew.assert_failure(2, &words);
    renew.assert_printed(&["example-com: example.com"]);
    program
        .run(&["config", "check"])?
        .assert_failure(2, &words[1..]);
    program
        .run(&["issue", "customer"])?
        .assert_failure(2, &words[1..]);
    let list = program.run(&["list"])?;
    list.assert_success();
    list.assert_printed(&["example-com", "customer", "its settings cannot be used"]);
    let check = program.run(&["check"])?;
    check.assert_said(&["warning: the certificate `customer` cannot be obtained"]);
    assert_eq!(bed.orders()?, 1);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn two_runs_at_once_obtain_each_certificate_once() -> Result {
    two_runs_at_once(&["renew"])
}

#[test]
fn two_runs_at_once_obtain_each_certificate_once_where_they_wait_for_each_other() -> Result {
    two_runs_at_once(&["renew", "--wait"])
}

/// The ids in a list of JSON.
fn ids(list: &serde_json::Value) -> Vec<&str> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let ids = list.iter().map(|entry| entry["certificate"].as_str());
    ids.map(Option::unwrap_or_default).collect()
}

/// A bed with three certificates, of which two are damaged and one is not, and a fourth that is due.
fn damaged(bed: &TestBed) -> Result<Program> {
    let program = bed.program(bed.settings().certificates(&MAIN_ZONES[..3]))?;
    program.run(&["renew"])?.assert_success();
    let folder = |id: &str| bed.settings().state.join("certificates").join(id);
    fs::write(folder("example-com").join("current/cert.pem"), "garbage")?;
    let current = folder("example-org").join("current");
    fs::remove_file(&current)?;
    std::os::unix::fs::symlink(Path::new("versions/does-not-exist"), &current)?;
    bed.program(bed.settings().certificates(&MAIN_ZONES[..4]))
}

const DAMAGED: [&str; 2] = ["example-com", "example-org"];

#[test]
fn list_shows_the_others_when_a_certificate_is_damaged() -> Result {
    let bed = TestBed::start()?;
    let program = damaged(&bed)?;
    let outcome = program.run(&["list"])?;
    outcome.assert_success();
    for id in [DAMAGED[0], DAMAGED[1], "example-edu"] {
        assert!(outcome.stdout.contains(id), "{outcome}");
    }
    let outcome = program.run(&["list", "--output", "json"])?;
    outcome.assert_success();
    outcome.assert_said(&DAMAGED);
    let json = outcome.json()?;
    assert!(
        ids(&json["certificates"]).contains(&"example-edu"),
        "{outcome}"
    );
    Ok(())
}

#[test]
fn renew_renews_the_others_when_a_certificate_is_damaged() -> Result {
    let bed = TestBed::start()?;
    let program = damaged(&bed)?;
    let orders = bed.orders()?;
    let outcome = program.run(&["renew", "--output", "json"])?;
    assert_eq!(outcome.code, Some(6), "{outcome}");
    let json = outcome.json()?;
    assert_eq!(ids(&json["failed"]), DAMAGED, "{outcome}");
    assert_eq!(ids(&json["renewed"]), ["corp-example"], "{outcome}");
    assert_eq!(ids(&json["skipped"]), ["example-edu"], "{outcome}");
    assert_eq!(bed.orders()?, orders + 1);
    bed.assert_only_txt_was_touched(&[])
}

/// A run in which the only thing to do is the hook, and the hooks that have run by then.
fn renew(program: &Program, hook: &RecordingHook) -> Result<(Outcome, usize)> {
    // A certificate that is named does not wait after a failure.
    Ok((program.run(&["renew", "web"])?, hook.certificates()?.len()))
}

#[test]
fn renew_runs_a_failed_deploy_hook_again_until_it_succeeds() -> Result {
    let bed = TestBed::start()?;
    let hook = RecordingHook::new(&bed.folder().join("deployed"));
    let ready = bed.folder().join("ready");
    let setting = hook.setting_with(&format!("test -e {}", ready.display()));
    let lines = format!("domains = [\"example.com\"]\n{setting}");
    let program = bed.program(bed.settings().certificate("web", &lines))?;

    let (outcome, runs) = renew(&program, &hook)?;
    assert_eq!((outcome.code, runs), (Some(1), 1), "{outcome}");
    // Nothing is due, and the hook still fails.
    let (outcome, runs) = renew(&program, &hook)?;
    assert_eq!((outcome.code, runs), (Some(1), 2), "{outcome}");
    fs::write(&ready, "")?;
    for _ in 0..2 {
        let (outcome, runs) = renew(&program, &hook)?;
        assert_eq!((outcome.code, runs), (Some(0), 3), "{outcome}");
    }
    let certificate = bed.certificate("web")?;
    assert_eq!(hook.certificates()?.last(), Some(&certificate.pem));
    assert_eq!(bed.orders()?, 1);
    Ok(())
}

#[test]
fn a_certificate_is_reported_although_the_store_cannot_record_that_it_was_deployed() -> Result {
    let bed = TestBed::start()?;
    let hook = RecordingHook::new(&bed.folder().join("hook"));
    // A folder stands where the store keeps which version was deployed.
    let record = bed.settings().state.join("certificates/web/deployed");
    let setting = hook.setting_with(&format!("mkdir -p {}/x", record.display()));
    let lines = format!("domains = [\"example.com\"]\n{setting}");
    let program = bed.program(bed.settings().certificate("web", &lines))?;

    let outcome = program.run(&["renew", "--output", "json"])?;
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let renewed = &outcome.json()?["renewed"][0];
    assert_eq!(renewed["certificate"], "web", "{outcome}");
    let failure = renewed["undeployed"][0]["error"].as_str();
    let failure = failure.unwrap_or_default();
    assert!(failure.contains("could not record"), "{outcome}");

    // The next run deploys it again, and obtains nothing.
    fs::remove_dir_all(&record)?;
    let lines = format!("domains = [\"example.com\"]\n{}", hook.setting());
    let program = bed.program(bed.settings().certificate("web", &lines))?;
    program.run(&["renew"])?.assert_success();
    assert_eq!((hook.certificates()?.len(), bed.orders()?), (2, 1));
    Ok(())
}

#[test]
fn issue_and_renew_send_updates_to_the_primary_of_the_alias_zone_only() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .validates_each_time()
        .start()?;
    let far = bed.far(Duration::ZERO)?;
    let program = bed.program(far.settings())?;
    let runs: [&[&str]; 2] = [
        &[
            "issue",
            "example.com",
            "--challenge-alias",
            "auth.example.net",
        ],
        &["renew", "--force"],
    ];
    for arguments in runs {
        let before = far.traffic();
        program.run(arguments)?.assert_success();
        let traffic = far.traffic().since(&before);
        assert_eq!(traffic.updates(BedServer::Main), 0, "{arguments:?}");
        assert_eq!(traffic.updates(BedServer::Secondary), 0, "{arguments:?}");
        // The record is added, and removed.
        assert_eq!(traffic.updates(BedServer::Primary), 2, "{arguments:?}");
    }
    bed.assert_only_txt_was_touched(&[])
}
