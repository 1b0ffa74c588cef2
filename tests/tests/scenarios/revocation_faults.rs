//! Revocations that the CA refuses, or that nobody knows the outcome of.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use acme_alias_core::crash::Point;
use acme_alias_tests::{ALIAS_ZONE, Profile, Program, Result, Spoilt, TestBed};
use serde_json::{Value, json};

/// The JSON output of a command that succeeds.
#[track_caller]
fn json_of(program: &Program, arguments: &[&str]) -> Result<Value> {
    let outcome = program.run(&[arguments, &["--output", "json"]].concat())?;
    outcome.assert_success();
    outcome.json()
}

#[test]
fn a_revocation_counts_from_before_its_request_unless_the_ca_refuses_it() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .profile(Profile::Failpoints)
        .start()?;
    let folder = bed.folder().join("state/certificates/web");
    let (order, status) = (folder.join("order.json"), folder.join("status.json"));
    let is_lost = Arc::new(AtomicBool::new(false));
    let (under_way, loses) = (order.clone(), Arc::clone(&is_lost));
    let proxy = bed.acme_proxy(move |exchange| {
        if exchange.path != "/revoke-cert" {
            return Spoilt::No;
        }
        let known = fs::read_to_string(&status).unwrap_or_default();
        let known: Value = serde_json::from_str(&known).unwrap_or_default();
        if known["revoked"] != 1 || under_way.exists() {
            return Spoilt::Instead(500, Vec::new(), "too early".to_owned());
        }
        if loses.load(Ordering::SeqCst) {
            return Spoilt::Cut;
        }
        let problem = json!({ "type": "urn:ietf:params:acme:error:unauthorized", "detail": "no" });
        Spoilt::Instead(403, Vec::new(), problem.to_string())
    })?;
    let lines = "domains = [\"example.com\"]\nkey = \"reuse\"";
    let lines = format!("{lines}\nchallenge-alias = \"{ALIAS_ZONE}\"");
    let mut settings = bed.settings().certificate("web", &lines);
    settings.directory = proxy.directory();
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    let key = || -> Result<String> {
        let certificate = bed.certificate("web")?;
        Ok(fs::read_to_string(certificate.folder.join("privkey.pem"))?)
    };
    let old = key()?;
    let revoke = ["revoke", "web", "--reason", "key-compromise"];
    let refused = program.run(&revoke)?;
    refused.assert_failure(5, &["the CA refused the revocation: no"]);
    assert_eq!(json_of(&program, &["show", "web"])?["revoked"], false);
    assert_eq!(json_of(&program, &["renew"])?["renewed"], json!([]));
    // An order for the same key is under way.
    let at = format!("{}=return", Point::Validate.name());
    let killed = program.clone().env("FAILPOINTS", at);
    assert_eq!(killed.run(&["renew", "--force"])?.code, None);
    assert!(order.exists());
    is_lost.store(true, Ordering::SeqCst);
    let lost = program.run(&revoke)?;
    let words = "it is not known whether the CA has revoked version 1 of `web`";
    lost.assert_failure(5, &[words, "run the same command again"]);
    let renewed = json_of(&program, &["renew"])?;
    assert_eq!(renewed["renewed"][0]["why"], "it was revoked");
    assert_ne!(key()?, old);
    bed.assert_only_txt_was_touched(&[])
}
