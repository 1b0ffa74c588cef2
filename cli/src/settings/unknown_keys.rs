//! Keys in the settings that nothing reads.

use acme_alias_core::registry;
use config::ValueKind;

use super::layer::Tree;
use super::mistake::Mistake;
use super::nearest::nearest;
use super::schema::{CERTIFICATE, Key, SECRET, SETTINGS, Shape, of_provider};

/// The table of all certificates.
const CERTIFICATES: &str = "certificates";

/// Every key that nothing will ever read, each with the nearest one that is read. Those of certificates are left out.
pub(super) fn unknown_keys(tree: &Tree) -> Vec<Mistake> {
    let mut found = Vec::new();
    check_table(tree, "", SETTINGS, &mut found);
    found
}

/// The same for the table of one certificate.
pub(super) fn unknown_keys_of(tree: &Tree, table: &str) -> Vec<Mistake> {
    let mut found = Vec::new();
    check_table(tree, table, CERTIFICATE, &mut found);
    found
}

fn check_table(tree: &Tree, path: &str, known: &[Key], found: &mut Vec<Mistake>) {
    for name in tree.keys(path) {
        let here = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match known.iter().find(|key| key.name == name) {
            Some(key) => check_value(tree, &here, key.shape, found),
            None => {
                let mistake = Mistake::new(format!("`{here}` is no setting"));
                let mistake = mistake.help(nearest(&name, known.iter().map(|key| key.name)));
                found.push(tree.locate(mistake, &here, true));
            }
        }
    }
}

/// How a table is to be written, if it is written in another form: nothing would read it.
fn other_form(tree: &Tree, path: &str, shape: Shape) -> Option<String> {
    let kind = &tree.at(path)?.kind;
    let is_table = matches!(kind, ValueKind::Table(_));
    match shape {
        Shape::Tables(_) if !matches!(kind, ValueKind::Array(_)) => {
            Some(format!("tables in double brackets, `[[{path}]]`"))
        }
        Shape::ById(_) | Shape::Providers if !is_table => {
            Some(format!("a table with a name of your own, `[{path}.NAME]`"))
        }
        Shape::Table(_) if !is_table => Some(format!("a table, `[{path}]`")),
        _ => None,
    }
}

fn check_value(tree: &Tree, path: &str, shape: Shape, found: &mut Vec<Mistake>) {
    if let Some(form) = other_form(tree, path, shape) {
        let mistake = Mistake::new(format!("`{path}` is written in another form than it needs"));
        let mistake = mistake.help(format!("write it as {form}"));
        found.push(tree.locate(mistake, path, true));
        return;
    }
    match shape {
        Shape::Table(keys) => check_table(tree, path, keys, found),
        Shape::Secret => check_table(tree, path, SECRET, found),
        Shape::Secrets => {
            for name in tree.keys(path) {
                check_table(tree, &format!("{path}.{name}"), SECRET, found);
            }
        }
        Shape::Tables(keys) | Shape::TextsOrTables(keys) => {
            for index in 0..tree.len(path) {
                check_table(tree, &format!("{path}[{index}]"), keys, found);
            }
        }
        Shape::ById(_) if path == CERTIFICATES => {}
        Shape::ById(keys) => {
            for id in tree.keys(path) {
                check_table(tree, &format!("{path}.{id}"), keys, found);
            }
        }
        Shape::Providers => {
            for id in tree.keys(path) {
                let path = format!("{path}.{id}");
                let kind = tree
                    .at(&format!("{path}.kind"))
                    .and_then(|kind| kind.clone().into_string().ok());
                // Without a known kind the options cannot be known either; another check reports that.
                if let Some(Ok(kind)) = kind.map(|kind| registry::find(&kind)) {
                    check_table(tree, &path, &of_provider(kind), found);
                }
            }
        }
        Shape::Text
        | Shape::Word(_)
        | Shape::Truth
        | Shape::Number
        | Shape::Duration
        | Shape::Texts => {}
    }
}
