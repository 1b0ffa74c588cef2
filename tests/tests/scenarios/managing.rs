//! Certificates that are shown, revoked and forgotten.

use std::fs;

use acme_alias_core::crash::Point;
use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Outcome, Profile, Program, Result, Settings, SimulatedCa, TestBed,
    Validation,
};
use serde_json::{Value, json};

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];
const ID: &str = "example-com";

/// Settings with a certificate `web`.
fn settings(bed: &TestBed) -> Settings {
    let lines = format!("domains = [\"example.com\"]\nchallenge-alias = \"{ALIAS_ZONE}\"");
    bed.settings().certificate("web", &lines)
}

/// The JSON output of a command that succeeds.
#[track_caller]
fn json_of(program: &Program, arguments: &[&str]) -> Result<Value> {
    let outcome = program.run(&[arguments, &["--output", "json"]].concat())?;
    outcome.assert_success();
    outcome.json()
}

#[track_caller]
fn assert_told(outcome: &Outcome, texts: &[&str]) {
    outcome.assert_success();
    let told: Vec<_> = outcome.stdout.split_whitespace().collect();
    let told = told.join(" ");
    for text in texts {
        assert!(told.contains(text), "`{text}` is not in:\n{outcome}");
    }
}

fn key(bed: &TestBed, id: &str) -> Result<String> {
    Ok(fs::read_to_string(
        bed.certificate(id)?.folder.join("privkey.pem"),
    )?)
}

#[test]
fn a_revoked_certificate_is_renewed_at_once_with_another_key() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(settings(&bed))?;
    program.run(&["renew"])?.assert_success();
    let (old, old_key) = (bed.certificate("web")?, key(&bed, "web")?);
    let revoked = json_of(&program, &["revoke", "web", "--reason", "superseded"])?;
    let expected = json!({
        "certificate": "web", "version": 1, "domains": ["example.com"],
        "serial": revoked["revoked"]["serial"], "reason": "superseded", "by": "account",
        "already": false, "renewed": true,
    });
    assert_eq!(revoked["revoked"], expected);
    assert_eq!(json_of(&program, &["show", "web"])?["revoked"], true);
    let again = program.run(&["revoke", "web"])?;
    assert_told(&again, &["web: version 1", "was revoked before"]);
    let renewed = json_of(&program, &["renew"])?;
    assert_eq!(renewed["renewed"][0]["why"], "it was revoked");
    assert_ne!(bed.certificate("web")?.serial, old.serial);
    assert_ne!(key(&bed, "web")?, old_key);
    assert_eq!(json_of(&program, &["show", "web"])?["revoked"], false);
    assert_told(&program.run(&["renew"])?, &["web: not due"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn an_order_under_way_is_dropped_when_a_key_is_compromised() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .profile(Profile::Failpoints)
        .start()?;
    let program = bed.program(settings(&bed))?;
    program.run(&["renew"])?.assert_success();
    let order = bed.folder().join("state/certificates/web/order.json");
    for (reason, is_kept) in [("superseded", true), ("key-compromise", false)] {
        let at = format!("{}=return", Point::Validate.name());
        let killed = program.clone().env("FAILPOINTS", at);
        assert_eq!(killed.run(&["renew", "--force"])?.code, None);
        assert!(order.exists());
        let revoke = ["revoke", "web", "--reason", reason];
        program.run(&revoke)?.assert_success();
        assert_eq!(order.exists(), is_kept, "{reason}");
        program.run(&["renew"])?.assert_success();
    }
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn the_key_of_a_certificate_revokes_it_when_the_account_may_not() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(settings(&bed))?;
    program.run(&["renew"])?.assert_success();
    let file = bed.folder().join("copy.pem");
    fs::copy(bed.certificate("web")?.folder.join("fullchain.pem"), &file)?;
    let file = file.display().to_string();
    program.run(&["account", "new"])?.assert_success();
    // Another state folder has neither the account nor the key.
    let mut elsewhere = settings(&bed);
    elsewhere.state = bed.folder().join("elsewhere");
    let elsewhere = bed.program(elsewhere)?;
    let revoke = ["revoke", "--cert", &file];
    elsewhere
        .run(&revoke)?
        .assert_failure(5, &["there is no account", "acme-alias account new"]);
    elsewhere.run(&["account", "new"])?.assert_success();
    elsewhere
        .run(&revoke)?
        .assert_failure(5, &["the CA refused the revocation", "--state"]);
    // Here is the key.
    let revoked = json_of(&program, &revoke)?["revoked"].clone();
    assert_eq!(revoked["by"], "certificate-key");
    assert_eq!(
        (&revoked["certificate"], &revoked["renewed"]),
        (&json!("web"), &json!(true))
    );
    let renewed = json_of(&program, &["renew"])?;
    assert_eq!(renewed["renewed"][0]["why"], "it was revoked");
    // The account that obtained it revokes by a file, too.
    fs::copy(bed.certificate("web")?.folder.join("cert.pem"), &file)?;
    assert_eq!(json_of(&program, &revoke)?["revoked"]["by"], "account");
    let missing = ["revoke", "--cert", "/nowhere.pem"];
    program.run(&missing)?.assert_failure(2, &["/nowhere.pem"]);
    fs::write(&file, "no certificate")?;
    program.run(&revoke)?.assert_failure(2, &["PEM"]);
    Ok(())
}

#[test]
fn a_certificate_is_revoked_at_the_ca_that_issued_it() -> Result {
    let bed = TestBed::start()?;
    bed.program(settings(&bed))?
        .run(&["renew"])?
        .assert_success();
    let other = SimulatedCa::start(Validation::Trust)?;
    let mut moved = settings(&bed);
    moved.directory = other.directory();
    moved.ca_file = Some(other.root().to_owned());
    let revoke = ["revoke", "web"];
    let unknown = bed.program(moved.clone())?.run(&revoke)?;
    unknown.assert_failure(
        2,
        &["is not in the settings", &bed.directory(), "[cas.old]"],
    );
    let (directory, root) = (bed.directory(), bed.ca_file().display().to_string());
    moved.more += &format!(
        "[cas.old]\ndirectory = \"{directory}\"\nca-file = \"{root}\"\nagree-tos = true\n"
    );
    bed.program(moved)?.run(&revoke)?.assert_success();
    Ok(())
}

#[test]
fn a_certificate_that_nobody_knows_is_a_mistake_on_the_command_line() -> Result {
    let bed = TestBed::start()?;
    for state in ["before", "after"] {
        for command in ["show", "revoke", "forget"] {
            let outcome = bed.run(&[command, "nobody"])?;
            outcome.assert_failure(2, &["`nobody`", "acme-alias list"]);
        }
        if state == "before" {
            assert!(!bed.folder().join("state").exists());
            bed.run(&ISSUE)?.assert_success();
        }
    }
    Ok(())
}

#[test]
fn what_is_forgotten_keeps_its_files_unless_they_are_purged() -> Result {
    let bed = TestBed::start()?;
    bed.run(&ISSUE)?.assert_success();
    let folder = bed.certificate(ID)?.folder;
    let dry = json_of(&bed.program(bed.settings())?, &["forget", ID, "--dry-run"])?;
    assert_eq!(
        (&dry["dry_run"], &dry["settings"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(dry["versions"], json!([1]));
    assert!(folder.join("settings.toml").exists());
    let forgotten = bed.run(&["forget", ID])?;
    assert_told(
        &forgotten,
        &["deleted: the settings", "kept: 1 version", "--purge"],
    );
    assert!(!folder.join("settings.toml").exists());
    bed.certificate(ID)?;
    assert_told(&bed.run(&["list"])?, &[ID, "not in settings"]);
    assert_told(
        &bed.run(&["show", ID])?,
        &["no settings any more", "acme-alias forget"],
    );
    assert_told(
        &bed.run(&["renew", "--force"])?,
        &["no certificate to renew"],
    );
    let dry = bed.run(&["forget", ID, "--purge", "--dry-run"])?;
    assert_told(
        &dry,
        &["would be deleted: 1 version", "Nothing was changed"],
    );
    let purged = bed.run(&["forget", ID, "--purge"])?;
    assert_told(&purged, &["deleted: 1 version"]);
    assert!(!folder.exists());
    assert_told(
        &bed.run(&["list"])?,
        &["There is no certificate in the settings"],
    );
    bed.run(&["forget", ID])?
        .assert_failure(2, &["acme-alias list"]);
    bed.run(&ISSUE)?.assert_success();
    Ok(())
}

#[test]
fn a_certificate_in_the_settings_is_not_forgotten() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(settings(&bed))?;
    program.run(&["renew"])?.assert_success();
    let refused = program.run(&["forget", "web", "--purge"])?;
    refused.assert_failure(
        2,
        &["`[certificates.web]` in", "config.toml", "remove the table"],
    );
    bed.certificate("web")?;
    // After that it is.
    let without = bed.program(bed.settings())?;
    without.run(&["forget", "web", "--purge"])?.assert_success();
    assert!(bed.certificate("web").is_err());
    Ok(())
}

/// Kills a run for a certificate that flags describe while its value is in the zone.
fn kill_a_run(bed: &TestBed) -> Result {
    let stuck = bed.stuck_server()?;
    let mut settings = bed.settings();
    for zone in &mut settings.alias_zones {
        zone.servers.push(stuck.address());
    }
    let running = bed.program(settings)?.spawn(&ISSUE)?;
    bed.wait_until("the zone has a value", |bed| Ok(bed.txt()?.len() == 1))?;
    running.kill()
}

#[test]
fn values_of_a_forgotten_certificate_leave_their_zones() -> Result {
    let bed = TestBed::start()?;
    kill_a_run(&bed)?;
    let program = bed.program(bed.settings())?;
    let dry = json_of(&program, &["forget", ID, "--dry-run"])?;
    assert_eq!(dry["values"][0]["name"], ALIAS_NAME);
    assert_eq!(dry["order"], true);
    assert_eq!(bed.txt()?.len(), 1);
    // While its server cannot be reached, nothing is deleted: what is stored is needed for that.
    let dead = bed.dead_port()?;
    let mut unreachable = bed.settings();
    unreachable.providers[0].server = dead.address();
    let failed = bed.program(unreachable)?.run(&["forget", ID, "--purge"])?;
    assert_eq!(failed.code, Some(4), "{failed}");
    assert!(failed.stdout.contains("nothing was deleted"), "{failed}");
    assert!(failed.stdout.contains("ledger forget"), "{failed}");
    let folder = bed.folder().join("state/certificates").join(ID);
    assert!(folder.join("settings.toml").exists());
    let forgotten = json_of(&program, &["forget", ID, "--purge"])?;
    assert_eq!(forgotten["removed"][0]["name"], ALIAS_NAME);
    assert_eq!(forgotten["left"], json!([]));
    assert!(!folder.exists());
    let ledger = json_of(&program, &["ledger", "verify"])?;
    assert_eq!(ledger["open"], 0);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn commands_about_all_certificates_know_those_that_were_issued_by_flags() -> Result {
    let bed = TestBed::start()?;
    let none = bed.run(&["check"])?;
    none.assert_failure(2, &["there is no domain to check"]);
    bed.run(&ISSUE)?.assert_success();
    let program = bed.program(bed.settings())?;
    let checked = json_of(&program, &["check"])?;
    assert_eq!(checked["checked"][0]["domains"], json!(["example.com"]));
    let records = json_of(&program, &["delegate", "--all"])?;
    assert_eq!(records["records"][0]["name"], "_acme-challenge.example.com");
    let policies = json_of(&program, &["key", "policy"])?.to_string();
    assert!(policies.contains(ALIAS_NAME), "{policies}");
    // With one in the settings beside it.
    let both = bed.program(bed.settings().certificates(&["example.org"]))?;
    let checked = json_of(&both, &["check"])?;
    assert_eq!(checked["checked"].as_array().map(Vec::len), Some(2));
    json_of(&both, &["forget", ID, "--purge"])?;
    let checked = json_of(&both, &["check"])?;
    assert_eq!(checked["checked"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[test]
fn show_tells_what_is_known_of_a_certificate() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(settings(&bed))?;
    let fresh = json_of(&program, &["show", "web"])?;
    assert_eq!(
        fresh["next"],
        json!({ "action": "renew", "at": null, "why": "there is none yet" })
    );
    assert!(!bed.folder().join("state").exists());
    assert_eq!(fresh["version"], Value::Null);
    program.run(&["renew"])?.assert_success();
    program.run(&["renew", "--force"])?.assert_success();
    let certificate = bed.certificate("web")?;
    let shown = json_of(&program, &["show", "web"])?;
    assert_eq!(shown["domains"], json!(["example.com"]));
    assert_eq!(
        (&shown["defined"], &shown["version"]),
        (&json!("settings"), &json!(2))
    );
    assert_eq!(shown["ca"], bed.directory());
    assert_eq!(shown["key_type"], "ecdsa-p256");
    assert_eq!(shown["path"], certificate.folder.display().to_string());
    let versions = shown["versions"].as_array().cloned().unwrap_or_default();
    assert_eq!(versions.len(), 2);
    let chain = versions[1]["chain"].as_array().cloned().unwrap_or_default();
    assert!(chain.len() >= 2, "{shown}");
    assert_eq!(chain[0]["issuer"], chain[1]["subject"]);
    assert_eq!(chain[0]["serial"], shown["serial"]);
    assert_eq!(shown["next"]["why"], "its lifetime");
    let text = program.run(&["show", "web"])?;
    let words = [
        "web: example.com",
        "the settings",
        "version 2",
        "issued by",
        "ecdsa-p256",
        "renewal from",
        "deployed",
    ];
    assert_told(&text, &words);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn show_tells_of_failures_and_of_damage() -> Result {
    let bed = TestBed::start()?;
    bed.run(&ISSUE)?.assert_success();
    let program = bed.program(bed.settings())?;
    assert_eq!(json_of(&program, &["show", ID])?["defined"], "stored");
    // The CA cannot be reached.
    let dead = bed.dead_port()?;
    let mut lost = bed.settings();
    lost.directory = format!("https://{}/dir", dead.address());
    let failed = bed.program(lost.clone())?.run(&["renew"])?;
    assert_eq!(failed.code, Some(5), "{failed}");
    let shown = json_of(&bed.program(lost.clone())?, &["show", ID])?;
    assert_eq!(shown["attempts"]["failed"], 1);
    assert_eq!(shown["next"]["action"], "wait");
    let text = bed.program(lost)?.run(&["show", ID])?;
    assert_told(
        &text,
        &["1 attempt failed", "could not reach", "next attempt after"],
    );
    let folder = bed.certificate(ID)?.folder;
    for file in ["cert.pem", "fullchain.pem"] {
        fs::write(folder.join("versions/1").join(file), "-----BEGIN")?;
    }
    let shown = json_of(&program, &["show", ID])?;
    assert!(shown["damage"].is_string(), "{shown}");
    assert!(shown["versions"][0]["damage"].is_string(), "{shown}");
    assert_eq!(shown["domains"], json!(["example.com"]));
    assert_told(
        &program.run(&["show", ID])?,
        &["damaged:", "cannot be read"],
    );
    let purged = program.run(&["forget", ID, "--purge"])?;
    assert_told(&purged, &["deleted: 1 version", "is damaged"]);
    Ok(())
}
