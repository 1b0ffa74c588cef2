//! Findings about certificates that were issued by flags, and a zone that is not delegated.

use acme_alias_tests::{ALIAS_ZONE, Outcome, Result, Spoilt, TestBed};

use super::follow::{
    assert_all_works, flags_of, issue, one_zone, only_servers, put_value_and_die, words,
};
use crate::checks::kinds;

#[track_caller]
fn assert_words(outcome: &Outcome, expected: &str) {
    assert!(words(outcome).contains(expected), "{expected}: {outcome}");
}

#[test]
fn caa_records_and_values_of_certificates_issued_by_flags_are_mended() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .validates_each_time()
        .start()?;
    // The CA of the settings names no domain for CAA records.
    let other_ca = bed.acme_proxy(|exchange| {
        if exchange.path != "/dir" || exchange.answer.is_empty() {
            return Spoilt::No;
        }
        let directory = serde_json::from_str::<serde_json::Value>(&exchange.answer);
        let mut directory = directory.unwrap_or_default();
        directory["meta"]["caaIdentities"] = serde_json::json!(["ca.example"]);
        Spoilt::Changed(directory.to_string())
    })?;
    let program = bed.program(only_servers(&bed))?;
    let flags = flags_of(&bed.settings().providers[0]);
    let directory = other_ca.directory();
    let arguments = ["example.com", "--challenge-alias", ALIAS_ZONE];
    let arguments = [&arguments[..], &["--directory", &directory]].concat();
    issue(&program, &arguments, &flags)?;
    assert_all_works(&bed, &program)?;

    bed.update_main_zones(
        "zone example.com.\nupdate add example.com. 600 CAA 0 issue \"other.example\"\nsend\n",
    )?;
    let check = program.run(&["check"])?;
    check.assert_failure(3, &[]);
    assert_words(&check, "CAA does not let ca.example issue for example.com");
    assert_words(&check, "`acme-alias delegate --caa` prints the record");
    let script = program.run(&["delegate", "--caa", "--format", "nsupdate"])?;
    script.assert_success();
    let main_zone = script
        .stdout
        .split("\n\n")
        .find(|part| part.contains("zone example.com"));
    bed.update_main_zones(main_zone.unwrap_or_default())?;
    let caa = bed.ask(bed.main_server(), "example.com", "CAA")?;
    let is_ours = |line: &String| line.contains("ca.example") && line.contains("accounturi=");
    assert!(caa.iter().any(is_ours), "{caa:?}");
    assert_all_works(&bed, &program)?;

    put_value_and_die(&bed, only_servers(&bed), &["renew", "--force"])?;
    let check = program.run(&["check", "--output", "json"])?;
    assert!(
        kinds(&check, "example.com")?.contains("stale-value"),
        "{check}"
    );
    assert_words(&program.run(&["check"])?, "`acme-alias ledger reconcile`");
    program.run(&["ledger", "reconcile"])?.assert_success();
    assert_all_works(&bed, &program)
}

#[test]
fn an_alias_zone_is_delegated_as_advised() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .undelegated()
        .start()?;
    let settings = one_zone(&bed).certificate("web", "domains = [\"example.com\"]");
    let program = bed.program(settings)?;
    let check = program.run(&["check", "--output", "json"])?;
    assert!(
        kinds(&check, "example.com")?.contains("not-delegated"),
        "{check}"
    );
    let remedy = format!("add NS records for {ALIAS_ZONE} to the zone above");
    assert_words(&program.run(&["check"])?, &remedy);
    let server = format!("ns1.{ALIAS_ZONE}.");
    bed.update_main_zones(&format!(
        "zone example.net.\nupdate add {ALIAS_ZONE}. 600 NS {server}\n\
         update add {server} 600 A 127.0.0.1\nsend\n"
    ))?;
    issue(&program, &["web"], &[])?;
    assert_all_works(&bed, &program)
}
