//! `ACME_ALIAS_…`: settings from the environment.
//!
//! The parts of a path are joined by two underscores: `ACME_ALIAS_ACME__DIRECTORY` is
//! `acme.directory`. An underscore stands for a hyphen, and an id is found whichever of the two
//! it has: `ACME_ALIAS_PROVIDERS__CORP_BIND__TSIG_KEY`.

use std::collections::BTreeMap;

use acme_alias_core::registry::{self, ProviderKind};
use toml::{Table, Value};

use super::layer::Layer;
use super::mistake::Mistake;
use super::schema::{self, Shape};

const PREFIX: &str = "ACME_ALIAS_";
/// The settings files to read, as `--config` names them, joined as in `PATH`.
pub(crate) const CONFIG: &str = "ACME_ALIAS_CONFIG";
/// What the deploy hook gets; a hook that calls this program again must not set anything.
pub(crate) const HOOK_PREFIX: &str = "ACME_ALIAS_HOOK_";

/// The environment, as it was when the program began.
pub(crate) type Variables = BTreeMap<String, String>;

/// One layer per variable, so that each value's source is the variable. `below` are the layers
/// that tell which ids there are.
pub(crate) fn layers(variables: &Variables, below: &[Layer]) -> (Vec<Layer>, Vec<Mistake>) {
    let (mut layers, mut mistakes) = (Vec::new(), Vec::new());
    let ours = variables
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX) && !name.starts_with(HOOK_PREFIX))
        .filter(|(name, _)| *name != CONFIG);
    for (name, text) in ours {
        let parts: Vec<_> = name[PREFIX.len()..]
            .split("__")
            .map(str::to_ascii_lowercase)
            .collect();
        match path(&parts, below) {
            Some((path, shape)) => {
                let values = nested(&path, value(name, text, shape));
                layers.push(Layer::new(format!("the variable {name}"), values));
            }
            None => mistakes.push(
                Mistake::new(format!("the variable {name} sets nothing that there is"))
                    .help("the parts of a setting are joined by two underscores, as in ACME_ALIAS_ACME__DIRECTORY"),
            ),
        }
    }
    (layers, mistakes)
}

/// The setting that the parts of a variable's name mean, and what may stand there.
fn path(parts: &[String], below: &[Layer]) -> Option<(Vec<String>, Shape)> {
    let (first, rest) = parts.split_first()?;
    let first = schema::find(schema::SETTINGS, first)?;
    let mut path = vec![first.name.to_owned()];
    let key = match (first.shape, rest) {
        (Shape::Table(keys), [key]) => *schema::find(keys, key)?,
        (Shape::ById(keys), [name, key]) => {
            path.push(id(first.name, name, below));
            *schema::find(keys, key)?
        }
        (Shape::Providers, [name, key]) => {
            let id = id(first.name, name, below);
            let known = kind_of(&id, below).map(schema::of_provider);
            let key = match known.as_deref().and_then(|keys| schema::find(keys, key)) {
                Some(key) => *key,
                // Whether the option exists is told once the provider's kind is known.
                None => {
                    let key = key.replace('_', "-");
                    let is_secret = schema::is_secret(&key);
                    path.extend([id, key]);
                    return Some((
                        path,
                        if is_secret {
                            Shape::Secret
                        } else {
                            Shape::Text
                        },
                    ));
                }
            };
            path.push(id);
            key
        }
        (_, []) => return settable(first.shape).then_some((path, first.shape)),
        _ => return None,
    };
    path.push(key.name.to_owned());
    settable(key.shape).then_some((path, key.shape))
}

/// Whether a text can say it.
fn settable(shape: Shape) -> bool {
    !matches!(
        shape,
        Shape::Table(_) | Shape::Tables(_) | Shape::ById(_) | Shape::Providers | Shape::Secrets
    )
}

/// The id in the layers below that is meant by a part of a variable's name.
fn id(table: &str, part: &str, below: &[Layer]) -> String {
    let tables = below
        .iter()
        .filter_map(|layer| layer.values().get(table)?.as_table());
    let found = tables
        .flat_map(Table::keys)
        .find(|id| same(id, part))
        .cloned();
    found.unwrap_or_else(|| part.to_owned())
}

fn same(one: &str, other: &str) -> bool {
    let plain = |word: &str| word.to_ascii_lowercase().replace('-', "_");
    plain(one) == plain(other)
}

fn value(name: &str, text: &str, shape: Shape) -> Value {
    match shape {
        // The secret itself stays where it is, and is fetched when it is needed.
        Shape::Secret => Value::Table(Table::from_iter([("env".to_owned(), name.into())])),
        Shape::Texts | Shape::TextsOrTables(_) => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Value::Array(items.map(Value::from).collect())
        }
        _ => Value::String(text.to_owned()),
    }
}

/// The kind that the layers below give a provider.
fn kind_of(id: &str, below: &[Layer]) -> Option<&'static ProviderKind> {
    let kind = below.iter().rev().find_map(|layer| {
        layer
            .values()
            .get("providers")?
            .get(id)?
            .get("kind")?
            .as_str()
    });
    kind.and_then(|kind| registry::find(kind).ok())
}

fn nested(path: &[String], value: Value) -> Table {
    let Some((last, above)) = path.split_last() else {
        return Table::new();
    };
    let innermost = Table::from_iter([(last.clone(), value)]);
    above.iter().rev().fold(innermost, |inner, key| {
        Table::from_iter([(key.clone(), Value::Table(inner))])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(name: &str, text: &str, below: &str) -> Result<Table, ()> {
        let below = [Layer::parse("below", below).unwrap()];
        let variables = Variables::from_iter([(name.to_owned(), text.to_owned())]);
        let (layers, _) = layers(&variables, &below);
        layers.first().map(|layer| layer.values().clone()).ok_or(())
    }

    #[test]
    fn a_variable_sets_what_its_parts_say() {
        let table = of("ACME_ALIAS_ACME__AGREE_TOS", "true", "").unwrap();
        assert_eq!(table["acme"]["agree-tos"].as_str(), Some("true"));
        let table = of("ACME_ALIAS_DNS__RESOLVER", "192.0.2.1, 192.0.2.2", "").unwrap();
        assert_eq!(table["dns"]["resolver"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn what_is_no_setting_is_reported() {
        for name in [
            "ACME_ALIAS_ACME__X",
            "ACME_ALIAS_X",
            "ACME_ALIAS_DNS__ZONES",
            "ACME_ALIAS_",
        ] {
            assert!(of(name, "1", "").is_err(), "{name}");
        }
        assert!(of("ACME_ALIAS_HOOK_CERTIFICATE", "web", "").is_err());
        let variables = Variables::from_iter([("ACME_ALIAS_HOOK_PATH".to_owned(), "x".to_owned())]);
        assert!(layers(&variables, &[]).1.is_empty());
    }

    proptest! {
        #[test]
        fn an_id_is_found_whichever_of_hyphen_and_underscore_it_has(
            id in "[a-z0-9]([a-z0-9]|[_-][a-z0-9]){0,8}"
        ) {
            let below = format!("[providers.{id}]\nkind = \"x\"\n");
            let name = format!(
                "ACME_ALIAS_PROVIDERS__{}__TSIG_KEY",
                id.to_ascii_uppercase().replace('-', "_")
            );
            let table = of(&name, "k", &below).unwrap();
            prop_assert_eq!(table["providers"][&id]["tsig-key"].as_str(), Some("k"));
        }
    }
}
