//! The text of the guides in `docs/`.

use std::fs;
use std::path::Path;

use acme_alias_tests::{Error, Result};

/// What the pages put before a command, so that it runs as the user of the package.
const AS_USER: &str = "sudo -u acme-alias ";

/// The blocks of a page that are in this language.
pub(crate) fn blocks(page: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let after = page.split(&opening).skip(1);
    let blocks = after.filter_map(|text| text.split_once("\n```"));
    blocks.map(|(block, _)| block.to_owned()).collect()
}

/// The arguments of every `acme-alias` command in the `sh` blocks of a page.
pub(crate) fn commands(page: &str) -> Vec<Vec<String>> {
    let blocks = blocks(page, "sh");
    let lines = blocks.iter().flat_map(|block| block.lines());
    let commands = lines.filter_map(|line| {
        let line = line.strip_prefix(AS_USER).unwrap_or(line);
        line.strip_prefix("acme-alias ")
    });
    commands
        .map(|command| command.split_whitespace().map(str::to_owned).collect())
        .collect()
}

/// A section of a page, without its heading.
pub(crate) fn section(page: &str, heading: &str) -> Result<String> {
    let (_, after) = page
        .split_once(&format!("\n## {heading}\n"))
        .ok_or_else(|| Error::new(format_args!("no section {heading}")))?;
    let section = after
        .split_once("\n## ")
        .map_or(after, |(section, _)| section);
    Ok(section.to_owned())
}

pub(crate) fn read(page: &str) -> Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    Ok(fs::read_to_string(folder.join(page))?)
}
