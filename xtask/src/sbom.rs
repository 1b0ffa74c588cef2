//! The software bill of materials of the program, in the JSON form of `CycloneDX` 1.6 (ECMA-424).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use crate::step::{Failure, cargo_output};

/// A crate that the program contains.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    name: String,
    version: String,
    /// An SPDX expression.
    license: String,
}

impl Part {
    /// A line of `cargo tree --format '{p}|{l}'`, such as `serde v1.0.0|MIT OR Apache-2.0`. Crates of the workspace
    /// have their path behind the version, and macros `(proc-macro)`.
    fn parse(line: &str) -> Option<Part> {
        let (package, license) = line.split_once('|')?;
        let mut words = package.split(' ');
        let license = license.trim_end_matches(" (*)");
        // Older crates write `MIT/Apache-2.0`.
        let license: Vec<_> = license.split('/').map(str::trim).collect();
        Some(Part {
            name: words.next()?.to_owned(),
            version: words.next()?.strip_prefix('v')?.to_owned(),
            license: license.join(" OR "),
        })
    }

    /// Its package URL, which identifies it in the document as well.
    fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }

    fn component(&self, kind: &str, checksum: Option<&str>) -> Value {
        let mut component = json!({
            "type": kind,
            "bom-ref": self.purl(),
            "name": self.name,
            "version": self.version,
            "purl": self.purl(),
            "licenses": [{ "expression": self.license }],
        });
        if let Some(checksum) = checksum {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        component
    }
}

/// The bill of the program for `target`, or for this machine.
pub(crate) fn of_program(target: Option<&str>) -> Result<String, Failure> {
    let target = target.map_or_else(String::new, |target| format!(" --target {target}"));
    let tree = cargo_output(&format!(
        "tree --package acme-alias --edges normal,no-proc-macro --locked --prefix depth --format |{{p}}|{{l}}{target}"
    ))?;
    let lock = fs::read_to_string("Cargo.lock");
    let lock = lock.map_err(|error| Failure::Other(format!("Cargo.lock: {error}")))?;
    let bill = bill(&tree, &checksums(&lock));
    let bill = bill.ok_or_else(|| Failure::Other(format!("not a tree: {tree}")))?;
    Ok(format!("{bill:#}\n"))
}

/// The bill from lines such as `1|serde v1.0.0|MIT`, where the number is the depth.
fn bill(tree: &str, checksums: &BTreeMap<(String, String), String>) -> Option<Value> {
    let mut needs: BTreeMap<Part, BTreeSet<String>> = BTreeMap::new();
    let mut way: Vec<Part> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let (depth, line) = line.split_once('|')?;
        let part = Part::parse(line)?;
        way.truncate(depth.parse().ok()?);
        if let Some(above) = way.last() {
            needs.entry(above.clone()).or_default().insert(part.purl());
        }
        needs.entry(part.clone()).or_default();
        way.push(part);
    }
    let program = way.first()?;
    let components = needs.keys().filter(|part| *part != program).map(|part| {
        let checksum = checksums.get(&(part.name.clone(), part.version.clone()));
        part.component("library", checksum.map(String::as_str))
    });
    let dependencies = needs
        .iter()
        .map(|(part, needs)| json!({ "ref": part.purl(), "dependsOn": needs }));
    Some(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": program.component("application", None) },
        "components": components.collect::<Vec<_>>(),
        "dependencies": dependencies.collect::<Vec<_>>(),
    }))
}

/// The checksums in `Cargo.lock`, by name and version. Crates of the workspace have none.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let packages = lock.split("[[package]]").skip(1).filter_map(|package| {
        let value = |key: &str| {
            let mut values = package.lines().filter_map(|line| line.strip_prefix(key));
            let value = values.next()?.strip_prefix(" = ")?;
            Some(value.trim_matches('"').to_owned())
        };
        Some(((value("name")?, value("version")?), value("checksum")?))
    });
    packages.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_has_each_part_once_with_what_it_needs() {
        let tree = "0|acme-alias v0.1.0 (/src/cli)|MIT\n1|a v1.0.0|MIT/Apache-2.0\n2|b v2.0.0|ISC\n\
                    1|c v3.0.0 (proc-macro)|MIT\n2|b v2.0.0|ISC (*)\n";
        let lock = "[[package]]\nname = \"b\"\nversion = \"2.0.0\"\nchecksum = \"0a\"\n";
        let bill = bill(tree, &checksums(lock)).unwrap();
        assert_eq!(
            bill["metadata"]["component"]["purl"],
            "pkg:cargo/acme-alias@0.1.0"
        );
        let components = bill["components"].as_array().unwrap();
        let names: Vec<_> = components
            .iter()
            .map(|part| part["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(
            components[0]["licenses"][0]["expression"],
            "MIT OR Apache-2.0"
        );
        assert_eq!(components[1]["hashes"][0]["content"], "0a");
        assert_eq!(components[1]["licenses"][0]["expression"], "ISC");
        let needs = |part: usize| bill["dependencies"][part]["dependsOn"].clone();
        assert_eq!(needs(0), json!(["pkg:cargo/b@2.0.0"]));
        assert_eq!(needs(1), json!(["pkg:cargo/a@1.0.0", "pkg:cargo/c@3.0.0"]));
        assert_eq!(needs(2), json!([]));
        assert_eq!(needs(3), json!(["pkg:cargo/b@2.0.0"]));
    }
}
