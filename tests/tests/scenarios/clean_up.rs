//! Nothing of ours stays in the zone, however a run ends.

use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Outcome, Result, Running, TestBed};

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];

/// Starts a run that waits for a server which never has the value, does `then` as soon as the value is
/// at the primary, and returns how the run ends.
fn disturb(
    bed: &TestBed,
    propagation_timeout: &'static str,
    then: impl FnOnce(&Running) -> Result,
) -> Result<Outcome> {
    let stuck = bed.stuck_server()?;
    let mut settings = bed.settings();
    settings.propagation_timeout = propagation_timeout;
    settings.alias_zones[0].servers.push(stuck.address());
    let program = bed.program(settings)?;
    let running = program.spawn(&ISSUE)?;
    bed.wait_until("the primary has the value", |bed| {
        Ok(bed
            .txt()?
            .iter()
            .any(|txt| txt.name == ALIAS_NAME && txt.value != "foreign"))
    })?;
    then(&running)?;
    running.wait()
}

#[test]
fn after_sigterm_the_values_are_withdrawn() -> Result {
    let bed = TestBed::start()?;
    let outcome = disturb(&bed, "2m", Running::terminate)?;
    outcome.assert_failure(130, &["interrupted"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn after_ctrl_c_the_values_are_withdrawn_and_foreign_ones_stay() -> Result {
    let bed = TestBed::start()?;
    let foreign = bed.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, "foreign")?;
    let outcome = disturb(&bed, "2m", Running::interrupt)?;
    outcome.assert_failure(130, &["interrupted"]);
    bed.assert_only_txt_was_touched(&[foreign])
}

#[test]
fn after_a_server_has_lagged_too_long_the_values_are_withdrawn_and_it_is_named() -> Result {
    let bed = TestBed::start()?;
    let stuck = bed.stuck_server()?;
    let mut settings = bed.settings();
    settings.propagation_timeout = "3s";
    settings.alias_zones[0].servers.push(stuck.address());
    let outcome = bed.program(settings)?.run(&ISSUE)?;
    outcome.assert_failure(4, &[&stuck.address().to_string(), ALIAS_NAME, "3s"]);
    let said = &outcome.stderr;
    assert!(!said.contains(&bed.secondary().to_string()), "{said}");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn after_the_ca_could_not_validate_the_values_are_withdrawn() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .blind_ca()
        .start()?;
    let outcome = bed.run(&ISSUE)?;
    outcome.assert_failure(5, &["could not validate", "example.com"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn all_names_that_the_ca_could_not_validate_are_told() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com", "example.org"])
        .blind_ca()
        .start()?;
    let outcome = bed.run(&[&ISSUE[..], &["example.org", "*.example.org"]].concat())?;
    outcome.assert_failure(5, &["could not validate", "example.com:", "*.example.org:"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn after_the_ca_has_gone_away_the_values_are_withdrawn() -> Result {
    let mut bed = TestBed::builder()
        .delegate(&["example.com"])
        // Time to end the CA in: the program waits for the secondary.
        .notify_delay(5)
        .start()?;
    let running = bed.program(bed.settings())?.spawn(&ISSUE)?;
    bed.wait_until("the primary has the value", |bed| {
        Ok(!bed.txt()?.is_empty())
    })?;
    bed.kill_ca();
    let outcome = running.wait()?;
    outcome.assert_failure(5, &["could not reach", &bed.directory()[..20]]);
    bed.assert_only_txt_was_touched(&[])
}
