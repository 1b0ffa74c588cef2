//! The account at the CA: shown, changed, given another key, ended and replaced.

use std::fs;
use std::path::PathBuf;

use acme_alias_core::crash::Point;
use acme_alias_tests::{ALIAS_ZONE, Exchange, Profile, Program, Result, Settings, Spoilt, TestBed};
use serde_json::{Value, json};

/// Settings with a certificate `web`.
fn settings(bed: &TestBed) -> Settings {
    let lines = format!("domains = [\"example.com\"]\nchallenge-alias = \"{ALIAS_ZONE}\"");
    bed.settings().certificate("web", &lines)
}

/// What a command that succeeds says of the account.
#[track_caller]
fn account(program: &Program, arguments: &[&str]) -> Result<Value> {
    let outcome = program.run(&[&["account"], arguments, &["--output", "json"]].concat())?;
    outcome.assert_success();
    Ok(outcome.json()?["account"].clone())
}

/// The files of accounts whose names end like this.
fn account_files(bed: &TestBed, state: &str, end: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(bed.folder().join(state).join("accounts"))?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let paths: Result<Vec<_>> = paths.collect();
    let is_wanted = |path: &PathBuf| path.display().to_string().ends_with(end);
    Ok(paths?.into_iter().filter(is_wanted).collect())
}

#[test]
fn the_account_is_shown_as_the_ca_has_it() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(settings(&bed))?;
    let none = program.run(&["account", "show"])?;
    none.assert_failure(5, &["there is no account", "acme-alias account new"]);
    assert!(!bed.folder().join("state").exists());
    program.run(&["renew"])?.assert_success();
    let shown = account(&program, &["show"])?;
    assert_eq!(shown["directory"], bed.directory());
    assert_eq!(shown["status"], "valid");
    assert_eq!(shown["contact"], json!(["mailto:admin@example.com"]));
    assert_eq!(shown["contact_in_settings"], json!(["admin@example.com"]));
    assert_eq!(shown["thumbprint"].as_str().map(str::len), Some(43));
    assert_eq!(
        (&shown["action"], &shown["former"]),
        (&Value::Null, &json!([]))
    );
    let text = program.run(&["account", "show"])?;
    text.assert_success();
    for words in ["admin@example.com", "thumbprint", "valid", "terms"] {
        assert!(text.stdout.contains(words), "{words}: {text}");
    }
    let unknown = program.run(&["account", "show", "--ca", "othr"])?;
    unknown.assert_failure(2, &["no CA `othr`", "acme"]);
    Ok(())
}

#[test]
fn changed_contacts_are_sent_once() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(settings(&bed))?;
    // The second run finds that the CA has no renewal information.
    for _ in 0..2 {
        program.run(&["renew"])?.assert_success();
    }
    let requests = bed.acme_requests()?;
    program.run(&["renew"])?.assert_success();
    assert_eq!(bed.acme_requests()?, requests, "nothing has changed");
    let renew = ["renew", "--contact", "new@example.com"];
    program.run(&renew)?.assert_success();
    assert_eq!(
        account(&program, &["show"])?["contact"],
        json!(["mailto:new@example.com"])
    );
    let requests = bed.acme_requests()?;
    program.run(&renew)?.assert_success();
    assert_eq!(bed.acme_requests()?, requests, "they were sent before");
    // Whatever was sent before.
    let updated = account(&program, &["update"])?;
    assert_eq!(updated["contact"], json!(["mailto:admin@example.com"]));
    assert_eq!(updated["action"], "updated");
    let issue = ["issue", "web", "--force"];
    program.run(&issue)?.assert_success();
    assert_eq!(
        account(&program, &["show"])?["contact"],
        json!(["mailto:admin@example.com"])
    );
    Ok(())
}

#[test]
fn an_account_that_the_ca_has_lost_is_replaced_on_request() -> Result {
    let mut bed = TestBed::start()?;
    let program = bed.program(settings(&bed))?;
    program.run(&["renew"])?.assert_success();
    let old = account(&program, &["show"])?;
    bed.restart_ca()?;
    let force = ["renew", "--force"];
    let lost = program.run(&force)?;
    lost.assert_failure(5, &["accountDoesNotExist", "run `acme-alias account new`"]);
    let shown = program.run(&["account", "show"])?;
    shown.assert_failure(5, &["run `acme-alias account new`"]);
    let new = account(&program, &["new"])?;
    assert_eq!(
        (&new["action"], &new["status"]),
        (&json!("created"), &json!("valid"))
    );
    assert_ne!(new["thumbprint"], old["thumbprint"]);
    assert_eq!(new["former"], json!([old["url"]]));
    assert_eq!(account_files(&bed, "state", ".former-1.json")?.len(), 1);
    program.run(&force)?.assert_success();
    // And once more, although nothing is wrong.
    let newer = account(&program, &["new"])?;
    assert_eq!(newer["former"], json!([old["url"], new["url"]]));
    program.run(&force)?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_rollover_changes_the_key_and_nothing_else() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(settings(&bed))?;
    program.run(&["renew"])?.assert_success();
    let old = account(&program, &["show"])?;
    let stored = account_files(&bed, "state", ".json")?;
    let rolled = account(&program, &["rollover"])?;
    assert_eq!(
        (&rolled["url"], &rolled["action"]),
        (&old["url"], &json!("rolled-over"))
    );
    assert_ne!(rolled["thumbprint"], old["thumbprint"]);
    assert_eq!(
        account(&program, &["show"])?["thumbprint"],
        rolled["thumbprint"]
    );
    assert_eq!(account_files(&bed, "state", ".json")?.len(), stored.len());
    program.run(&["renew", "--force"])?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn whatever_point_a_rollover_dies_at_the_next_use_finishes_it() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .profile(Profile::Failpoints)
        .start()?;
    for point in Point::KEY_CHANGE {
        for next in [
            &["renew", "--force"][..],
            &["account", "show"],
            &["account", "rollover"],
        ] {
            let state = format!("{}-{}", point.name(), next.join("-"));
            let mut settings = settings(&bed);
            settings.state = bed.folder().join(&state);
            let program = bed.program(settings)?;
            program.run(&["renew"])?.assert_success();
            let old = account(&program, &["show"])?;
            let killed = program
                .clone()
                .env("FAILPOINTS", format!("{}=return", point.name()));
            let killed = killed.run(&["account", "rollover"])?;
            assert_eq!(killed.code, None, "{point:?}: {killed}");
            assert_eq!(
                account_files(&bed, &state, ".pending.json")?.len(),
                1,
                "{point:?}"
            );
            program.run(next)?.assert_success();
            assert_eq!(
                account_files(&bed, &state, ".pending.json")?.len(),
                0,
                "{point:?}"
            );
            let new = account(&program, &["show"])?;
            assert_eq!(new["url"], old["url"], "{point:?}");
            assert_ne!(new["thumbprint"], old["thumbprint"], "{point:?}");
            program.run(&["renew", "--force"])?.assert_success();
        }
    }
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_refused_rollover_leaves_the_old_key() -> Result {
    let bed = TestBed::start()?;
    let proxy = bed.acme_proxy(|exchange: &Exchange| match exchange.path.as_str() {
        "/rollover-account-key" if exchange.answer.is_empty() => {
            let kind = "urn:ietf:params:acme:error:badPublicKey";
            let body = json!({ "type": kind, "detail": "not this one" }).to_string();
            let json = ("Content-Type", "application/problem+json".to_owned());
            Spoilt::Instead(400, vec![json], body)
        }
        _ => Spoilt::No,
    })?;
    let mut settings = settings(&bed);
    settings.directory = proxy.directory();
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    let old = account(&program, &["show"])?;
    let refused = program.run(&["account", "rollover"])?;
    refused.assert_failure(5, &["not this one"]);
    assert_eq!(account_files(&bed, "state", ".pending.json")?.len(), 0);
    assert_eq!(
        account(&program, &["show"])?["thumbprint"],
        old["thumbprint"]
    );
    program.run(&["renew", "--force"])?.assert_success();
    Ok(())
}

#[test]
fn a_deactivated_account_is_replaced_on_request() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(settings(&bed))?;
    program.run(&["renew"])?.assert_success();
    let asked = program.run(&["account", "deactivate"])?;
    asked.assert_failure(2, &["cannot be used again", "`--yes`"]);
    assert_eq!(account(&program, &["show"])?["status"], "valid");
    let ended = account(&program, &["deactivate", "--yes"])?;
    assert_eq!(
        (&ended["status"], &ended["action"]),
        (&json!("deactivated"), &json!("deactivated"))
    );
    let refused = program.run(&["renew", "--force"])?;
    refused.assert_failure(5, &["run `acme-alias account new`"]);
    program.run(&["account", "new"])?.assert_success();
    program.run(&["renew", "--force"])?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}
