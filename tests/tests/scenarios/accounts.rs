//! The account at the CA: shown, changed, given another key, ended and replaced.

use std::fs;
use std::path::PathBuf;

use acme_alias_tests::{ALIAS_ZONE, Program, Result, Settings, TestBed};
use serde_json::{Value, json};

/// Settings with a certificate `web`.
pub(crate) fn settings(bed: &TestBed) -> Settings {
    let lines = format!("domains = [\"example.com\"]\nchallenge-alias = \"{ALIAS_ZONE}\"");
    bed.settings().certificate("web", &lines)
}

/// What a command that succeeds says of the account.
#[track_caller]
pub(crate) fn account(program: &Program, arguments: &[&str]) -> Result<Value> {
    let outcome = program.run(&[&["account"], arguments, &["--output", "json"]].concat())?;
    outcome.assert_success();
    Ok(outcome.json()?["account"].clone())
}

/// The files of accounts whose names end like this.
pub(crate) fn account_files(bed: &TestBed, state: &str, end: &str) -> Result<Vec<PathBuf>> {
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
