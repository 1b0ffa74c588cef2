//! The alert rules and the dashboard: they are valid, and about metrics that exist and are described.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use acme_alias_tests::{Error, Result};

use crate::metrics::{program, serving};
use crate::status_page::bed;

/// Suffixes of the series of one histogram.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];
/// It exists only after a CA has refused orders.
const RARE: &str = "acme_alias_orders_refused_until_timestamp_seconds";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rules() -> PathBuf {
    root().join("packaging/monitoring")
}

/// Runs promtool on a file of the rules, or on text.
fn promtool(arguments: &[&str], input: Option<&Path>) -> Result {
    let program = root().join("target/tools/promtool/promtool");
    let mut command = Command::new(fs::canonicalize(program).map_err(|error| {
        Error::new(format_args!(
            "{error}: `cargo xtask setup` installs promtool"
        ))
    })?);
    command.args(arguments).current_dir(rules());
    if let Some(input) = input {
        command.stdin(fs::File::open(input)?);
    }
    let output = command.output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{arguments:?}: {text}");
    Ok(())
}

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("acme_alias_"));
    let base = |name: &str| {
        let mut parts = PARTS.iter();
        let part = parts.find_map(|part| {
            name.strip_suffix(part)
                .filter(|_| name.contains("_remaining_"))
        });
        part.unwrap_or(name).to_owned()
    };
    ours.map(base).collect()
}

#[test]
fn the_alert_rules_are_valid_and_do_what_they_say() -> Result {
    promtool(
        &["check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"],
        None,
    )?;
    promtool(&["test", "rules", "alerts.test.yml"], None)?;
    let rules = fs::read_to_string(rules().join("alerts.yml"))?;
    let tests = fs::read_to_string(self::rules().join("alerts.test.yml"))?;
    let page = fs::read_to_string(root().join("docs/monitoring.md"))?;
    let alerts: Vec<_> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() > 5, "{alerts:?}");
    for alert in alerts {
        assert!(
            tests.contains(&format!("alertname: {alert}\n")),
            "{alert} has no test"
        );
        assert!(
            page.contains(&format!("| `{alert}` |")),
            "{alert} is not described"
        );
    }
    Ok(())
}

#[test]
fn every_metric_that_is_used_exists_and_is_described() -> Result {
    let bed = bed()?;
    let port = bed.dead_port()?;
    let address = port.address();
    let running = serving(&bed, &program(&bed, &address.to_string())?, address)?;
    let metrics = bed.folder().join("metrics");
    let listed = program(&bed, "127.0.0.1:9105")?;
    // The certificate that failed waits, or fails again.
    listed.run(&["renew", "--metrics", &metrics.display().to_string()])?;
    promtool(&["check", "metrics"], Some(&metrics))?;
    let mut there = names(&crate::metrics::get(address, "/metrics")?);
    running.terminate()?;
    running.wait()?.assert_success();
    let of_renew = names(&fs::read_to_string(&metrics)?);
    assert!(of_renew.is_subset(&there), "{of_renew:?} {there:?}");
    there.insert(RARE.to_owned());
    let read = |path: &str| fs::read_to_string(root().join(path));
    for path in ["alerts.yml", "grafana-dashboard.json"] {
        let used = names(&read(&format!("packaging/monitoring/{path}"))?);
        assert!(used.len() > 5, "{path}: {used:?}");
        let unknown: Vec<_> = used.difference(&there).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
    serde_json::from_str::<serde_json::Value>(&read(
        "packaging/monitoring/grafana-dashboard.json",
    )?)?;
    let page = read("docs/monitoring.md")?;
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `acme_alias_")?.split_once('`'));
    let described: BTreeSet<_> = rows
        .map(|(name, _)| format!("acme_alias_{name}"))
        .map(|name| names(&name).into_iter().next().unwrap_or_default())
        .collect();
    assert_eq!(described, there);
    Ok(())
}
