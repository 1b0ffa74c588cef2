//! Pages of `docs`, and the tests that they name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use acme_alias_tests::{Error, Result};

/// A page, and the modules whose tests all have a row there.
const PAGES: [(&str, &[&str]); 2] = [
    (
        "failure-matrix.md",
        &[
            "account_faults",
            "audit",
            "ca_limits",
            "canary",
            "cas",
            "clean_up",
            "crashes",
            "csr",
            "csr_names",
            "deploy",
            "deploy_files",
            "exec/runs",
            "faulty_servers",
            "file_systems",
            "ids",
            "kills",
            "hosting",
            "ledger",
            "leftovers",
            "lifetimes",
            "machine",
            "name_servers",
            "notifications",
            "odd_servers",
            "partial",
            "renewal_info",
            "resolvers",
            "revocation_faults",
            "runs",
            "secrets",
            "shared_names",
            "simulated_year",
            "spoilt_answers",
            "spoilt_ca",
            "kept_orders",
            "spoilt_orders",
            "spoilt_updates",
            "users",
            "zone_mistakes",
        ],
    ),
    (
        "hostile-inputs.md",
        &[
            "hostile",
            "hostile_answers",
            "hostile_backends",
            "hostile_bodies",
            "hostile_connections",
            "hostile_ca",
            "hostile_certificates",
            "hostile_checks",
            "hostile_clients",
            "hostile_decoding",
            "hostile_delegations",
            "hostile_git_folder",
            "hostile_git_output",
            "hostile_imports",
            "hostile_json",
            "hostile_ledgers",
            "hostile_limits",
            "hostile_orders",
            "hostile_pending",
            "hostile_programs",
            "hostile_providers",
            "hostile_repository",
            "hostile_requests",
            "hostile_settings",
            "hostile_sizes",
            "hostile_text",
            "hostile_thousand",
            "hostile_waits",
            "hostile_zones",
            "job_isolation",
            "local_files",
            "local_programs",
            "local_reports",
        ],
    ),
];

/// Pages whose rows name tests, which may stand in others.
const MORE_PAGES: [&str; 1] = ["compatibility.md"];

#[test]
fn every_row_of_the_other_pages_has_a_test() -> Result {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in MORE_PAGES {
        let text = fs::read_to_string(folder.join("../docs").join(page))?;
        let is_row = |line: &&str| {
            let is_head = line.starts_with("|---") || line.ends_with("| Test |");
            line.starts_with('|') && !is_head
        };
        let rows: Vec<_> = text.lines().filter(is_row).collect();
        assert!(!rows.is_empty(), "{page}");
        for row in rows {
            let test = row.strip_suffix("` |").and_then(|row| row.rsplit_once('`'));
            let (module, name) = test
                .and_then(|(_, test)| test.rsplit_once("::"))
                .ok_or_else(|| Error::new(format_args!("{page}: no test in {row}")))?;
            let module = format!("tests/scenarios/{}.rs", module.replace("::", "/"));
            let module = fs::read_to_string(folder.join(module)).unwrap_or_default();
            assert!(module.contains(&format!("fn {name}()")), "{page}: {row}");
        }
    }
    Ok(())
}

#[test]
fn every_row_has_its_test_and_every_test_its_row() -> Result {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (page, modules) in PAGES {
        let text = fs::read_to_string(folder.join("../docs").join(page))?;
        let rows: BTreeSet<_> = text
            .lines()
            .filter_map(|line| line.strip_suffix("` |")?.rsplit_once('`'))
            .map(|(_, test)| test.to_owned())
            .collect();
        let mut tests = BTreeSet::new();
        for module in modules {
            let path = folder.join(format!("tests/scenarios/{module}.rs"));
            let text = fs::read_to_string(path)?;
            let lines: Vec<_> = text.lines().collect();
            let names = lines.windows(2).filter_map(|lines| {
                let is_test = lines[0] == "#[test]" || lines[0].starts_with("#[tokio::test");
                let (_, declared) = lines[1].split_once("fn ").filter(|_| is_test)?;
                declared.split_once('(').map(|(name, _)| name)
            });
            let module = module.replace('/', "::");
            tests.extend(names.map(|name| format!("{module}::{name}")));
        }
        let missing: Vec<_> = tests.difference(&rows).collect();
        let needless: Vec<_> = rows.difference(&tests).collect();
        assert!(
            missing.is_empty() && needless.is_empty(),
            "{page}: no row for {missing:?}, no test of {needless:?} in its modules"
        );
    }
    Ok(())
}
