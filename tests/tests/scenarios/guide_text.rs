//! The text of the guides in `docs/`.

use std::fs;
use std::path::Path;

use acme_alias_tests::Result;

/// The blocks of a page that are in this language.
pub(crate) fn blocks(page: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let after = page.split(&opening).skip(1);
    let blocks = after.filter_map(|text| text.split_once("\n```"));
    blocks.map(|(block, _)| block.to_owned()).collect()
}

pub(crate) fn read(page: &str) -> Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    Ok(fs::read_to_string(folder.join(page))?)
}
