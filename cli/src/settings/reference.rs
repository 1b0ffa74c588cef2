//! The settings for readers: a table for people, a JSON schema for editors.

use acme_alias_core::provider::{Guarantees, Reading, ValueChanges, Variant};
use acme_alias_core::registry::ProviderKind;
use serde_json::{Map, Value, json};

use super::schema::{self, Key, SECRET, SETTINGS, Shape};

/// The JSON schema (draft 2020-12) of a settings file, with the providers of `kinds`.
pub(crate) fn json_schema(kinds: &[&'static ProviderKind]) -> Value {
    let mut schema = table(SETTINGS, kinds);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Settings of acme-alias".into();
    schema
}

fn table(keys: &[Key], kinds: &[&'static ProviderKind]) -> Value {
    let properties: Map<_, _> = keys
        .iter()
        .map(|key| {
            let mut value = shape(key.shape, kinds);
            value["description"] = description(key).into();
            (key.name.to_owned(), value)
        })
        .collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn description(key: &Key) -> String {
    match key.default {
        Some(default) => format!("{} (default: {default})", key.help),
        None => key.help.to_owned(),
    }
}

fn shape(shape: Shape, kinds: &[&'static ProviderKind]) -> Value {
    let by_id = |value: Value| {
        json!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z0-9][a-z0-9_-]{0,99}$" },
            "additionalProperties": value,
        })
    };
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Word(words) => json!({ "type": "string", "examples": words }),
        Shape::Truth => json!({ "type": "boolean" }),
        Shape::Number => json!({ "type": "integer", "minimum": 0 }),
        Shape::Duration => json!({ "type": "string", "examples": ["5s", "2m"] }),
        Shape::Texts => json!({
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        }),
        Shape::Secret => secret(kinds),
        Shape::Secrets => json!({ "type": "object", "additionalProperties": secret(kinds) }),
        Shape::Table(keys) => table(keys, kinds),
        Shape::Tables(keys) => json!({ "type": "array", "items": table(keys, kinds) }),
        Shape::TextsOrTables(keys) => {
            let item = json!({ "anyOf": [{ "type": "string" }, table(keys, kinds)] });
            json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": item }] })
        }
        Shape::ById(keys) => by_id(table(keys, kinds)),
        Shape::Providers => {
            let providers: Vec<_> = kinds.iter().map(|kind| provider(kind, kinds)).collect();
            by_id(json!({ "oneOf": providers }))
        }
    }
}

fn secret(kinds: &[&'static ProviderKind]) -> Value {
    let mut reference = table(SECRET, kinds);
    reference["minProperties"] = 1.into();
    reference["maxProperties"] = 1.into();
    reference
}

fn provider(kind: &ProviderKind, kinds: &[&'static ProviderKind]) -> Value {
    let mut value = table(&schema::of_provider(kind), kinds);
    value["title"] = kind.summary.into();
    value["properties"]["kind"] = json!({ "const": kind.kind });
    let required = kind.options.iter().filter(|option| option.required);
    let required: Vec<_> = std::iter::once("kind")
        .chain(required.map(|option| option.name))
        .collect();
    value["required"] = required.into();
    value
}

/// The settings as a Markdown table.
pub(crate) fn settings() -> String {
    let mut text = "| key | meaning | default |\n|---|---|---|\n".to_owned();
    rows("", SETTINGS, &mut text);
    text
}

fn rows(above: &str, keys: &[Key], text: &mut String) {
    for key in keys {
        let join = |name: &str| match above {
            "" => name.to_owned(),
            above if above.ends_with(']') => format!("{above} {name}"),
            above => format!("{above}.{name}"),
        };
        let own = join(key.name);
        match key.shape {
            Shape::Table(keys) => rows(&own, keys, text),
            // Such a list is at the top as well, where its keys are.
            Shape::Tables(_) if above.ends_with(']') => {
                let (table, name) = (above.trim_matches(['[', ']']), key.name);
                let help = format!("{}; the keys are those of `[[{name}]]`", key.help);
                text.push_str(&format!("| `[[{table}.{name}]]` | {help} | |\n"));
            }
            Shape::Tables(keys) => rows(&format!("[[{own}]]"), keys, text),
            Shape::ById(keys) => rows(&format!("[{own}.ID]"), keys, text),
            Shape::Providers => {
                let kind = "the kind; `acme-alias providers` lists them with their options";
                text.push_str(&format!("| `[{own}.ID] kind` | {kind} | |\n"));
            }
            _ => {
                let default = key.default.unwrap_or_default();
                text.push_str(&format!("| `{own}` | {} | {default} |\n", key.help));
                if let Shape::TextsOrTables(keys) = key.shape {
                    let named: Vec<_> = keys.iter().map(|key| format!("`{}`", key.name)).collect();
                    let keys = named.join(", ");
                    text.push_str(&format!("| | keys of such a table: {keys} | |\n"));
                }
            }
        }
    }
}

/// What a kind of provider promises, and its options, as Markdown.
pub(crate) fn provider_page(kind: &ProviderKind) -> String {
    let mut text = "| guarantee | |\n|---|---|\n".to_owned();
    for (what, how) in promises(&kind.guarantees) {
        text.push_str(&format!("| {what} | {how} |\n"));
    }
    for variant in kind.variants {
        let Variant { option, value, .. } = variant;
        text.push_str(&format!(
            "\n| with `{option} = \"{value}\"` | |\n|---|---|\n"
        ));
        for (what, how) in promises(&variant.guarantees) {
            text.push_str(&format!("| {what} | {how} |\n"));
        }
    }
    text.push_str("\n| option | flag | meaning | default |\n|---|---|---|---|\n");
    for option in kind.options {
        let default = match (option.required, option.default) {
            (true, _) => "required".to_owned(),
            (false, Some(default)) => format!("`{default}`"),
            (false, None) => String::new(),
        };
        text.push_str(&format!(
            "| `{0}` | `--{1}-{0}` | {2} | {default} |\n",
            option.name, kind.kind, option.help
        ));
    }
    text
}

/// What a provider promises, in words.
pub(crate) fn promises(guarantees: &Guarantees) -> [(&'static str, &'static str); 5] {
    [
        (
            "one request",
            if guarantees.atomic {
                "is applied as a whole or not at all"
            } else {
                "may be carried out in part"
            },
        ),
        (
            "a value among others",
            match guarantees.values {
                ValueChanges::PerValue => "is added and removed by itself",
                ValueChanges::CompareAndSwap => {
                    "is changed by replacing the set, if nobody else has changed it meanwhile"
                }
                ValueChanges::ReadBack => {
                    "is changed by replacing the set, which is read back; what others write meanwhile may be lost"
                }
                ValueChanges::UpToProgram => {
                    "is changed as the program does it; it may remove other values at the name"
                }
            },
        ),
        (
            "a change",
            match guarantees.reading {
                Reading::AtBackend => "is read back at the backend",
                Reading::AtServers => {
                    "cannot be read back; the authoritative servers are asked instead"
                }
            },
        ),
        (
            "propagation",
            if guarantees.tells_propagation {
                "is reported by the backend; the servers are asked as well"
            } else {
                "is seen by asking the servers"
            },
        ),
        ("the narrowest key", guarantees.narrowest_key),
    ]
}
