//! `docs/failure-matrix.md` and `docs/hostile-inputs.md`, and the tests that they name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use acme_alias_tests::Result;

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
            "faulty_servers",
            "file_systems",
            "ids",
            "kills",
            "ledger",
            "leftovers",
            "lifetimes",
            "machine",
            "name_servers",
            "notifications",
            "partial",
            "renewal_info",
            "resolvers",
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
        ],
    ),
    (
        "hostile-inputs.md",
        &[
            "hostile",
            "hostile_ca",
            "hostile_repository",
            "hostile_thousand",
            "hostile_zones",
            "job_isolation",
            "local_files",
        ],
    ),
];

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
            tests.extend(names.map(|name| format!("{module}::{name}")));
        }
        assert_eq!(rows, tests, "{page}");
    }
    Ok(())
}
