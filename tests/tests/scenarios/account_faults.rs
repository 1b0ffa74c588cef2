//! Accounts that the CA loses, and changes of their keys that fail or are killed.

use std::fs;

use acme_alias_core::crash::Point;
use acme_alias_tests::{Exchange, Profile, Result, Spoilt, TestBed};
use serde_json::json;

use crate::accounts::{account, account_files, settings};

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
fn whatever_point_a_rollover_dies_at_a_new_account_leaves_both_keys_of_the_old_one() -> Result {
    let bed = TestBed::builder().profile(Profile::Failpoints).start()?;
    for point in Point::KEY_CHANGE {
        let state = point.name();
        let mut settings = settings(&bed);
        settings.state = bed.folder().join(state);
        let program = bed.program(settings)?;
        let old = account(&program, &["new"])?;
        let killed = program.clone().env("FAILPOINTS", format!("{state}=return"));
        let killed = killed.run(&["account", "rollover"])?;
        assert_eq!(killed.code, None, "{point:?}: {killed}");
        let new = account(&program, &["new"])?;
        assert_ne!(new["url"], old["url"], "{point:?}");
        assert_eq!(new["former"], json!([old["url"]]), "{point:?}");
        assert_eq!(account_files(&bed, state, ".pending.json")?.len(), 0);
        // One of the keys that were kept is the one that the CA has.
        let mut works = 0;
        for number in 1..=2 {
            let former = format!(".former-{number}.json");
            for path in account_files(&bed, state, &former)? {
                let current = path.display().to_string().replace(&former, ".json");
                fs::copy(&path, current)?;
                let shown = program.run(&["account", "show", "--output", "json"])?;
                if shown.code == Some(0) {
                    assert_eq!(shown.json()?["account"]["url"], old["url"]);
                    works += 1;
                }
            }
        }
        assert_eq!(works, 1, "{point:?}");
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
fn a_rollover_whose_answer_is_lost_costs_no_account() -> Result {
    let bed = TestBed::start()?;
    let proxy = bed.acme_proxy(|exchange: &Exchange| match exchange.path.as_str() {
        "/rollover-account-key" => Spoilt::Cut,
        _ => Spoilt::No,
    })?;
    let mut settings = settings(&bed);
    settings.directory = proxy.directory();
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    let old = account(&program, &["show"])?;
    // The request is repeated, and the CA does not know the old key any more.
    program.run(&["account", "rollover"])?.assert_success();
    assert_eq!(account_files(&bed, "state", ".pending.json")?.len(), 0);
    let new = account(&program, &["show"])?;
    assert_eq!(new["url"], old["url"]);
    assert_ne!(new["thumbprint"], old["thumbprint"]);
    program.run(&["renew", "--force"])?.assert_success();
    Ok(())
}
