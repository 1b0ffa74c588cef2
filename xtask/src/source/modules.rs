//! The files of a crate as modules, and the files that each of them imports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::imports::Names;
use super::tokens::tokens;

/// How many re-exports of re-exports are followed.
const REEXPORTS_MAX: usize = 10;

/// A file of a crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    pub(crate) file: PathBuf,
    /// The files that it imports, each with the names.
    pub(crate) imports: BTreeMap<PathBuf, BTreeSet<String>>,
}

/// The modules of each crate among these files.
pub(crate) fn crates(texts: &BTreeMap<PathBuf, String>) -> Vec<Vec<Module>> {
    let is_root = |file: &&PathBuf| file.ends_with("lib.rs") || file.ends_with("main.rs");
    let folders: BTreeSet<_> = texts
        .keys()
        .filter(is_root)
        .filter_map(|file| file.parent())
        .collect();
    let files = folders.iter().map(|folder| {
        let of_crate = texts.iter().filter(|(file, _)| {
            // The innermost folder with a root counts.
            let above = file.ancestors().skip(1);
            above.into_iter().find(|above| folders.contains(above)) == Some(*folder)
        });
        CrateFiles::new(folder, of_crate)
    });
    files.map(|files| files.modules()).collect()
}

/// The files of a crate by the paths of their modules.
struct CrateFiles<'a>(BTreeMap<Vec<String>, (&'a Path, Names)>);

impl<'a> CrateFiles<'a> {
    fn new(folder: &Path, files: impl Iterator<Item = (&'a PathBuf, &'a String)>) -> Self {
        let files = files.filter_map(|(file, text)| {
            let module = module_path(file.strip_prefix(folder).ok()?)?;
            Some((module, (file.as_path(), Names::of(&tokens(text)))))
        });
        CrateFiles(files.collect())
    }

    fn modules(&self) -> Vec<Module> {
        let modules = self.0.iter().map(|(path, (file, names))| {
            let imported = names.imports.iter().map(|import| &import.path);
            let mut imports: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
            for named in imported.chain(&names.paths) {
                let target = self.resolve(path, named, REEXPORTS_MAX);
                let target = target.and_then(|target| self.0.get(&target));
                if let Some((target, _)) = target.filter(|(target, _)| target != file) {
                    let names = imports.entry(target.to_path_buf()).or_default();
                    names.extend(named.last().cloned());
                }
            }
            Module {
                file: file.to_path_buf(),
                imports,
            }
        });
        modules.collect()
    }

    /// The module that defines what `path` names in the module `from`; none if it is in another crate.
    fn resolve(&self, from: &[String], path: &[String], reexports: usize) -> Option<Vec<String>> {
        let (first, mut rest) = path.split_first()?;
        let mut module = match first.as_str() {
            "crate" => Vec::new(),
            "self" => from.to_vec(),
            "super" => parent(from)?,
            child => {
                let child = [from, &[child.to_owned()]].concat();
                self.0.contains_key(&child).then_some(child)?
            }
        };
        while let Some((next, after)) = rest.split_first() {
            let child = [&module[..], std::slice::from_ref(next)].concat();
            module = if next == "super" {
                parent(&module)?
            } else if self.0.contains_key(&child) {
                child
            } else {
                return self.definition(module, next, reexports);
            };
            rest = after;
        }
        Some(module)
    }

    /// The module that defines a name of this module, which may be imported there.
    fn definition(&self, module: Vec<String>, name: &str, reexports: usize) -> Option<Vec<String>> {
        let (_, names) = self.0.get(&module)?;
        let import = names.imports.iter().find(|import| import.name == name);
        match import {
            Some(import) if reexports > 0 => self.resolve(&module, &import.path, reexports - 1),
            _ => Some(module),
        }
    }
}

fn parent(module: &[String]) -> Option<Vec<String>> {
    let (_, parent) = module.split_last()?;
    Some(parent.to_vec())
}

/// The path of the module in this file of the crate's folder.
fn module_path(file: &Path) -> Option<Vec<String>> {
    let file = file.with_extension("");
    let parts = file.iter().map(|part| part.to_str().map(str::to_owned));
    let mut path = parts.collect::<Option<Vec<_>>>()?;
    let is_face = |last: &str| matches!(last, "mod" | "lib" | "main");
    if path.last().is_some_and(|last| is_face(last)) {
        path.pop();
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the file `src/FILE` of a crate with these files imports.
    fn imports(files: &[(&str, &str)], file: &str) -> Vec<String> {
        let texts = files
            .iter()
            .map(|(file, text)| (Path::new("src").join(file), (*text).to_owned()));
        let crates = crates(&texts.collect());
        let [modules] = crates.as_slice() else {
            panic!("{crates:?}");
        };
        let mut modules = modules.iter();
        let module = modules.find(|module| module.file == Path::new("src").join(file));
        let imports = module.unwrap().imports.iter();
        let shown = imports.map(|(file, names)| {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            format!("{}: {}", file.display(), names.join(", "))
        });
        shown.collect()
    }

    #[test]
    fn reexports_are_followed_to_the_file_that_defines_the_name() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod c; pub use self::c::C; pub struct A;"),
            ("a/c.rs", "pub struct C;"),
            ("b.rs", "use crate::a::{A, C}; use std::fmt;"),
        ];
        assert_eq!(
            imports(&files, "b.rs"),
            ["src/a/c.rs: C", "src/a/mod.rs: A"]
        );
    }

    #[test]
    fn paths_without_a_use_count() {
        let files = [
            ("lib.rs", "mod a; mod b; fn f() { a::g() }"),
            ("a.rs", "fn g() { crate::b::h(); other::i() }"),
            ("b.rs", "fn h() { super::f() }"),
        ];
        assert_eq!(imports(&files, "lib.rs"), ["src/a.rs: g"]);
        assert_eq!(imports(&files, "a.rs"), ["src/b.rs: h"]);
        assert_eq!(imports(&files, "b.rs"), ["src/lib.rs: f"]);
    }
}
