//! Both checks, with one report.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::length::{LINES_MAX, lines};
use super::modules::Module;
use super::tracked::tracked;
use super::{cycles, modules};
use crate::step::Failure;

/// Fails if a file is too long, or if imports form a circle; the error has them all.
pub(crate) fn check() -> Result<(), Failure> {
    let mut texts = BTreeMap::new();
    for path in tracked()? {
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)
                .map_err(|error| Failure::Other(format!("{}: {error}", path.display())))?;
            texts.insert(path, text);
        }
    }
    let faults: Vec<_> = long_files(&texts)
        .chain(circles(&texts))
        .map(|fault| format!("\n- {fault}"))
        .collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failure::Other(format!(
        "faults in the source: {}{}",
        faults.len(),
        faults.concat()
    )))
}

fn long_files(texts: &BTreeMap<PathBuf, String>) -> impl Iterator<Item = String> {
    texts.iter().filter_map(|(path, text)| {
        let lines = lines(text);
        (lines > LINES_MAX).then(|| {
            let path = path.display();
            format!("{path} has {lines} lines without tables; at most {LINES_MAX} are allowed")
        })
    })
}

fn circles(texts: &BTreeMap<PathBuf, String>) -> impl Iterator<Item = String> {
    modules::crates(texts)
        .into_iter()
        .flat_map(|modules: Vec<Module>| cycles::cycles(&modules))
        .map(|circle| format!("these files import each other:{circle}"))
}
