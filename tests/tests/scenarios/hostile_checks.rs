//! Certificates of others in the checks of delegations, by `check` and in `run`.

use std::fs;
use std::net::SocketAddr;

use acme_alias_tests::{
    ALIAS_ZONE, BELOW, Outcome, Result, Settings, SimulatedCa, TestBed, Validation,
};

use super::metrics::{get, serving};

const VICTIM: &str = "victim.example.com";

/// When the delegations were checked last.
fn checked_at(address: SocketAddr) -> Result<String> {
    let metrics = get(address, "/metrics")?;
    let mut lines = metrics.lines();
    let line =
        lines.find(|line| line.starts_with("acme_alias_delegations_checked_timestamp_seconds "));
    Ok(line.unwrap_or_default().to_owned())
}

#[test]
fn a_finding_about_a_name_that_another_certificate_has_hides_none_of_its_owner() -> Result {
    let hosts = ["hostile.example.com", VICTIM];
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let alias = |host: &str| format!("domain-alias = '{host}.{ALIAS_ZONE}'");
    // It fails, as the name of the other one leads to the alias name of that one.
    let hostile = format!("domains = {hosts:?}\n{}", alias(hosts[0]));
    let victim = format!("domains = ['{VICTIM}']\n{}", alias(VICTIM));
    let settings = bed.settings().certificate("hostile", &hostile);
    let program = bed.program(settings.certificate("victim", &victim))?;
    let address = bed.dead_port()?.address();
    let listen = format!("[run]\nlisten = '{address}'\n");
    fs::write(program.home().join(BELOW), listen)?;
    let running = serving(&bed, &program, address)?;
    let first = checked_at(address)?;
    bed.update_main_zones(&format!(
        "zone example.com\nupdate delete _acme-challenge.{VICTIM} CNAME\n\
         update add _acme-challenge.{VICTIM} 600 CNAME other.{ALIAS_ZONE}.\nsend\n"
    ))?;
    bed.wait_until("they are checked again", |_| {
        running.hang_up()?;
        Ok(checked_at(address)? != first)
    })?;
    let page = get(address, "/")?;
    running.terminate()?;
    let outcome = running.wait()?;
    let finding = format!("but {VICTIM}.{ALIAS_ZONE}. is configured");
    assert!(page.contains(&finding), "{page}");
    outcome.assert_said(&[&finding]);
    Ok(())
}

/// What `check` says of a name that leads outside of every alias zone.
fn check_of_a_name_outside(change: impl Fn(Settings) -> Settings) -> Result<Outcome> {
    let challenge = format!("_acme-challenge.{VICTIM}");
    let builder = TestBed::builder().cname(&challenge, "victim.outside.example.org");
    let bed = builder.start()?;
    let settings = change(bed.settings().certificates(&[VICTIM]));
    bed.program(settings)?.run(&["check"])
}

#[test]
fn the_provider_of_another_certificate_for_the_same_name_hides_no_problem() -> Result {
    let alone = check_of_a_name_outside(|settings| settings)?;
    alone.assert_printed(&["would fail victim.example.com victim.outside"]);
    let both = check_of_a_name_outside(|settings| {
        let provider = settings.providers[0].id;
        let lines = format!("domains = ['{VICTIM}']\nprovider = '{provider}'");
        settings.certificate("a", &lines)
    })?;
    assert_eq!((alone.code, both.code), (Some(3), Some(3)), "{both}");
    both.assert_printed(&[
        "would fail victim.example.com (for victim-example-com)",
        "victim.example.com (for a)",
        "1 challenge names:",
    ]);
    Ok(())
}

#[test]
fn a_ca_that_may_not_issue_for_a_name_concerns_its_own_certificate_only() -> Result {
    let bed = TestBed::builder()
        .delegate_apart(&[VICTIM])
        .record(VICTIM, "CAA 0 issue \"good.example\"")
        .start()?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let mut settings = bed.settings().certificates(&[VICTIM]);
    settings = settings.certificate("a", &format!("domains = ['{VICTIM}']\nca = 'other'"));
    settings.more += &format!(
        "[cas.other]\ndirectory = '{}'\nca-file = '{}'\nagree-tos = true\ncaa-issuer = 'other.example'\n",
        other.directory(),
        other.root().display()
    );
    let program = bed.program(settings)?;
    let program = program.env("ACME_ALIAS_ACME__CAA_ISSUER", "good.example");
    let check = program.run(&["check"])?;
    check.assert_printed(&[
        "would fail victim.example.com (for a)",
        "good victim.example.com (for victim-example-com)",
        "1 challenge names: 0 good, 0 with warnings, 1 with errors",
    ]);
    let json = program.run(&["check", "--output", "json"])?.json()?;
    let checked = json["checked"].as_array().cloned().unwrap_or_default();
    let of = |id: &str| {
        let entry = checked.iter().find(|one| one["certificates"][0] == id);
        entry.map(|one| one["findings"].as_array().map_or(0, Vec::len))
    };
    assert_eq!((of("a"), of("victim-example-com")), (Some(1), Some(0)));
    Ok(())
}
