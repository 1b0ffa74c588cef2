//! What people read: one message for one cause, in 80 columns, with colours where they are wanted.

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Outcome, Program, Result, SECOND_ALIAS_ZONE, SimulatedCa, TestBed,
    Validation,
};

/// Begins a sequence that controls a terminal.
const ESCAPE: char = '\u{1b}';
/// Runs the program on a terminal. Its arguments must need no quotes.
const ON_A_TERMINAL: &str = "exec script --quiet --return --command \"$0 $*\" /dev/null; false";

/// Lines longer than 80 columns, but for records, commands and names that cannot be broken.
fn too_long(text: &str) -> Vec<&str> {
    let long = text.lines().filter(|line| line.chars().count() > 80);
    let long = long.filter(|line| {
        let words = line.trim_start();
        !words.starts_with("acme-alias ") && !words.contains(" IN CNAME ") && !words.contains('\t')
    });
    long.filter(|line| line.trim().contains(' ')).collect()
}

#[track_caller]
fn assert_narrow(outcome: &Outcome) {
    for text in [&outcome.stdout, &outcome.stderr] {
        assert_eq!(too_long(text), Vec::<&str>::new(), "{outcome}");
    }
}

#[test]
fn one_wrong_key_of_many_certificates_is_one_message() -> Result {
    let names: Vec<_> = (0..33).map(|n| format!("www{n}.example.com")).collect();
    let bed = TestBed::builder().delegate(&names).start()?;
    // Pebble may stop answering when so many orders are open.
    let ca = SimulatedCa::start(Validation::Trust)?;
    let mut settings = bed.settings_with(&ca).certificates(&names);
    settings.providers[0].secret = bed.settings().providers[1].secret.clone();
    let program = bed.program(settings)?;
    let outcome = program.run(&["renew"])?;
    outcome.assert_failure(
        4,
        &["33 certificates failed for the same reason: www0-example-com,"],
    );
    assert_eq!(outcome.stderr.matches("error:").count(), 1, "{outcome}");
    assert_eq!(outcome.stderr.matches("help:").count(), 1, "{outcome}");
    for name in &names {
        assert!(
            outcome.stderr.contains(&name.replace('.', "-")),
            "{outcome}"
        );
    }
    assert_narrow(&outcome);

    // Each one still has its own in the JSON.
    let outcome = program.run(&["renew", "--force", "--output", "json"])?;
    let failed = outcome.json()?["failed"].as_array().map_or(0, Vec::len);
    assert_eq!(failed, 33, "{outcome}");
    Ok(())
}

#[test]
fn text_fits_80_columns() -> Result {
    let names = ["example.com", "example.org"];
    let bed = TestBed::builder().delegate(&names[..1]).start()?;
    let program = bed.program(bed.settings().certificates(&names))?;
    for arguments in [
        &["renew"][..],
        &["check"],
        &["check", "example.com"],
        &["list"],
        &["show", "example-com"],
        &["key", "audit", "--provider", "first"],
        &["ledger", "diff-serial"],
        &["ledger", "reconcile"],
        &["account", "show"],
        &["forget", "example-com"],
        &["issue", "example.net"],
        &["providers"],
    ] {
        let outcome = program.run(arguments)?;
        assert!(outcome.code != Some(101), "{outcome}");
        assert_narrow(&outcome);
    }
    // Columns stay columns.
    let providers = program.run(&["providers"])?;
    let option = |line: &&str| line.starts_with("    server           ");
    assert!(
        providers.stdout.lines().any(|line| option(&line)),
        "{providers}"
    );
    Ok(())
}

#[test]
fn a_key_that_is_as_it_should_be_is_one_line() -> Result {
    let bed = TestBed::start()?;
    let tight = format!("update-policy {{ grant acme-key name {ALIAS_NAME}. TXT; }};");
    bed.replace_in_primary("update-policy { grant acme-key zonesub TXT; };", &tight)?;
    bed.replace_in_primary("allow-transfer { any; };", "allow-transfer { none; };")?;
    let mut settings = bed.settings().certificates(&["example.com"]);
    settings.alias_zones.truncate(1);
    let program = bed.program(settings)?;
    let short = program.run(&["key", "audit"])?;
    short.assert_success();
    assert!(short.stdout.contains(": tight;"), "{short}");
    assert!(!short.stdout.contains("evidence"), "{short}");
    for full in [
        &["key", "audit", "-v"][..],
        &["key", "audit", "--provider", "first"],
    ] {
        let outcome = program.run(full)?;
        assert!(outcome.stdout.contains("evidence"), "{outcome}");
    }
    Ok(())
}

fn failing(bed: &TestBed) -> Result<Program> {
    bed.program(bed.settings().certificates(&["not.example.org"]))
}

#[test]
fn colours_are_there_on_a_terminal_and_where_they_are_forced() -> Result {
    let bed = TestBed::start()?;
    let renew = ["renew", "--force"];
    let plain = failing(&bed)?.run(&renew)?;
    plain.assert_failure(3, &["error:"]);
    assert!(!plain.stderr.contains(ESCAPE), "{plain}");
    let forced = failing(&bed)?.env("CLICOLOR_FORCE", "1").run(&renew)?;
    assert!(forced.stderr.contains("\u{1b}[31merror:"), "{forced}");

    let terminal = |variable: &str, value: &str| -> Result<Outcome> {
        let program = failing(&bed)?.before(ON_A_TERMINAL);
        program
            .env("TERM", "xterm")
            .env(variable, value)
            .run(&renew)
    };
    let coloured = terminal("COLUMNS", "80")?;
    assert!(coloured.stdout.contains("\u{1b}[31merror:"), "{coloured}");
    let plain = terminal("NO_COLOR", "1")?;
    assert!(plain.stdout.contains("error:"), "{plain}");
    assert!(!plain.stdout.contains("\u{1b}[31m"), "{plain}");
    Ok(())
}

#[test]
fn on_a_terminal_that_can_do_nothing_progress_is_plain_lines() -> Result {
    let bed = TestBed::start()?;
    let issue = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];
    let program = bed.program(bed.settings())?.before(ON_A_TERMINAL);
    let outcome = program.env("TERM", "dumb").run(&issue)?;
    outcome.assert_success();
    assert!(!outcome.stdout.contains(ESCAPE), "{outcome}");
    outcome.assert_printed(&[
        "example-com: opening an order [",
        "example-com: waiting for the CA",
    ]);
    Ok(())
}

#[test]
fn two_causes_are_two_messages() -> Result {
    let second = format!("_acme-challenge.{SECOND_ALIAS_ZONE}");
    let bed = TestBed::builder()
        .delegate(&["a.example.com", "b.example.com"])
        .cname("_acme-challenge.example.org", &second)
        .start()?;
    let names = ["a.example.com", "b.example.com", "example.org"];
    let mut settings = bed.settings().certificates(&names);
    for provider in &mut settings.providers {
        provider.secret = bed.folder().join("missing");
    }
    let outcome = bed.program(settings)?.run(&["renew"])?;
    outcome
        .assert_said(&["2 certificates failed for the same reason: a-example-com, b-example-com"]);
    outcome.assert_said(&["example-org: failed"]);
    Ok(())
}
