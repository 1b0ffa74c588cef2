//! Every setting that holds, and where it comes from.

use config::{Value, ValueKind};

use super::layer::Tree;
use super::schema;

/// One setting, fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Its path, such as `acme.directory`.
    pub(crate) key: String,
    /// Its value as TOML; a secret that stands in the settings themselves is hidden.
    pub(crate) value: String,
    /// The layer it comes from.
    pub(crate) source: String,
}

/// All settings, in the order of their paths.
pub(crate) fn show(tree: &Tree) -> Vec<Shown> {
    let mut all = Vec::new();
    for key in tree.keys("") {
        collect(tree, key, &mut all);
    }
    all
}

fn collect(tree: &Tree, path: String, all: &mut Vec<Shown>) {
    let Some(value) = tree.at(&path) else { return };
    match &value.kind {
        ValueKind::Table(_) if !schema::is_secret(&path) => {
            for key in tree.keys(&path) {
                collect(tree, format!("{path}.{key}"), all);
            }
        }
        _ => all.push(Shown {
            source: origin(value).to_owned(),
            value: if schema::is_secret(&path) {
                reference(value)
            } else {
                toml(value)
            },
            key: path,
        }),
    }
}

/// A table's origin is that of what stands in it.
fn origin(value: &Value) -> &str {
    match &value.kind {
        ValueKind::Table(table) => table.values().next().map_or("", origin),
        _ => value.origin().unwrap_or("default"),
    }
}

fn reference(value: &Value) -> String {
    match &value.kind {
        ValueKind::Table(_) => toml(value),
        _ => "[hidden]".to_owned(),
    }
}

fn toml(value: &Value) -> String {
    match &value.kind {
        ValueKind::Array(array) => {
            let items: Vec<_> = array.iter().map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        ValueKind::Table(table) => {
            let mut items: Vec<_> = table
                .iter()
                .map(|(key, value)| {
                    let value = if schema::is_secret(key) {
                        reference(value)
                    } else {
                        toml(value)
                    };
                    format!("{key} = {value}")
                })
                .collect();
            items.sort();
            format!("{{ {} }}", items.join(", "))
        }
        ValueKind::String(text) => toml::Value::from(text.as_str()).to_string(),
        other => other.to_string(),
    }
}
