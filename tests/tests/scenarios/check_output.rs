//! What `check` prints for many names.

use acme_alias_tests::{Result, TestBed};

#[test]
fn many_healthy_names_take_a_line_each_and_a_common_cause_is_told_once() -> Result {
    let hosts: Vec<_> = (1..=40).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let settings = bed.settings().certificates(&hosts);
    let check = bed.program(settings.clone())?.run(&["check"])?;
    check.assert_success();
    // A line for each name, the head of the table, an empty line and the summary.
    assert_eq!(check.stdout.lines().count(), 43, "{check}");
    let full = bed.program(settings.clone())?.run(&["check", "-v"])?;
    assert!(full.stdout.contains("CNAME"), "{full}");
    assert!(full.stdout.lines().count() > 120);

    let slow = TestBed::builder().delegate_apart(&hosts);
    let slow = slow.negative_ttl(86_400).start()?;
    let settings = slow.settings().certificates(&hosts);
    let check = slow.program(settings)?.run(&["check"])?;
    check.assert_success();
    assert_eq!(check.stdout.matches("warning: ").count(), 1, "{check}");
    check.assert_printed(&["h10.example.com", "20 more"]);
    Ok(())
}
