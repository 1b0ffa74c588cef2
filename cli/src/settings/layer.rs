//! One layer of settings: a file, the environment, the flags; and all of them merged, where
//! every value still knows its layer.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use acme_alias_core::printable::{is_unprintable, printable};
use acme_alias_core::trusted::{self, Access, Links};
use config::{Config, Map, Source, Value, ValueKind};
use miette::SourceSpan;
use secrecy::{ExposeSecret, SecretString};
use toml::Table;
use toml::de::{DeTable, DeValue};

use super::mask::mask_secrets;
use super::mistake::Mistake;
use super::schema::secret_keys;
use super::source_text::SourceText;

/// No settings file is larger: ten thousand certificates take about a megabyte.
const SIZE_MAX: u64 = 16 << 20;

/// The name of the layer of the defaults.
pub(super) const DEFAULTS: &str = "default";

/// Settings with the name of where they come from.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    name: String,
    values: Arc<Table>,
    text: Option<Arc<Text>>,
    /// The permission bits of the file, those of others only if they matter.
    mode: Option<u32>,
}

/// A file's text.
#[derive(Debug)]
struct Text {
    /// What may be shown of it: secrets are overwritten.
    masked: Arc<SourceText>,
    plain: SecretString,
    /// The place of every value, found when the first mistake is shown: a file may have many
    /// thousand certificates, and their places take more memory than their settings.
    spans: OnceLock<HashMap<String, Range<usize>>>,
}

impl Text {
    fn span(&self, path: &str) -> Option<&Range<usize>> {
        let spans = self.spans.get_or_init(|| {
            let mut spans = HashMap::new();
            if let Ok(root) = DeTable::parse(self.plain.expose_secret()) {
                for (key, value) in root.get_ref() {
                    note(key.get_ref(), key.span(), value, &mut spans);
                }
            }
            spans
        });
        spans.get(path)
    }
}

impl Layer {
    /// The path of the file, if it was read from one.
    pub(crate) fn file(&self) -> Option<&str> {
        self.text.as_ref().map(|_| self.name.as_str())
    }

    /// A layer that was not written as a file.
    pub(crate) fn new(name: impl Into<String>, values: Table) -> Self {
        Layer {
            name: name.into(),
            values: Arc::new(values),
            text: None,
            mode: None,
        }
    }

    /// Reads a file; `None` where there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Mistake> {
        let read = match trusted::read(path, Access::Unchangeable, Links::Followed, SIZE_MAX) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Mistake::unreadable(path, &error, "go-w")),
        };
        let name = printable(&path.display().to_string());
        let text = String::from_utf8(read.content)
            .map_err(|_| Mistake::new(format!("{name} is not text in UTF-8")))?;
        let mut layer = Layer::parse(&name, &text)?;
        // Who can read a file that somebody else provides is not ours to choose.
        let is_fit_for_secrets = trusted::open(path, Access::Secret, Links::Followed).is_ok();
        let others = if is_fit_for_secrets { 0 } else { 0o077 };
        layer.mode = Some(read.mode & (0o700 | others));
        Ok(Some(layer))
    }

    /// Reads the text of a file.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Mistake> {
        let masked = Arc::new(SourceText::new(name, harmless(&mask_secrets(text))));
        let wrong = |error: toml::de::Error| {
            let span = error.span().unwrap_or(0..0);
            Mistake::new(error.message().trim())
                .at(Arc::clone(&masked), span.into())
                .help("this is not TOML; see https://toml.io for its rules")
        };
        let values = toml::from_str(text).map_err(wrong)?;
        Ok(Layer {
            name: name.to_owned(),
            values: Arc::new(values),
            text: Some(Arc::new(Text {
                masked,
                plain: text.into(),
                spans: OnceLock::new(),
            })),
            mode: None,
        })
    }

    /// The values of the layer without this key, and without their places in the file.
    pub(crate) fn without(&self, key: &str) -> Self {
        let values = self.values.iter().filter(|(name, _)| *name != key);
        Layer {
            name: self.name.clone(),
            values: Arc::new(
                values
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
            ),
            text: None,
            mode: self.mode,
        }
    }

    pub(crate) fn values(&self) -> &Table {
        &self.values
    }

    fn has(&self, path: &str) -> bool {
        self.get(path).is_some()
    }

    fn get(&self, path: &str) -> Option<&toml::Value> {
        let mut steps = steps(path);
        let Some(Step::Key(first)) = steps.next() else {
            return None;
        };
        steps.try_fold(self.values.get(first)?, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        })
    }
}

/// Remembers where a value stands, and all the values in it. A key leads to its value; an
/// unknown key is shown where the key itself stands.
fn note(
    path: &str,
    key: Range<usize>,
    value: &toml::Spanned<DeValue<'_>>,
    spans: &mut HashMap<String, Range<usize>>,
) {
    spans.insert(format!("{path}#"), key);
    spans.insert(path.to_owned(), value.span());
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, value) in table {
                note(
                    &format!("{path}.{}", key.get_ref()),
                    key.span(),
                    value,
                    spans,
                );
            }
        }
        DeValue::Array(array) => {
            for (index, value) in array.iter().enumerate() {
                note(&format!("{path}[{index}]"), value.span(), value, spans);
            }
        }
        _ => {}
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let values = self.values.iter();
        Ok(values
            .map(|(key, value)| (key.clone(), with_origin(value, &self.name)))
            .collect())
    }
}

fn with_origin(value: &toml::Value, origin: &String) -> Value {
    let kind = match value {
        toml::Value::String(text) => ValueKind::String(text.clone()),
        toml::Value::Integer(number) => ValueKind::I64(*number),
        toml::Value::Float(number) => ValueKind::Float(*number),
        toml::Value::Boolean(truth) => ValueKind::Boolean(*truth),
        toml::Value::Datetime(datetime) => ValueKind::String(datetime.to_string()),
        toml::Value::Array(array) => ValueKind::Array(
            array
                .iter()
                .map(|value| with_origin(value, origin))
                .collect(),
        ),
        toml::Value::Table(table) => ValueKind::Table(
            table
                .iter()
                .map(|(key, value)| (key.clone(), with_origin(value, origin)))
                .collect(),
        ),
    };
    Value::new(Some(origin), kind)
}

/// All layers, the lowest first, and what they amount to.
#[derive(Debug)]
pub(crate) struct Tree {
    layers: Vec<Layer>,
    root: Value,
}

impl Tree {
    /// Merges the layers: a table key by key, anything else and each secret as a whole.
    pub(crate) fn new(layers: Vec<Layer>) -> Result<Self, Mistake> {
        let mut builder = Config::builder();
        for layer in &layers {
            builder = builder.add_source(layer.clone());
        }
        let merged = builder
            .build()
            .map_err(|error| Mistake::new(error.to_string()))?;
        // Deserialising would lose where each value comes from; the cache has it.
        let root = merged.cache;
        let mut tree = Tree { layers, root };
        tree.replace_secrets();
        Ok(tree)
    }

    /// Replaces each secret as a whole by that of the highest layer: the keys of its table are alternatives.
    fn replace_secrets(&mut self) {
        let secrets = secret_keys();
        let tables = std::iter::once("acme".to_owned());
        let tables = tables.chain(["cas", "providers"].into_iter().flat_map(|above| {
            let ids = self.keys(above).into_iter();
            ids.map(move |id| format!("{above}.{id}"))
        }));
        for table in tables.collect::<Vec<_>>() {
            for secret in secrets.iter().map(|key| format!("{table}.{key}")) {
                let mut layers = self.layers.iter().rev();
                let highest = layers.find_map(|layer| Some((layer.get(&secret)?, &layer.name)));
                let highest = highest.map(|(value, layer)| with_origin(value, layer));
                if let (Some(highest), Some(merged)) = (highest, at_mut(&mut self.root, &secret)) {
                    *merged = highest;
                }
            }
        }
    }

    /// The value at a path such as `certificates.web.domains[0]`; the empty path is the root.
    pub(crate) fn at(&self, path: &str) -> Option<&Value> {
        if path.is_empty() {
            return Some(&self.root);
        }
        steps(path).try_fold(&self.root, |value, step| match (step, &value.kind) {
            (Step::Key(key), ValueKind::Table(table)) => table.get(key),
            (Step::Index(index), ValueKind::Array(array)) => array.get(index),
            _ => None,
        })
    }

    /// The keys of the table at a path, in order; none where there is no table.
    pub(crate) fn keys(&self, path: &str) -> Vec<String> {
        match self.at(path).map(|value| &value.kind) {
            Some(ValueKind::Table(table)) => {
                let mut keys: Vec<_> = table.keys().cloned().collect();
                keys.sort();
                keys
            }
            _ => Vec::new(),
        }
    }

    /// The number of elements of the array at a path.
    pub(crate) fn len(&self, path: &str) -> usize {
        match self.at(path).map(|value| &value.kind) {
            Some(ValueKind::Array(array)) => array.len(),
            _ => 0,
        }
    }

    /// The file in which the value at `path` is written, and its permission bits, those of others only if they matter.
    pub(crate) fn file(&self, path: &str) -> Option<(&str, u32)> {
        let layer = self.layers.iter().rev().find(|layer| layer.has(path))?;
        Some((&layer.name, layer.mode?))
    }

    /// Whether anything but the defaults has a value at `path`.
    pub(crate) fn is_given(&self, path: &str) -> bool {
        let mut layers = self.layers.iter();
        layers.any(|layer| layer.name != DEFAULTS && layer.has(path))
    }

    /// Shows `mistake` where the value at `path` was written: at the value, at its key, or at
    /// the closest table around it.
    pub(crate) fn locate(&self, mistake: Mistake, path: &str, at_key: bool) -> Mistake {
        let mut around = Some(path);
        while let Some(path) = around {
            if let Some(layer) = self.layers.iter().rev().find(|layer| layer.has(path)) {
                let Some(text) = &layer.text else {
                    return mistake.in_layer(&layer.name);
                };
                let key = format!("{path}#");
                let span = text.span(if at_key { key.as_str() } else { path });
                if let Some(span) = span {
                    return mistake.at(Arc::clone(&text.masked), SourceSpan::from(span.clone()));
                }
            }
            around = path.rfind(['.', '[']).map(|end| &path[..end]);
        }
        mistake
    }
}

/// The value at a path of keys.
fn at_mut<'a>(root: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    path.split('.')
        .try_fold(root, |value, key| match &mut value.kind {
            ValueKind::Table(table) => table.get_mut(key),
            _ => None,
        })
}

/// The text with a `?` for every octet of a character that controls a terminal, so that each place stays
/// where it was.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) && !matches!(c, '\n' | '\t') {
            shown.extend(std::iter::repeat_n('?', c.len_utf8()));
        } else {
            shown.push(c);
        }
    }
    shown
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split(['.', '['])
        .map(|part| match part.strip_suffix(']').map(str::parse) {
            Some(Ok(index)) => Step::Index(index),
            _ => Step::Key(part),
        })
}
