//! `docs/failure-matrix.md` and the tests it names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use acme_alias_tests::Result;

/// The modules whose tests all have a row.
const MODULES: [&str; 18] = [
    "audit",
    "canary",
    "clean_up",
    "crashes",
    "faulty_servers",
    "ids",
    "kills",
    "ledger",
    "leftovers",
    "machine",
    "name_servers",
    "runs",
    "secrets",
    "shared_names",
    "spoilt_answers",
    "spoilt_ca",
    "spoilt_orders",
    "spoilt_updates",
];

#[test]
fn every_row_has_its_test_and_every_test_its_row() -> Result {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(folder.join("../docs/failure-matrix.md"))?;
    let rows: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_suffix("` |")?.rsplit_once('`'))
        .map(|(_, test)| test.to_owned())
        .collect();
    let mut tests = BTreeSet::new();
    for module in MODULES {
        let path = folder.join(format!("tests/scenarios/{module}.rs"));
        let text = fs::read_to_string(path)?;
        let after = text.split("#[test]\nfn ").skip(1);
        let names = after
            .filter_map(|text| text.split_once('('))
            .map(|(name, _)| name);
        tests.extend(names.map(|name| format!("{module}::{name}")));
    }
    assert_eq!(rows, tests);
    Ok(())
}
