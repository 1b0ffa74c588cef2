//! The links from page to page of the documentation.

use std::fs;
use std::path::{Path, PathBuf};

use crate::step::Failure;

/// Checks that every relative link of these pages leads to a file, and every anchor to a heading.
pub(crate) fn check(pages: &[PathBuf]) -> Result<(), Failure> {
    let mut broken = Vec::new();
    for path in pages {
        let page = read(path)?;
        for link in links(&page) {
            if !leads_somewhere(path, &page, link)? {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    let broken = broken.join("\n");
    Err(Failure::Other(format!(
        "links that lead nowhere:\n{broken}"
    )))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::Other(format!("{}: {error}", path.display())))
}

/// The lines of a page that are not in a block of code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The targets of the links of a page, except for those to other sites.
fn links(page: &str) -> Vec<&str> {
    let parts = prose(page).flat_map(|line| line.split("](").skip(1));
    let targets = parts.filter_map(|part| part.split_once(')').map(|(target, _)| target));
    targets.filter(|target| !target.contains("://")).collect()
}

fn leads_somewhere(from: &Path, page: &str, link: &str) -> Result<bool, Failure> {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    if file.is_empty() {
        return Ok(has_heading(page, anchor));
    }
    let target = from.with_file_name(file);
    if !target.exists() {
        return Ok(false);
    }
    Ok(anchor.is_empty() || has_heading(&read(&target)?, anchor))
}

fn has_heading(page: &str, anchor: &str) -> bool {
    let headings = prose(page).filter(|line| line.starts_with('#'));
    headings.map(anchor_of).any(|known| known == anchor)
}

/// The anchor of a heading, as GitHub makes it.
fn anchor_of(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ => c.is_alphanumeric().then_some(c),
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A page\n\n[a](#what-is-it) [b](#no) [c](https://example.com)\n\n\
        ```text\n[d](e.md)\n# No heading\n```\n\n## What is it?\n";

    #[test]
    fn links_in_code_and_to_other_sites_are_not_followed() {
        assert_eq!(links(PAGE), ["#what-is-it", "#no"]);
    }

    #[test]
    fn an_anchor_leads_to_a_heading_or_nowhere() {
        let leads = |link| matches!(leads_somewhere(Path::new("page.md"), PAGE, link), Ok(true));
        assert!(leads("#what-is-it"));
        assert!(!leads("#no"));
        assert!(!leads("#no-heading"));
        assert!(!leads("no-such-page.md"));
    }
}
