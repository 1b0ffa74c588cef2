//! Copies of the ledgers of other hosts that somebody has prepared.

use std::fmt::Write as _;
use std::fs;

use acme_alias_tests::{ALIAS_ZONE, Result, Settings, TestBed};
use serde_json::{Value, json};

const DIFF: [&str; 2] = ["ledger", "diff-serial"];

/// The first line of our ledger with a serial.
fn line_with_serial(bed: &TestBed) -> Result<Value> {
    let shown = bed.run(&["ledger", "show", "--output", "json"])?.json()?;
    let mut lines = shown["changes"].as_array().cloned().unwrap_or_default();
    lines.retain(|line| line["serial"].is_object());
    Ok(lines.swap_remove(0))
}

/// Compares serials with a copy that has these lines.
fn settings_with(bed: &TestBed, lines: impl Iterator<Item = Value>) -> Result<Settings> {
    let copy = bed.folder().join("copy");
    fs::create_dir(&copy)?;
    let mut text = String::new();
    for line in lines {
        writeln!(text, "{line}")?;
    }
    fs::write(copy.join("2026-11.jsonl"), text)?;
    Ok(Settings {
        top: format!("other-ledgers = ['{}']", copy.display()),
        ..bed.settings()
    })
}

#[test]
fn a_ledger_of_another_host_with_many_zones_takes_little_memory() -> Result {
    let bed = TestBed::start()?;
    let issue = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];
    bed.run(&issue)?.assert_success();
    let line = line_with_serial(&bed)?;
    let lines = (0..100_000).map(|number| {
        let mut line = line.clone();
        line["zone"] = format!("z{number}.{ALIAS_ZONE}").into();
        line["run"] = format!("r{number}").into();
        line["serial"] = json!({ "before": number, "after": number + 1 });
        line
    });
    let program = bed.program(settings_with(&bed, lines)?)?;
    let outcome = program.run(&DIFF)?;
    outcome.assert_success();
    outcome.assert_peak_memory_below(70 << 20);
    Ok(())
}
