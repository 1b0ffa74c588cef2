//! The text of the metrics.

use std::collections::BTreeMap;

use super::super::sample::{all_states, attempts, many, now, snapshot, with_left};
use super::metric::seconds;
use super::*;

/// The values by name and labels.
fn values(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let values = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name, value.parse().unwrap())
    });
    values.collect()
}

#[test]
fn the_numbers_are_those_of_the_snapshot() {
    let text = render(&snapshot(all_states()));
    let values = values(&text);
    let now = seconds(now());
    for (name, expected) in [
        ("certificates{state=\"failed\"}", 2.0),
        ("certificates{state=\"expired\"}", 1.0),
        ("certificates{state=\"damaged\"}", 1.0),
        ("certificates{state=\"undeployed\"}", 1.0),
        ("certificates{state=\"due\"}", 1.0),
        ("certificates{state=\"good\"}", 1.0),
        ("certificates_alarming", 5.0),
        ("certificates_failing", 2.0),
        ("certificates_undeployed", 1.0),
        ("consecutive_failures_max", 3.0),
        (
            "certificate_not_after_timestamp_seconds{certificate=\"shop\"}",
            now + 4.0 * 86_400.0,
        ),
        (
            "certificate_consecutive_failures{certificate=\"shop\"}",
            3.0,
        ),
        ("certificate_undeployed_targets{certificate=\"mail\"}", 1.0),
        ("first_not_after_timestamp_seconds", now + 4.0 * 86_400.0),
        ("certificate_remaining_seconds_bucket{le=\"604800\"}", 2.0),
        ("certificate_remaining_seconds_count", 6.0),
        ("open_txt_values", 1.0),
        ("ledger_lines_total", 5.0),
        (
            "orders_left{directory=\"https://acme-v02.api.letsencrypt.org/directory\"}",
            214.0,
        ),
        ("last_run_success", 0.0),
        ("last_run_failures", 2.0),
        ("last_run_timestamp_seconds", now - 420.0),
        ("next_run_timestamp_seconds", now + 720.0),
        ("healthy", 1.0),
        ("runs_total", 41.0),
    ] {
        let name = format!("{PREFIX}_{name}");
        assert_eq!(
            values.get(name.as_str()),
            Some(&expected),
            "{name} in\n{text}"
        );
    }
}

#[test]
fn of_many_certificates_the_worst_have_series() {
    let mut all = many(1_500);
    all.extend(all_states());
    let mut snapshot = snapshot(all);
    snapshot.series_max = 10;
    let text = render(&snapshot);
    let series = text
        .matches("certificate_not_after_timestamp_seconds{")
        .count();
    // One of the ten has no version.
    assert_eq!(series, 9, "{text}");
    assert!(text.contains("consecutive_failures{certificate=\"shop\"} 3"));
    assert!(text.contains("certificate_remaining_seconds_count 1506"));
    snapshot.series_max = 0;
    assert!(!render(&snapshot).contains("{certificate="));
}

#[test]
fn certificates_that_were_never_obtained_take_no_series_of_others() {
    let mut all = many(20);
    for listed in &mut all {
        listed.overview.current = None;
        listed.overview.attempts = Some(attempts("it failed"));
    }
    let mut victim = with_left("victim", 20);
    victim.overview.attempts = Some(attempts("it failed"));
    all.push(victim);
    let mut snapshot = snapshot(all);
    snapshot.series_max = 10;
    let text = render(&snapshot);
    assert!(
        text.contains("consecutive_failures{certificate=\"victim\"} 3"),
        "{text}"
    );
}

#[test]
fn text_from_others_is_escaped_in_labels() {
    let mut snapshot = snapshot(Vec::new());
    snapshot.budgets[0].orders.directory = "https://ca/\"} 1\nacme_alias_healthy 0\\".to_owned();
    let text = render(&snapshot);
    assert_eq!(text.matches("\nacme_alias_healthy ").count(), 1, "{text}");
    assert!(
        text.contains(r#"{directory="https://ca/\"} 1\nacme_alias_healthy 0\\"}"#),
        "{text}"
    );
}
