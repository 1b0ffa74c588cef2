//! A provider's options: declared once, checked once.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

/// The declaration of one option. Settings keys, flags, help and reference pages come from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// The settings key; the flag is `--<kind>-<name>`.
    pub name: &'static str,
    /// One sentence for people, without a final stop.
    pub help: &'static str,
    /// What may be written there.
    pub kind: OptionKind,
    /// Whether the provider cannot work without it.
    pub required: bool,
    /// What holds where it is not given, in words; shown in help only.
    pub default: Option<&'static str>,
}

/// What may be written for an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// A text.
    Text,
    /// A text or a list of texts; on the command line separated by commas.
    List,
    /// A whole number, not negative.
    Number,
    /// A time such as `5s` or `2m`.
    Duration,
    /// A secret, given as a reference to a file, a variable, a credential or a command.
    Secret,
}

/// A value as the settings gave it, secrets already fetched.
#[derive(Clone, Debug)]
pub enum OptionValue {
    /// A text, a number or a time in text form.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
    /// A secret.
    Secret(SecretString),
}

/// The checked values of one configured provider.
#[derive(Clone, Debug)]
pub struct Options {
    values: BTreeMap<&'static str, OptionValue>,
}

impl Options {
    /// Checks `values` against what the provider declared.
    pub fn new(
        specs: &'static [OptionSpec],
        values: impl IntoIterator<Item = (String, OptionValue)>,
    ) -> Result<Self, OptionError> {
        let mut checked = BTreeMap::new();
        for (name, value) in values {
            let Some(spec) = specs.iter().find(|spec| spec.name == name) else {
                let known = specs
                    .iter()
                    .map(|spec| spec.name)
                    .collect::<Vec<_>>()
                    .join(", ");
                return Err(OptionError::new(
                    name,
                    format!("is unknown; there are: {known}"),
                ));
            };
            checked.insert(spec.name, check(spec, value)?);
        }
        if let Some(missing) = specs
            .iter()
            .find(|spec| spec.required && !checked.contains_key(spec.name))
        {
            return Err(OptionError::new(
                missing.name,
                format!("is missing: {}", missing.help),
            ));
        }
        Ok(Options { values: checked })
    }

    /// The text of a [`OptionKind::Text`] option.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(OptionValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The texts of a [`OptionKind::List`] option; empty where it is not given.
    pub fn list(&self, name: &str) -> &[String] {
        match self.values.get(name) {
            Some(OptionValue::List(list)) => list,
            _ => &[],
        }
    }

    /// The number of a [`OptionKind::Number`] option.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    /// The time of a [`OptionKind::Duration`] option.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        self.text(name).and_then(|text| parse_duration(text).ok())
    }

    /// The secret of a [`OptionKind::Secret`] option.
    pub fn secret(&self, name: &str) -> Option<&SecretString> {
        match self.values.get(name) {
            Some(OptionValue::Secret(secret)) => Some(secret),
            _ => None,
        }
    }
}

fn check(spec: &OptionSpec, value: OptionValue) -> Result<OptionValue, OptionError> {
    let wrong = |what: &str| Err(OptionError::new(spec.name, format!("takes {what}")));
    match (spec.kind, value) {
        (OptionKind::Text, OptionValue::Text(text)) => Ok(OptionValue::Text(text)),
        (OptionKind::Text, _) => wrong("a text"),
        (OptionKind::List, OptionValue::Text(text)) => Ok(OptionValue::List(vec![text])),
        (OptionKind::List, OptionValue::List(list)) => Ok(OptionValue::List(list)),
        (OptionKind::List, OptionValue::Secret(_)) => wrong("a text or a list of texts"),
        (OptionKind::Number, OptionValue::Text(text)) if text.parse::<u64>().is_ok() => {
            Ok(OptionValue::Text(text))
        }
        (OptionKind::Number, _) => wrong("a whole number"),
        (OptionKind::Duration, OptionValue::Text(text)) if parse_duration(&text).is_ok() => {
            Ok(OptionValue::Text(text))
        }
        (OptionKind::Duration, _) => wrong("a time such as 5s or 2m"),
        (OptionKind::Secret, OptionValue::Secret(secret)) => Ok(OptionValue::Secret(secret)),
        (OptionKind::Secret, _) => wrong("a secret"),
    }
}

/// Reads a time such as `500ms`, `5s` or `2m`; it is above zero.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let span = jiff::SignedDuration::from_str(text).map_err(|error| error.to_string())?;
    match Duration::try_from(span) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("the time must be above zero".to_owned()),
    }
}

/// An option that is unknown, missing or wrongly filled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{option}` {problem}")]
pub struct OptionError {
    /// The option's name.
    pub option: String,
    /// What is wrong, to be read after the name.
    pub problem: String,
}

impl OptionError {
    /// The error that `option` has `problem`, which reads on after the name.
    pub fn new(option: impl Into<String>, problem: impl Into<String>) -> Self {
        OptionError {
            option: option.into(),
            problem: problem.into(),
        }
    }
}
