//! Servers of alias zones that are set up in unusual ways.

use std::collections::BTreeSet;

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, AliasZone, PowerDnsLaunch, Result, Settings, TestBed,
};

use crate::checks::kinds;

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];

/// Does not wait long for servers that will never have the values.
fn impatient(bed: &TestBed) -> Settings {
    Settings {
        propagation_timeout: "3s",
        ..bed.settings()
    }
}

#[test]
fn a_secondary_that_forwards_updates_is_read_back_until_it_has_the_change() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .notify_delay(2)
        .start()?;
    bed.forward_updates()?;
    let mut settings = bed.settings();
    settings.providers[0].server = bed.secondary();
    let program = bed.program(settings)?;
    let issued = program.run(&[&ISSUE[..], &["-v"]].concat())?;
    issued.assert_success();
    issued.assert_said(&[
        "as a secondary that forwards updates",
        "name the primary in its place, ns1.auth.example.net by the SOA record",
    ]);
    bed.certificate("example-com")?;
    bed.assert_only_txt_was_touched(&[])?;

    let check = program.run(&["check"])?;
    check.assert_success();
    let secondary = format!("{} is a secondary that forwards updates", bed.secondary());
    let words = check.stdout.split_whitespace();
    let words = words.filter(|word| *word != "│").collect::<Vec<_>>();
    let words = words.join(" ");
    for expected in [
        secondary.as_str(),
        "send updates to the primary, which is ns1.auth.example.net",
        "`server` of the provider",
    ] {
        assert!(words.contains(expected), "{expected}: {check}");
    }
    // The advice is followed, and the last change is still that of the secondary.
    let check = bed.run(&["check", "--output", "json"])?;
    check.assert_success();
    assert_eq!(kinds(&check, "example.com")?, BTreeSet::new(), "{check}");
    Ok(())
}

#[test]
fn a_server_that_hides_the_values_in_a_view_is_told_from_one_that_lags() -> Result {
    let bed = TestBed::start()?;
    bed.separate_views()?;
    let issued = bed.program(impatient(&bed))?.run(&ISSUE)?;
    let words = ["answers differently to those without the key", "`in-view`"];
    issued.assert_failure(4, &words);
    assert!(
        !issued.stderr.contains("check the zone transfer"),
        "{issued}"
    );
    Ok(())
}

#[test]
fn a_server_that_does_not_raise_the_serial_is_named_as_the_cause() -> Result {
    let bed = TestBed::start()?;
    let launch = PowerDnsLaunch::default();
    let commands = [
        format!("load-zone {ALIAS_ZONE} zone"),
        format!("set-meta {ALIAS_ZONE} SOA-EDIT-DNSUPDATE NONE"),
    ];
    let launch = commands
        .iter()
        .fold(launch, |launch, command| launch.command(command));
    let server = launch.start()?;
    let mut settings = impatient(&bed);
    let provider = &mut settings.providers[0];
    provider.server = server.address();
    provider.key.clone_from(&server.key().name);
    provider.secret = bed.write_secret("pdns.secret", &server.key().secret)?;
    // The secondary has the same version of the zone, and waits for a newer one.
    settings.alias_zones[0] = AliasZone {
        servers: vec![server.address(), bed.secondary()],
        ..settings.alias_zones[0].clone()
    };
    let issued = bed.program(settings)?.run(&ISSUE)?;
    let words = [
        ALIAS_NAME,
        "did not raise the serial",
        "`SOA-EDIT-DNSUPDATE`",
    ];
    issued.assert_failure(4, &words);
    Ok(())
}
