//! Circles of imports.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use super::modules::Module;

/// Files that import each other, with the imports between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cycle(Vec<(PathBuf, PathBuf, BTreeSet<String>)>);

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (from, to, names) in &self.0 {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let (from, to) = (from.display(), to.display());
            write!(f, "\n  {from} -> {to}: {}", names.join(", "))?;
        }
        Ok(())
    }
}

/// All circles among these modules. Circles that share a file are one.
pub(crate) fn cycles(modules: &[Module]) -> Vec<Cycle> {
    let by_file: BTreeMap<&Path, &Module> = modules
        .iter()
        .map(|module| (module.file.as_path(), module))
        .collect();
    let reachable: BTreeMap<&Path, BTreeSet<&Path>> = by_file
        .keys()
        .map(|file| (*file, reachable(&by_file, file)))
        .collect();
    let reaches = |from: &Path, to: &Path| reachable.get(from).is_some_and(|all| all.contains(to));
    let mut assigned: BTreeSet<&Path> = BTreeSet::new();
    let mut cycles = Vec::new();
    for file in by_file.keys() {
        if !reaches(file, file) || assigned.contains(file) {
            continue;
        }
        let members: BTreeSet<&Path> = by_file
            .keys()
            .copied()
            .filter(|other| reaches(file, other) && reaches(other, file))
            .collect();
        assigned.extend(&members);
        let arrows = members.iter().filter_map(|from| by_file.get(from));
        let arrows = arrows.flat_map(|from| {
            let imports = from.imports.iter();
            let inside = imports.filter(|(to, _)| members.contains(to.as_path()));
            inside.map(|(to, names)| (from.file.clone(), to.clone(), names.clone()))
        });
        cycles.push(Cycle(arrows.collect()));
    }
    cycles
}

/// The files that `file` imports, directly or not.
fn reachable<'a>(modules: &BTreeMap<&'a Path, &'a Module>, file: &Path) -> BTreeSet<&'a Path> {
    let mut found = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        let Some(module) = modules.get(file) else {
            continue;
        };
        for import in module.imports.keys() {
            if found.insert(import.as_path()) {
                open.push(import);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(file: &str, imports: &[&str]) -> Module {
        let names = BTreeSet::from(["X".to_owned()]);
        let imports = imports.iter().map(|file| ((*file).into(), names.clone()));
        Module {
            file: file.into(),
            imports: imports.collect(),
        }
    }

    #[test]
    fn a_circle_has_its_own_files_only() {
        let modules = [
            module("above", &["a"]),
            module("a", &["b", "below"]),
            module("b", &["c"]),
            module("c", &["a"]),
            module("below", &[]),
            module("d", &["e"]),
            module("e", &["d"]),
        ];
        let cycles: Vec<_> = cycles(&modules).iter().map(ToString::to_string).collect();
        assert_eq!(
            cycles,
            [
                "\n  a -> b: X\n  b -> c: X\n  c -> a: X",
                "\n  d -> e: X\n  e -> d: X"
            ]
        );
    }

    #[test]
    fn imports_in_one_direction_are_no_circle() {
        let modules = [
            module("a", &["b", "c"]),
            module("b", &["c"]),
            module("c", &[]),
        ];
        assert_eq!(cycles(&modules), []);
    }
}
