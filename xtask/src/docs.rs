//! The generated parts of the documentation: output of the program, between markers in pages that people
//! write, and the JSON schema. The links of all pages.

use std::fs;
use std::path::{Path, PathBuf};

use crate::links;
use crate::program;
use crate::step::Failure;

const BEGIN: &str = "<!-- generated: ";
const BEGIN_ENDS: &str = " -->\n";
const END: &str = "<!-- end of generated -->";
const SCHEMA: &str = "docs/settings.schema.json";

/// What to do with outdated pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// Writes the generated parts, or checks that they are up to date.
pub(crate) fn run(mode: Mode) -> Result<(), Failure> {
    let mut stale = Vec::new();
    let mut update = |path: PathBuf, is: &str, should: &str| -> Result<(), Failure> {
        match mode {
            _ if is == should => {}
            Mode::Check => stale.push(path.display().to_string()),
            Mode::Write => fs::write(&path, should).map_err(|e| failed(&path, &e))?,
        }
        Ok(())
    };
    for path in pages()? {
        let page = fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
        let fresh = refreshed(&path, &page)?;
        update(path, &page, &fresh)?;
    }
    let schema = program::output("config schema")?;
    let there = fs::read_to_string(SCHEMA).unwrap_or_default();
    update(SCHEMA.into(), &there, &schema)?;
    links::check(&pages()?)?;
    if stale.is_empty() {
        return Ok(());
    }
    Err(Failure::Other(format!(
        "outdated: {}\nRun `cargo xtask docs` to write the generated parts again",
        stale.join(", ")
    )))
}

/// The pages of the folders that have documentation.
fn pages() -> Result<Vec<PathBuf>, Failure> {
    let mut pages = Vec::new();
    for folder in [".", "docs", "docs/providers"].map(Path::new) {
        for entry in fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
            let path = entry.map_err(|error| failed(folder, &error))?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    Ok(pages)
}

/// The page with every generated part written again.
fn refreshed(path: &Path, page: &str) -> Result<String, Failure> {
    let mut fresh = String::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let parts = after.split_once(BEGIN_ENDS).and_then(|(what, after)| {
            let (_, after) = after.split_once(END)?;
            Some((what, after))
        });
        let Some((what, after)) = parts else {
            let message = format!("{}: a generated part without an end", path.display());
            return Err(Failure::Other(message));
        };
        let text = program::output(what)?;
        fresh.push_str(&format!("{before}{BEGIN}{what}{BEGIN_ENDS}{text}{END}"));
        rest = after;
    }
    fresh.push_str(rest);
    Ok(fresh)
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Other(format!("{}: {error}", path.display()))
}
